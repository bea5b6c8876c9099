"""When a policy's limits were crossed, and whom that stopped."""

from collections.abc import Iterator
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from alerts.models import Alert
from alerts.selectors import alerts
from api import examples
from api.callers import Caller
from api.endpoint import Endpoint
from api.listing import PAGING, asked_page, paged
from api.moments import moment_text
from api.policy_actions import with_figures
from api.schema import filters, operation, page, raw_page_of
from api.schema_components import (
    AMOUNT_OR_NULL,
    BOOLEAN,
    MOMENT,
    MOMENT_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    answer,
    words,
)
from policies.models import Block, Policy
from policies.rules import micros_to_cost
from policies.selectors import blocks

_EVENTS: Final = {"policy": "blocked", "revoke": "revoked"}
_CROSSING: Final = answer(
    id=TEXT,
    event=words("crossed", "blocked", "revoked"),
    step={"type": ["integer", "null"]},
    metric=TEXT_OR_NULL,
    subject={"type": "object", "additionalProperties": TEXT_OR_NULL},
    threshold=AMOUNT_OR_NULL,
    used=AMOUNT_OR_NULL,
    bot=TEXT_OR_NULL,
    enforced=BOOLEAN,
    late=BOOLEAN,
    message=TEXT,
    window_start=MOMENT_OR_NULL,
    ends_at=MOMENT_OR_NULL,
    ended_at=MOMENT_OR_NULL,
    created_at=MOMENT,
)
_EXAMPLE: Final = {
    "id": examples.ALERT_ID,
    "event": "crossed",
    "step": 100,
    "metric": "tokens",
    "subject": {},
    "threshold": 1000,
    "used": 1012,
    "bot": examples.BOT_ID,
    "enforced": True,
    "late": False,
    "message": "Daily cap: 1,012 of 1,000 tokens used",
    "window_start": "2026-03-01T00:00:00Z",
    "ends_at": "2026-03-02T00:00:00Z",
    "ended_at": None,
    "created_at": examples.MORNING,
}


class PolicyHistory(Endpoint):
    """The crossings of a policy."""

    scopes = {"GET": "policies:read"}
    queries = PAGING

    @operation(
        "policies_history",
        "List a policy's crossings",
        answer=raw_page_of(_CROSSING),
        shows=page(_EXAMPLE),
        parameters=filters(),
    )
    def get(self, request: Request, policy_id: str) -> Response:
        """List steps that were crossed, blocks and revokes; the newest first."""
        caller = self.caller
        policy = with_figures(caller, policy_id)
        limit, before = asked_page(request)
        found = list(_history(caller, policy, before, limit + 1))
        shown = [_shown(row) for row in found[:limit]]
        return paged(shown, found[limit - 1].pk if len(found) > limit else None)


def _history(
    caller: Caller, policy: Policy, before: UUID | None, most: int
) -> Iterator[Alert | Block]:
    """Return alerts and blocks together: the order of both ids is that of time."""
    told = alerts(caller.account).filter(policy_id=policy.public_id, kind="limit")
    stopped = blocks(caller.account, policy)
    if before is not None:
        told, stopped = told.filter(id__lt=before), stopped.filter(id__lt=before)
    if caller.bot is not None:
        told = told.filter(bot_id=caller.bot.public_id)
        stopped = stopped.filter(bot=caller.bot)
    rows: tuple[list[Alert | Block], list[Alert | Block]] = (
        [*told.order_by("-id")[:most]],
        [*stopped.order_by("-id")[:most]],
    )
    return islice(merge(*rows, key=lambda row: row.pk, reverse=True), most)


def _shown(row: Alert | Block) -> dict[str, Any]:
    said = _alert(row) if isinstance(row, Alert) else _block(row)
    return {
        name: moment_text(value) if isinstance(value, datetime) else value
        for name, value in said.items()
    }


def _alert(row: Alert) -> dict[str, Any]:
    def amount(value: int | None) -> int | str | None:
        if value is None or row.metric != "cost":
            return value
        return micros_to_cost(value)

    return {
        "id": row.public_id,
        "event": "crossed",
        "step": row.step,
        "metric": row.metric,
        "subject": dict(row.subject),
        "threshold": amount(row.threshold),
        "used": amount(row.used),
        "bot": row.bot_id or None,
        "enforced": row.enforced,
        "late": row.late,
        "message": row.message,
        "window_start": row.window_start,
        "ends_at": row.resets_at,
        "ended_at": row.resolved_at,
        "created_at": row.created_at,
    }


def _block(row: Block) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "event": _EVENTS[row.kind],
        "step": None,
        "metric": None,
        "subject": dict(row.subject),
        "threshold": None,
        "used": None,
        "bot": None if row.bot is None else row.bot.public_id,
        "enforced": row.enforced,
        "late": False,
        "message": row.reason,
        "window_start": row.window_start,
        "ends_at": row.ends_at,
        "ended_at": row.lifted_at,
        "created_at": row.starts_at,
    }
