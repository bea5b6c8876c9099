"""The ledger's answers as JSON bodies, and the decision as it is remembered."""

from datetime import datetime
from typing import Any
from uuid import UUID

from accounts import ids
from policies.decision import (
    Decision,
    PolicyReading,
    message_without_figures,
    retry_after,
)
from policies.rules import micros_to_cost
from usage.entries import CallIn, Gate
from usage.work import Entry, Reserved, Work, public, stamp

_NO_GATE = Gate()
_FIGURES = ("used", "held", "remaining")
# What a project's key may not see of a policy that all projects share (G7).
_NO_FIGURES = dict.fromkeys(_FIGURES)


def decision_body(
    entry: Entry,
    decision: Decision,
    decision_id: UUID,
    reservation: dict[str, Any] | None,
    readings: list[dict[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """Return a decision as CONTRACT G shows it; `readings` are its reading bodies."""
    policies = readings
    message = decision.message
    key = entry.item.key
    gate = getattr(entry.request, "gate", None) or _NO_GATE
    if key is not None and key.project_id is not None:
        policies = [
            {**body, **_NO_FIGURES} if place.match.shared else body
            for body, place in zip(readings, entry.places, strict=True)
        ]
        hidden = any(place.match.shared for place in entry.places)
        if hidden and decision.policy_id is not None:
            message = message_without_figures(decision, now)
    return {
        "id": ids.encode_id("dec", decision_id),
        "allowed": decision.allowed,
        "decision": decision.decision,
        "reason_code": decision.reason_code,
        "message": message,
        "enforced": decision.enforced,
        "rollout_mode": decision.rollout_mode,
        "policy_id": decision.policy_id,
        "policy_target": entry.bot.public_id if entry.bot else None,
        "policy_user": entry.caller.user if entry.caller else None,
        "policy_project_id": entry.project,
        "model": entry.caller.model if entry.caller else None,
        "triggered_categories": list(gate.triggered_categories),
        "allowlist_hits": list(gate.allowlist_hits),
        "denylist_hits": list(gate.denylist_hits),
        "retry_after": None if decision.allowed else retry_after(decision, now),
        "created_at": stamp(now),
        "reservation": reservation,
        "policies": policies,
    }


def reading_body(reading: PolicyReading) -> dict[str, Any]:
    """Return one policy's part of a decision; cost in decimal USD."""
    money = reading.metric == "cost"
    body: dict[str, Any] = {
        "policy_id": reading.policy_id,
        "revision": reading.revision,
        "action": reading.action,
        "metric": reading.metric,
        "threshold": reading.threshold,
        "used": reading.used,
        "held": reading.held,
        "remaining": reading.remaining,
        "resets_at": stamp(reading.resets_at),
        "exceeded": reading.exceeded,
        "enforced": reading.enforced,
    }
    if money:
        for name in ("threshold", *_FIGURES):
            body[name] = micros_to_cost(body[name])
    return body


def decision_row(
    work: Work,
    entry: Entry,
    request: CallIn,
    decision: Decision,
    decision_id: UUID,
    amounts: dict[str, int | None],
    readings: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return the decision record: what was asked, what was found, what was said."""
    key = entry.item.key
    gate = request.gate or _NO_GATE
    found = [
        {**body, "limit": place.limit.key, "shared": place.match.shared}
        for body, place in zip(readings, entry.places, strict=True)
    ]
    return {
        "id": decision_id,
        "account_id": entry.account_id,
        "sequence": work.next_sequence(),
        "kind": request.kind,
        "key_id": key.public_id if key else "",
        "allowed": decision.allowed,
        "decision": decision.decision,
        "reason_code": decision.reason_code,
        "message": decision.message,
        "enforced": decision.enforced,
        "rollout_mode": decision.rollout_mode,
        "policy_id": decision.policy_id,
        "policy_target": entry.bot.public_id if entry.bot else "",
        "policy_user": entry.caller.user if entry.caller else None,
        "policy_project_id": entry.project,
        "model": entry.caller.model if entry.caller else None,
        "estimate": {name: n for name, n in amounts.items() if n is not None},
        "subject": {
            "project": entry.project,
            "bot": entry.bot.public_id if entry.bot else None,
            "user": entry.caller.user if entry.caller else None,
            "model": entry.caller.model if entry.caller else None,
            "reserve": request.reserve,
            **({"tags": gate.tags} if gate.tags else {}),
        },
        "policies": found,
        "triggered_categories": list(gate.triggered_categories),
        "allowlist_hits": list(gate.allowlist_hits),
        "denylist_hits": list(gate.denylist_hits),
        "retry_after": None if decision.allowed else retry_after(decision, work.now),
        "created_at": work.now,
    }


def reservation_body(row: dict[str, Any]) -> dict[str, Any]:
    """Return a reservation that was just granted."""
    return {
        "id": ids.encode_id("res", row["id"]),
        "state": "open",
        "expires_at": stamp(row["expires_at"]),
        "ttl_seconds": row["ttl_seconds"],
    }


def reserved_body(reserved: Reserved) -> dict[str, Any]:
    """Return a reservation as it stands."""
    return {
        "id": public("res", reserved.id),
        "state": reserved.state,
        "expires_at": stamp(reserved.expires_at),
        "ttl_seconds": reserved.ttl_seconds,
    }
