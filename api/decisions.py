"""Decisions as they are answered after the fact."""

from collections.abc import Sequence
from typing import Any, Final

from api.callers import Caller
from api.moments import moment_text
from audit.models import DecisionRecord
from policies.messages import PLAIN_MESSAGES
from policies.rules import micros_to_cost

DECISION_REF: Final = {"$ref": "#/components/schemas/DecisionRecord"}
_FIGURES: Final = ("used", "held", "remaining")
_PLAIN: Final = (
    "sequence",
    "kind",
    "key_id",
    "allowed",
    "decision",
    "reason_code",
    "message",
    "enforced",
    "rollout_mode",
    "policy_id",
    "policy_target",
    "policy_user",
    "policy_project_id",
    "model",
    "triggered_categories",
    "allowlist_hits",
    "denylist_hits",
    "retry_after",
    "reservation_id",
)


def show_decisions(
    caller: Caller, found: Sequence[DecisionRecord]
) -> list[dict[str, Any]]:
    """Return decisions; to a project's key without what others used (CONTRACT G7)."""
    return [_shown(each, hidden=caller.project is not None) for each in found]


def _shown(record: DecisionRecord, *, hidden: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": record.public_id}
    answer |= {name: getattr(record, name) for name in _PLAIN}
    answer |= {
        "estimate": _estimate(record.estimate),
        "tags": record.subject.get("tags", {}),
        "policies": [_reading(each, hidden=hidden) for each in record.policies],
        "created_at": moment_text(record.created_at),
    }
    if hidden and any(each.get("shared") for each in record.policies):
        answer["message"] = PLAIN_MESSAGES.get(record.reason_code, "")
    return answer


def _reading(stored: dict[str, Any], *, hidden: bool) -> dict[str, Any]:
    inner = ("limit", "shared")
    reading = {name: value for name, value in stored.items() if name not in inner}
    if hidden and stored.get("shared"):
        reading |= dict.fromkeys(_FIGURES)
    return reading


def _estimate(amounts: dict[str, Any]) -> dict[str, Any]:
    if amounts.get("cost") is None:
        return amounts
    return {**amounts, "cost": micros_to_cost(amounts["cost"])}
