"""Bots: register, list, read, change, archive."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Conflict, InvalidBody
from accounts.models import Bot
from accounts.services import archive_bot, create_bot, update_bot
from api import examples
from api.callers import Caller, referred_project, visible_bot, visible_bots
from api.endpoint import Endpoint, tagged
from api.fields import Body, Choice, Text
from api.listing import PAGING, listed
from api.schema import filters, operation, page, page_of
from policies.models import Block
from policies.selectors import bot_pauses


class BotBody(Body):
    """What a bot is told to be."""

    name = Text(max_length=200)
    external_id = Text(max_length=200, allow_null=True, default=None)
    project = Text(max_length=200, allow_null=True, default=None)
    owner = Text(max_length=200, allow_null=True, default=None)
    description = Text(max_length=2000, allow_blank=True, default="", lines=True)


class BotPatch(BotBody):
    """What of a bot is changed."""

    state = Choice(choices=["active", "disabled"], required=False)


class PauseAnswer(serializers.Serializer[Any]):
    """The block that covers all calls of a bot."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=Block.Kind.choices)
    policy_id = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    ends_at = serializers.DateTimeField(allow_null=True)


class BotAnswer(serializers.Serializer[Any]):
    """A bot. Its status is `paused` while a block covers all its calls."""

    id = serializers.CharField()
    name = serializers.CharField()
    external_id = serializers.CharField(allow_null=True)
    project = serializers.CharField(allow_null=True)
    owner = serializers.CharField(allow_null=True)
    description = serializers.CharField()
    state = serializers.ChoiceField(choices=Bot.State.choices)
    status = serializers.ChoiceField(
        choices=["active", "paused", "disabled", "revoked"]
    )
    block = PauseAnswer(allow_null=True)
    revision = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


def show_bots(
    caller: Caller, bots: Sequence[Bot], now: datetime
) -> list[Mapping[str, Any]]:
    """Return bots as they are answered, each with the block that pauses it."""
    pauses = bot_pauses(caller.account, bots, now)
    return [BotAnswer(_described(bot, pauses.get(bot.id))).data for bot in bots]


def show_bot(caller: Caller, bot: Bot, now: datetime, *, status: int = 200) -> Response:
    """Answer one bot, with its ETag."""
    return tagged(dict(show_bots(caller, [bot], now)[0]), status=status)


def _described(bot: Bot, block: Block | None) -> dict[str, Any]:
    paused = block is not None and bot.state == Bot.State.ACTIVE
    return {
        "id": bot.public_id,
        "name": bot.name,
        "external_id": bot.external_id,
        "project": None if bot.project is None else bot.project.public_id,
        "owner": bot.owner,
        "description": bot.description,
        "state": bot.state,
        "status": "paused" if paused else bot.state,
        "block": None if block is None else _described_block(block),
        "revision": bot.revision,
        "created_at": bot.created_at,
        "updated_at": bot.updated_at,
    }


def _described_block(block: Block) -> dict[str, Any]:
    return {
        "id": block.public_id,
        "kind": block.kind,
        "policy_id": None if block.policy is None else block.policy.public_id,
        "reason": block.reason,
        "ends_at": block.ends_at,
    }


def _resolved(caller: Caller, values: dict[str, Any]) -> dict[str, Any]:
    if "project" in values:
        values["project"] = referred_project(caller, values["project"], "/project")
    if (values.get("external_id") or "").startswith("bot_"):
        # It would be taken for an id.
        detail = "must not start with bot_"
        raise InvalidBody(errors=[{"pointer": "/external_id", "detail": detail}])
    return values


class Bots(Endpoint):
    """The bots of an account, the oldest first."""

    scopes = {"GET": "bots:read", "POST": "bots:write"}
    queries = PAGING | {"project", "state", "external_id"}

    @operation(
        "bots_list",
        "List bots",
        answer=page_of(BotAnswer, "BotPage"),
        shows=page(examples.BOT),
        parameters=filters(
            project="id or external id of a project",
            state="active, disabled or revoked",
            external_id="the bot with this external id",
        ),
    )
    def get(self, request: Request) -> Response:
        """List bots."""
        now, caller = timezone.now(), self.caller
        rows = visible_bots(caller)
        for name in ("state", "external_id"):
            value = self.query(name)
            rows = rows if value is None else rows.filter(**{name: value})
        rows = self.of_project(rows, "project")
        return listed(request, rows, show=lambda found: show_bots(caller, found, now))

    @operation(
        "bots_create",
        "Register a bot",
        request=BotBody,
        sends=examples.BOT_SENT,
        answer=BotAnswer,
        shows=examples.BOT,
        status=201,
    )
    def post(self, request: Request) -> Response:
        """Register a bot."""
        now, caller = timezone.now(), self.caller
        caller.need_unbound()
        values = _resolved(caller, self.body(BotBody))
        bot = create_bot(account=caller.account, actor=caller.actor, now=now, **values)
        return show_bot(caller, bot, now, status=201)


class OneBot(Endpoint):
    """One bot."""

    scopes = {
        "GET": "bots:read",
        "PUT": "bots:write",
        "PATCH": "bots:write",
        "DELETE": "bots:write",
    }

    @operation("bots_read", "Read a bot", answer=BotAnswer, shows=examples.BOT)
    def get(self, request: Request, bot_id: str) -> Response:
        """Read a bot."""
        caller = self.caller
        return show_bot(caller, visible_bot(caller, bot_id), timezone.now())

    @operation(
        "bots_replace",
        "Replace a bot's description",
        request=BotBody,
        sends=examples.BOT_SENT,
        answer=BotAnswer,
        shows=examples.BOT,
    )
    def put(self, request: Request, bot_id: str) -> Response:
        """Replace all that a bot is told to be."""
        return self._change(bot_id, BotBody, partial=False)

    @operation(
        "bots_update",
        "Change a bot",
        request=BotPatch,
        sends={"owner": "u-1"},
        answer=BotAnswer,
        shows={**examples.BOT, "owner": "u-1", "revision": 2},
    )
    def patch(self, request: Request, bot_id: str) -> Response:
        """Change what is named and leave the rest."""
        return self._change(bot_id, BotPatch, partial=True)

    @operation(
        "bots_archive",
        "Archive a bot",
        answer=None,
        shows=None,
        status=204,
    )
    def delete(self, request: Request, bot_id: str) -> Response:
        """Archive a bot and revoke its keys; what it did stays."""
        caller = self.caller
        caller.need_unbound()
        bot = visible_bot(caller, bot_id)
        expected = self.expected_revision(bot.revision)
        archive_bot(
            bot=bot,
            actor=caller.actor,
            now=timezone.now(),
            expected_revision=expected,
        )
        return Response(status=204)

    def _change(self, bot_id: str, form: type[Body], *, partial: bool) -> Response:
        now, caller = timezone.now(), self.caller
        caller.need_unbound()
        bot = visible_bot(caller, bot_id)
        expected = self.expected_revision(bot.revision)
        values = _resolved(caller, self.body(form, partial=partial))
        if "state" in values and bot.state == Bot.State.REVOKED:
            raise Conflict("The bot is revoked; restore it.")
        changed = update_bot(
            bot=bot,
            changes=values,
            actor=caller.actor,
            now=now,
            expected_revision=expected,
        )
        return show_bot(caller, changed, now)
