"""ChatBotKit's routes for what a policy blocks (CONTRACT G, C4)."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Forbidden
from api import chatbotkit_schema as described
from api.callers import Caller, visible_bots
from api.chatbotkit import told_policy
from api.chatbotkit_endpoint import CompatEndpoint
from api.policies import may_write
from api.policy_answers import hides_figures
from policies.models import Block, Policy
from policies.selectors import blocks
from usage.resets import clear_policy


def tell_blocks(caller: Caller, policy: Policy, now: datetime) -> dict[str, Any]:
    """Return whom a policy blocks, in their form; of several blocks, the last to end.

    A block of a policy for every bot stops every bot, not only the one that crossed.
    """
    standing = blocks(caller.account, policy, live_at=now)
    own = list(standing.filter(kind=Block.Kind.POLICY, enforced=True))
    bot = policy.scope_bot
    blocked: list[str] = []
    if own:
        concerned = visible_bots(caller)
        if bot is not None:
            concerned = concerned.filter(id=bot.id)
        elif policy.scope_project is not None:
            concerned = concerned.filter(project=policy.scope_project)
        blocked = [each.public_id for each in concerned]
    return {
        "scope": "global" if bot is None else "bot",
        "botId": None if bot is None else bot.public_id,
        "block": _tell(max(own, key=_ends), policy, now) if own else None,
        "blockedBotIds": blocked,
    }


def _ends(block: Block) -> tuple[bool, datetime]:
    return block.ends_at is None, block.ends_at or block.starts_at


def _tell(block: Block, policy: Policy, now: datetime) -> dict[str, Any]:
    ttl = None if block.ends_at is None else (block.ends_at - now).total_seconds()
    return {
        "reason": block.reason,
        "policyId": policy.public_id,
        "ttl": None if ttl is None else max(1, -int(-ttl // 1)),
    }


class ListBlocks(CompatEndpoint):
    """What a policy blocks."""

    scopes = {"GET": "policies:read"}

    @described.list_blocks
    def get(self, request: Request, policy_id: str) -> Response:
        """Say which bots a policy blocks, and for how many seconds more."""
        caller = self.caller
        policy = told_policy(caller, policy_id)
        if hides_figures(caller, policy):
            raise Forbidden("Keys of a project see a shared policy's rule alone.")
        return Response(tell_blocks(caller, policy, timezone.now()))


class ClearBlocks(CompatEndpoint):
    """The end of what a policy blocks."""

    scopes = {"POST": "policies:write"}

    @described.clear_blocks
    def post(self, request: Request, policy_id: str) -> Response:
        """Lift a policy's blocks and set what it counted to 0."""
        caller = self.caller
        policy = may_write(caller, told_policy(caller, policy_id))
        self.empty_body()
        cleared = clear_policy(
            policy=policy, actor=caller.actor, now=timezone.now(), reason="cleared"
        )
        return Response({"cleared": cleared})
