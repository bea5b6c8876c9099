"""The ledger's answers as JSON bodies, and the decision as it is remembered."""

from datetime import datetime
from typing import Any
from uuid import UUID

from policies.decision import (
    Decision,
    PolicyReading,
    message_without_figures,
    retry_after,
)
from policies.rules import micros_to_cost
from usage.counters import Place
from usage.entries import CallIn
from usage.work import Entry, Reserved, Work, public, stamp

_FIGURES = ("used", "held", "remaining")


def decision_body(
    entry: Entry,
    decision: Decision,
    decision_id: UUID,
    reservation: dict[str, Any] | None,
    now: datetime,
) -> dict[str, Any]:
    """Return a decision as CONTRACT G shows it."""
    policies = []
    hidden = False
    for reading, place in zip(decision.policies, entry.places, strict=True):
        body = reading_body(reading)
        if is_hidden(entry, place):
            hidden = True
            body |= dict.fromkeys(_FIGURES)
        policies.append(body)
    message = decision.message
    if hidden and decision.policy_id is not None:
        message = message_without_figures(decision, now)
    return {
        "id": public("dec", decision_id),
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
        "triggered_categories": [],
        "allowlist_hits": [],
        "denylist_hits": [],
        "retry_after": None if decision.allowed else retry_after(decision, now),
        "created_at": stamp(now),
        "reservation": reservation,
        "policies": policies,
    }


def is_hidden(entry: Entry, place: Place) -> bool:
    """Say whether a project's key may not see a shared policy's figures (G7)."""
    key = entry.item.key
    return key is not None and key.project_id is not None and place.match.shared


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
) -> dict[str, Any]:
    """Return the decision record: what was asked, what was found, what was said."""
    key = entry.item.key
    readings = []
    for reading, place in zip(decision.policies, entry.places, strict=True):
        row = reading_body(reading)
        readings.append(row | {"limit": place.limit.key, "shared": place.match.shared})
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
        },
        "policies": readings,
        "retry_after": None if decision.allowed else retry_after(decision, work.now),
        "created_at": work.now,
    }


def reservation_body(row: dict[str, Any]) -> dict[str, Any]:
    """Return a reservation that was just granted."""
    return {
        "id": public("res", row["id"]),
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
