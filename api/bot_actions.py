"""What a person or a key does to a bot at once: block, unblock, revoke, restore."""

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import InvalidBody
from api import examples
from api.bots import BotAnswer, show_bot
from api.callers import visible_bot
from api.endpoint import Endpoint
from api.fields import Body, Moment, Text
from api.schema import operation
from policies.services import block_bot, restore_bot, revoke_bot, unblock_bot


class ReasonBody(Body):
    """Why something is done."""

    reason = Text(max_length=500, allow_blank=True, default="", lines=True)


class BlockBody(ReasonBody):
    """Why and until when a bot is blocked; without an end, until it is lifted."""

    ends_at = Moment(allow_null=True, default=None)


class BotAction(Endpoint):
    """Base of the routes below a bot."""

    scopes = {"POST": "bots:write"}


class BlockBot(BotAction):
    """Block a bot."""

    @operation(
        "bots_block",
        "Block a bot",
        request=BlockBody,
        sends={"reason": "Looks like a loop"},
        answer=BotAnswer,
        shows=examples.BOT_PAUSED,
    )
    def post(self, request: Request, bot_id: str) -> Response:
        """Refuse every call of a bot until the block ends or is lifted."""
        now, caller = timezone.now(), self.caller
        caller.need_unbound()
        bot = visible_bot(caller, bot_id)
        values = self.body(BlockBody)
        if values["ends_at"] is not None and values["ends_at"] <= now:
            detail = "must lie in the future"
            raise InvalidBody(errors=[{"pointer": "/ends_at", "detail": detail}])
        block_bot(bot=bot, actor=caller.actor, now=now, **values)
        return show_bot(caller, bot, now)


class UnblockBot(BotAction):
    """Unblock a bot."""

    @operation(
        "bots_unblock",
        "Unblock a bot",
        request=ReasonBody,
        sends={"reason": "Fixed"},
        answer=BotAnswer,
        shows=examples.BOT,
    )
    def post(self, request: Request, bot_id: str) -> Response:
        """Lift what a person set and what concerns this bot alone."""
        now, caller = timezone.now(), self.caller
        caller.need_unbound()
        bot = visible_bot(caller, bot_id)
        unblock_bot(bot=bot, actor=caller.actor, now=now, **self.body(ReasonBody))
        return show_bot(caller, bot, now)


class RevokeBot(BotAction):
    """Revoke a bot."""

    @operation(
        "bots_revoke",
        "Revoke a bot",
        request=ReasonBody,
        sends={"reason": "Key leaked"},
        answer=BotAnswer,
        shows={**examples.BOT, "state": "revoked", "status": "revoked"},
    )
    def post(self, request: Request, bot_id: str) -> Response:
        """Take a bot's right to call, and revoke the keys that are bound to it."""
        now, caller = timezone.now(), self.caller
        caller.need_unbound()
        bot = visible_bot(caller, bot_id)
        reason = self.body(ReasonBody)["reason"]
        bot = revoke_bot(bot=bot, reason=reason, actor=caller.actor, now=now)
        return show_bot(caller, bot, now)


class RestoreBot(BotAction):
    """Restore a bot."""

    @operation(
        "bots_restore",
        "Restore a bot",
        request=ReasonBody,
        sends={"reason": "New key issued"},
        answer=BotAnswer,
        shows=examples.BOT,
    )
    def post(self, request: Request, bot_id: str) -> Response:
        """Make a revoked or disabled bot active again; its keys stay revoked."""
        now, caller = timezone.now(), self.caller
        caller.need_unbound()
        bot = visible_bot(caller, bot_id)
        reason = self.body(ReasonBody)["reason"]
        bot = restore_bot(bot=bot, reason=reason, actor=caller.actor, now=now)
        return show_bot(caller, bot, now)
