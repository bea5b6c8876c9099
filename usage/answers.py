"""The ledger's answers as JSON bodies, and the decision as it is remembered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw

from accounts import ids
from policies.decision import (
    Decision,
    PolicyReading,
    message_without_figures,
    retry_after,
)
from policies.rules import micros_to_cost
from usage.counters import Place
from usage.entries import CallIn, Gate
from usage.work import Entry, Reserved, Work, public, stamp

_NO_GATE = Gate()
_WORDS = ("false", "true")
# The order in which a granted reservation was answered; jsonb keeps none.
_DECISION = (
    *("id", "allowed", "decision", "reason_code", "message", "enforced"),
    *("rollout_mode", "policy_id", "policy_target", "policy_user"),
    *("policy_project_id", "model", "triggered_categories", "allowlist_hits"),
    *("denylist_hits", "retry_after", "created_at", "reservation", "policies"),
)
_RESERVATION = ("id", "state", "expires_at", "ttl_seconds")
_READING = (
    *("policy_id", "revision", "action", "metric", "threshold", "used", "held"),
    *("remaining", "resets_at", "exceeded", "enforced"),
)


def decision_body(
    entry: Entry,
    decision: Decision,
    decision_id: UUID,
    reservation: dict[str, Any] | None,
    readings: Sequence[str],
    now: datetime,
) -> dict[str, Any]:
    """Return a decision as CONTRACT G shows it; `readings` are those of its places."""
    message = decision.message
    key = entry.item.key
    gate = getattr(entry.request, "gate", None) or _NO_GATE
    if key is not None and key.project_id is not None:
        shared = [place.match.shared for place in entry.places]
        if any(shared):
            readings = _without_figures(entry, decision)
            if decision.policy_id is not None:
                message = message_without_figures(decision, now)
    policies = "},".join(readings) + "}" if readings else ""
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
        "triggered_categories": gate.triggered_categories,
        "allowlist_hits": gate.allowlist_hits,
        "denylist_hits": gate.denylist_hits,
        "retry_after": None if decision.allowed else retry_after(decision, now),
        "created_at": stamp(now),
        "reservation": reservation,
        "policies": Raw(f"[{policies}]".encode()),
    }


def encoded_readings(entry: Entry, decision: Decision) -> list[str]:
    """Return each policy's part of a decision as JSON that is still to be closed.

    The answer closes it as it is, the record with what it keeps besides. They are
    written by hand because every call has several: as dictionaries they would cost
    more than the decision.
    """
    return [
        _reading(place, shown, hidden=False)
        for place, shown in zip(entry.places, decision.policies, strict=True)
    ]


def _without_figures(entry: Entry, decision: Decision) -> list[str]:
    """What a project's key may see: nothing of what all projects share (G7)."""
    return [
        _reading(place, shown, hidden=place.match.shared)
        for place, shown in zip(entry.places, decision.policies, strict=True)
    ]


def _reading(place: Place, shown: PolicyReading, *, hidden: bool) -> str:
    """Return one reading without its last brace; cost in decimal USD."""
    used: int | str
    held: int | str
    remaining: int | str
    if hidden:
        used = held = remaining = "null"
    elif shown.metric == "cost":
        used = f'"{micros_to_cost(shown.used)}"'
        held = f'"{micros_to_cost(shown.held)}"'
        remaining = f'"{micros_to_cost(shown.remaining)}"'
    else:
        used, held, remaining = shown.used, shown.held, shown.remaining
    ends = "null" if shown.resets_at is None else f'"{stamp(shown.resets_at)}"'
    return (
        f'{place.shown},"used":{used},"held":{held},"remaining":{remaining},'
        f'"resets_at":{ends},"exceeded":{_WORDS[shown.exceeded]},'
        f'"enforced":{_WORDS[shown.enforced]}'
    )


def decision_row(
    work: Work,
    entry: Entry,
    request: CallIn,
    decision: Decision,
    decision_id: UUID,
    amounts: dict[str, int | None],
    readings: Sequence[str],
) -> dict[str, Any]:
    """Return the decision record: what was asked, what was found, what was said."""
    key = entry.item.key
    gate = request.gate or _NO_GATE
    found = ",".join(
        [text + place.kept for text, place in zip(readings, entry.places, strict=False)]
    )
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
        "policies": Raw(f"[{found}]".encode()),
        "triggered_categories": gate.triggered_categories,
        "allowlist_hits": gate.allowlist_hits,
        "denylist_hits": gate.denylist_hits,
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


def replayed_body(kept: bytes) -> bytes:
    """Return a granted reservation's answer, kept as jsonb, as it first went out."""
    body = _ordered(_DECISION, msgspec.json.decode(kept))
    body["reservation"] = _ordered(_RESERVATION, body["reservation"])
    body["policies"] = [_ordered(_READING, each) for each in body["policies"]]
    return msgspec.json.encode(body)


def _ordered(names: Sequence[str], found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found} | found


def reserved_body(reserved: Reserved) -> dict[str, Any]:
    """Return a reservation as it stands."""
    return {
        "id": public("res", reserved.id),
        "state": reserved.state,
        "expires_at": stamp(reserved.expires_at),
        "ttl_seconds": reserved.ttl_seconds,
    }
