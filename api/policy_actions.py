"""What lies below a policy: usage, revisions, resets, blocks, history."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Forbidden, InvalidBody
from api import examples
from api.callers import Caller
from api.endpoint import Endpoint
from api.fields import Body, Choice, Count, JsonObject, Text
from api.listing import MAX_LIMIT, PAGING, asked_page, listed, paged
from api.policies import own_policy, show_policy, visible_policy
from api.policy_answers import (
    BLOCK_REF,
    POLICY_REF,
    READING_REF,
    REVISION_REF,
    hides_figures,
    show_block,
    show_readings,
    show_revision,
)
from api.schema import filters, operation, page, raw_list_of, raw_page_of
from policies.models import Policy
from policies.selectors import block_of, blocks, revisions
from usage import edits, resets
from usage.selectors import readings_page


class RestoreBody(Body):
    """Which revision is to be the next one again."""

    revision = Count(least=1)
    reason = Text(max_length=500, allow_blank=True, default="", lines=True)


class ResetBody(Body):
    """Which counters start again: of days, of months, or all; of one subject."""

    period = Choice(choices=["day", "month", "all"])
    subject = JsonObject(allow_null=True, default=None)
    reason = Text(max_length=500, allow_blank=True, default="", lines=True)


class ClearBody(Body):
    """Why a block is cleared."""

    reason = Text(max_length=500, allow_blank=True, default="", lines=True)


def with_figures(caller: Caller, policy_id: str) -> Policy:
    """Return a policy of which the caller may see who used how much."""
    policy = visible_policy(caller, policy_id)
    if hides_figures(caller, policy):
        raise Forbidden("Keys of a project see a shared policy's rule alone.")
    return policy


def _subject(policy: Policy, given: dict[str, Any] | None) -> list[Any] | None:
    """Return the subject as counters keep it: a pair for each field of group_by."""
    if given is None:
        return None
    group_by = policy.document.get("group_by", [])
    if set(given) != set(group_by):
        named = ", ".join(group_by) or "nothing: the policy has no group_by"
        detail = f"must name exactly {named}"
        raise InvalidBody(errors=[{"pointer": "/subject", "detail": detail}])
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            pointer = f"/subject/{name}"
            detail = "must be text or null"
            raise InvalidBody(errors=[{"pointer": pointer, "detail": detail}])
    return [[name, given[name]] for name in group_by]


class PolicyUsage(Endpoint):
    """What a policy's limits have counted."""

    scopes = {"GET": "usage:read"}
    queries = PAGING

    @operation(
        "policies_usage",
        "Read what a policy counted",
        answer=raw_page_of(READING_REF),
        shows=page(examples.READING),
        parameters=filters(),
    )
    def get(self, request: Request, policy_id: str) -> Response:
        """Read the current counters of a policy; 200 a page unless asked otherwise."""
        caller = self.caller
        policy = visible_policy(caller, policy_id)
        limit, after = asked_page(request, MAX_LIMIT)
        found, more = readings_page(
            policy=policy, now=timezone.now(), after=after, limit=limit
        )
        last = found[-1].counter_id if more else None
        return paged(show_readings(caller, policy, found), last)


class PolicyRevisions(Endpoint):
    """The revisions of a policy."""

    scopes = {"GET": "policies:read"}
    queries = PAGING

    @operation(
        "policies_revisions",
        "List a policy's revisions",
        answer=raw_page_of(REVISION_REF),
        shows=page(examples.REVISION),
        parameters=filters(),
    )
    def get(self, request: Request, policy_id: str) -> Response:
        """List revisions, the newest first."""
        policy = visible_policy(self.caller, policy_id)
        rows = revisions(self.caller.account, policy)
        return listed(
            request,
            rows,
            show=lambda found: [show_revision(each) for each in found],
            newest_first=True,
        )


class RestorePolicy(Endpoint):
    """Return of an earlier revision."""

    scopes = {"POST": "policies:write"}

    @operation(
        "policies_restore",
        "Restore a revision",
        request=RestoreBody,
        sends={"revision": 1, "reason": "The new cap stops the night shift"},
        answer=POLICY_REF,
        shows={**examples.POLICY, "revision": 3},
    )
    def post(self, request: Request, policy_id: str) -> Response:
        """Make an earlier revision's document the next revision; If-Match optional."""
        caller = self.caller
        policy = own_policy(caller, policy_id)
        body = self.body(RestoreBody)
        number = body["revision"]
        if not revisions(caller.account, policy).filter(number=number).exists():
            detail = "was never given"
            raise InvalidBody(errors=[{"pointer": "/revision", "detail": detail}])
        guarded = "HTTP_IF_MATCH" in request.META
        restored = edits.restore_revision(
            policy=policy,
            number=number,
            actor=caller.actor,
            now=timezone.now(),
            expected_revision=self.expected_revision(policy.revision)
            if guarded
            else None,
            reason=body["reason"],
        )
        return show_policy(caller, restored)


class ResetPolicy(Endpoint):
    """Reset of a policy's counters."""

    scopes = {"POST": "policies:write"}

    @operation(
        "policies_reset",
        "Reset a policy's counters",
        request=ResetBody,
        sends={"period": "day"},
        answer=raw_list_of(READING_REF),
        shows={"data": [{**examples.READING, "used": 0, "remaining": 900}]},
    )
    def post(self, request: Request, policy_id: str) -> Response:
        """Set `used` to 0 and lift the blocks that came from these counters."""
        caller = self.caller
        policy = own_policy(caller, policy_id)
        values = self.body(ResetBody)
        values["subject"] = _subject(policy, values["subject"])
        if policy.type != Policy.Type.USAGE:
            raise InvalidBody("Only a usage policy counts.")
        found = resets.reset_policy(
            policy=policy, actor=caller.actor, now=timezone.now(), **values
        )
        return Response({"data": show_readings(caller, policy, found)})


class PolicyBlocks(Endpoint):
    """The blocks of a policy."""

    scopes = {"GET": "policies:read"}
    queries = PAGING | {"live"}

    @operation(
        "policies_blocks",
        "List a policy's blocks",
        answer=raw_page_of(BLOCK_REF),
        shows=page(examples.BLOCK),
        parameters=filters(live="true: only those that refuse calls now"),
    )
    def get(self, request: Request, policy_id: str) -> Response:
        """List blocks, the newest first."""
        now, caller = timezone.now(), self.caller
        policy = with_figures(caller, policy_id)
        live = self.flag("live")
        rows = blocks(caller.account, policy, live_at=now if live else None)
        return listed(
            request,
            rows,
            show=lambda found: [show_block(each, now) for each in found],
            newest_first=True,
        )


class ClearBlock(Endpoint):
    """Clearing of a policy's block."""

    scopes = {"POST": "policies:write"}

    @operation(
        "policies_clear_block",
        "Clear a block",
        request=ClearBody,
        sends={"reason": "The loop is fixed"},
        answer=BLOCK_REF,
        shows={**examples.BLOCK, "live": False, "lifted_at": examples.MORNING},
    )
    def post(self, request: Request, policy_id: str, block_id: str) -> Response:
        """Lift a block and set the `used` of its counter to 0 (CONTRACT C4)."""
        now, caller = timezone.now(), self.caller
        policy = own_policy(caller, policy_id)
        block = block_of(caller.account, policy, block_id)
        reason = self.body(ClearBody)["reason"]
        cleared = resets.clear_block(
            block=block, actor=caller.actor, now=now, reason=reason
        )
        return Response(show_block(cleared, now))
