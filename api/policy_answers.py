"""Policies, readings, revisions and blocks as they are answered (CONTRACT F, G7)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from api.callers import Caller
from api.moments import moment_text
from policies.compat import KAVACH_USAGE, kavach_action
from policies.models import Block, Policy, PolicyRevision
from policies.rules import micros_to_cost
from usage.selectors import CounterReading, readings

POLICY_REF: Final = {"$ref": "#/components/schemas/Policy"}
READING_REF: Final = {"$ref": "#/components/schemas/Reading"}
REVISION_REF: Final = {"$ref": "#/components/schemas/PolicyRevision"}
BLOCK_REF: Final = {"$ref": "#/components/schemas/Block"}


def show_policies(
    caller: Caller, found: Sequence[Policy], now: datetime
) -> list[dict[str, Any]]:
    """Return policies as they are answered, each with its derived status."""
    usage = [policy for policy in found if policy.type == Policy.Type.USAGE]
    read = readings(account=caller.account, policies=usage, now=now) if usage else {}
    return [_policy(caller, policy, read.get(policy.public_id, ())) for policy in found]


def hides_figures(caller: Caller, policy: Policy) -> bool:
    """Say whether a caller sees the rule but not who used how much (CONTRACT G7)."""
    return caller.project is not None and policy.project_id != caller.project.id


def show_readings(
    caller: Caller, policy: Policy, found: Iterable[CounterReading]
) -> list[dict[str, Any]]:
    """Return what a policy's limits have counted, as it is answered."""
    hidden = hides_figures(caller, policy)
    # Whose calls others make is no business of a project's key either.
    shown = [each for each in found if not (hidden and each.subject)]
    if caller.bot is not None:
        own = caller.bot.public_id
        shown = [each for each in shown if _bot_of(each) in (None, own)]
    return [_reading(each, hidden=hidden) for each in shown]


def _bot_of(reading: CounterReading) -> str | None:
    """Return the bot that a counter is about, if it is about one."""
    return next((value for field, value in reading.subject if field == "bot"), None)


def show_revision(revision: PolicyRevision) -> dict[str, Any]:
    """Return a revision as it is answered."""
    return {
        "id": revision.public_id,
        "number": revision.number,
        "document": revision.document,
        "changes": revision.changes,
        "actor": {
            "kind": revision.actor_kind,
            "id": revision.actor_id,
            "label": revision.actor_label,
        },
        "reason": revision.reason,
        "created_at": moment_text(revision.created_at),
    }


def show_block(block: Block, now: datetime) -> dict[str, Any]:
    """Return a block as it is answered."""
    ended = block.ends_at is not None and block.ends_at <= now
    return {
        "id": block.public_id,
        "kind": block.kind,
        "policy_id": None if block.policy is None else block.policy.public_id,
        "bot": None if block.bot is None else block.bot.public_id,
        "subject": dict(block.subject),
        "enforced": block.enforced,
        "reason": block.reason,
        "live": block.lifted_at is None and not ended,
        "starts_at": moment_text(block.starts_at),
        "ends_at": moment_text(block.ends_at),
        "lifted_at": moment_text(block.lifted_at),
        "lifted_by": block.lifted_by,
        "lift_reason": block.lift_reason,
    }


def _policy(
    caller: Caller, policy: Policy, found: Sequence[CounterReading]
) -> dict[str, Any]:
    project = policy.project
    answer = {
        "id": policy.public_id,
        "status": _status(policy, found),
        "revision": policy.revision,
        **policy.document,
        "project": None if project is None else project.public_id,
        "counting_since": _counting_since(policy),
        "created_at": moment_text(policy.created_at),
        "updated_at": moment_text(policy.updated_at),
    }
    if policy.type == Policy.Type.USAGE:
        answer |= _kavach(caller, policy, found)
    return answer


def _status(policy: Policy, found: Iterable[CounterReading]) -> str:
    if policy.rollout_mode == Policy.Rollout.OFF:
        return "disabled"
    triggered = any(each.status == "triggered" for each in found)
    return "triggered" if triggered else "active"


def _counting_since(policy: Policy) -> str | None:
    moments = [datetime.fromisoformat(at) for at in policy.counting_since.values()]
    return moment_text(min(moments, default=None))


def _kavach(
    caller: Caller, policy: Policy, found: Iterable[CounterReading]
) -> dict[str, Any]:
    current: dict[str, int | None] = dict.fromkeys(KAVACH_USAGE)
    if not hides_figures(caller, policy):
        # Numbers, as there: what a policy has no limit on it has counted nothing of.
        used = _used_by_unit(found)
        current = {name: used.get(key, 0) for name, key in KAVACH_USAGE.items()}
    return {**kavach_fields(caller, policy), "currentUsage": current}


def kavach_fields(caller: Caller, policy: Policy) -> dict[str, str | None]:
    """Return whom a usage policy is about, and its action, in KavachOS's words."""
    scope: Mapping[str, str] = policy.document["scope"]
    return {
        "agentId": scope.get("bot"),
        "userId": scope.get("user"),
        "tenantId": scope.get("project", caller.account.public_id),
        "action": kavach_action(policy.document["actions"]),
    }


def _used_by_unit(found: Iterable[CounterReading]) -> dict[tuple[str, str], int]:
    used: dict[tuple[str, str], int] = {}
    for each in found:
        if each.window.unit is not None and each.window.timezone == "UTC":
            key = (each.metric, each.window.unit)
            used[key] = used.get(key, 0) + each.used
    return used


def _reading(reading: CounterReading, *, hidden: bool) -> dict[str, Any]:
    def amount(value: int) -> int | str | None:
        if hidden:
            return None
        return micros_to_cost(value) if reading.metric == "cost" else value

    threshold = reading.threshold
    return {
        "metric": reading.metric,
        "subject": {pair[0]: pair[1] for pair in reading.subject},
        "window": reading.window.document(),
        "window_start": moment_text(reading.window_start),
        "resets_at": moment_text(reading.resets_at),
        "threshold": micros_to_cost(threshold)
        if reading.metric == "cost"
        else threshold,
        "used": amount(reading.used),
        "held": amount(reading.held),
        "remaining": amount(reading.remaining),
        "exceeded": reading.used >= threshold,
        "status": reading.status,
    }
