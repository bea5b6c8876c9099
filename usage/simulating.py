"""What a policy would have done in the last days, beside what stands; no side effects.

For the API and the preview of the policy form. It reads; nothing is written.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from accounts import ids
from accounts.errors import InvalidBody
from accounts.models import Account, Project
from policies.matching import overlaps
from policies.models import Policy
from policies.rules import Limit, Scope, UsageRule, Window, usage_rule
from policies.selectors import rule_of
from policies.services.references import resolve
from usage.simulation import Outcome, replay
from usage.simulation_history import History, history

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 90
# For each of two rules; a person waits for it.
_SECONDS: Final = 2.5

_UNITS: Final = {
    "hour": 3_600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_629_800,
    "quarter": 7_889_400,
    "year": 31_557_600,
}


@dataclass(frozen=True, slots=True)
class Tighter:
    """A limit of another policy that leaves the same calls less room for their pace."""

    policy: Policy
    limit: Limit


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a draft would have done, what the version in force would have, and what of.

    `rule` is what was simulated. `source` is events or rollups; `truncated` says that
    there was too much for the time: then only the part from `since` to `until` is told.
    """

    rule: UsageRule
    draft: Outcome
    active: Outcome | None
    tighter: tuple[Tighter, ...]
    source: str
    since: datetime
    until: datetime
    truncated: bool


def simulate(
    *,
    account: Account,
    document: Mapping[str, Any],
    now: datetime,
    others: Sequence[Policy],
    policy: Policy | None = None,
    project: Project | None = None,
    days: int = DEFAULT_DAYS,
    keep_decisions: bool = False,
) -> Simulation:
    """Replay the last days under a canonical usage document, as if it were enforced.

    `policy` is the one that the document is a draft of: then the version in force is
    replayed too, if it differs. `project` binds the draft to a project (CONTRACT G7).
    `others` are the policies that may be found tighter. Raises InvalidBody for another
    type of policy, and UnknownReference.
    """
    if document["type"] != Policy.Type.USAGE:
        raise InvalidBody("Only a usage policy can be simulated.")
    found = resolve(account=account, document=document, project=project)
    key = ids.new_id(now) if policy is None else policy.id
    named = ids.encode_id("pol", key)
    rule = _enforced(usage_rule(policy_id=named, revision=0, document=found.document))
    active = _active(policy, rule)
    rules = [rule] if active is None else [rule, active]
    since = now - timedelta(days=days)
    past = history(account=account, rules=rules, since=since, now=now)
    outcomes = [
        replay(
            account=account.id,
            policy=key,
            rule=each,
            happenings=past.happenings,
            since=past.since,
            out_of_time=_alarm(),
            keep_decisions=keep_decisions,
        )
        for each in rules
    ]
    return _simulation(rule, outcomes, past, tighter(rule, others, policy), now)


def tighter(
    rule: UsageRule, others: Sequence[Policy], policy: Policy | None = None
) -> tuple[Tighter, ...]:
    """Return enforced limits that leave all calls of a rule less for each second.

    They are on the same metric, and about every call that the rule is about.
    """
    found = []
    for other in others:
        skipped = policy is not None and other.id == policy.id
        if skipped or other.type != Policy.Type.USAGE:
            continue
        known = rule_of(other)
        if known.rollout_mode != "enforce" or not known.actions.refuses:
            continue
        if not _covers(known, rule):
            continue
        for limit in known.limits:
            mine = [each for each in rule.limits if each.metric == limit.metric]
            if any(_pace(limit) < _pace(each) for each in mine):
                found.append(Tighter(other, limit))
    return tuple(found)


def _enforced(rule: UsageRule) -> UsageRule:
    return replace(rule, rollout_mode="enforce")


def _active(policy: Policy | None, draft: UsageRule) -> UsageRule | None:
    """Return the version in force, if there is one that decides otherwise."""
    if policy is None:
        return None
    active = replace(_enforced(rule_of(policy)), revision=0, counting_since=None)
    return None if active == replace(draft, counting_since=None) else active


def _covers(wide: UsageRule, narrow: UsageRule) -> bool:
    """Say whether all that a rule counts for somebody counts for them there too."""
    document = wide.scope.document()
    same = all(getattr(narrow.scope, name) == value for name, value in document.items())
    split = set(wide.group_by) - set(narrow.group_by) - set(narrow.scope.document())
    return same and not split and overlaps(wide.scope, Scope(**narrow.scope.document()))


def _pace(limit: Limit) -> float:
    return limit.threshold / _seconds(limit.window)


def _seconds(window: Window) -> float:
    if window.kind == "lifetime":
        return float("inf")
    return float(window.seconds or _UNITS[window.unit or "day"])


def _alarm() -> Callable[[], bool]:
    """Return what says whether the time for one replay is over."""
    end = time.monotonic() + _SECONDS
    return lambda: time.monotonic() > end


def _simulation(
    rule: UsageRule,
    outcomes: Sequence[Outcome],
    past: History,
    found: tuple[Tighter, ...],
    now: datetime,
) -> Simulation:
    finished = all(outcome.finished for outcome in outcomes)
    reached = [o.until for o in outcomes if not o.finished and o.until is not None]
    return Simulation(
        rule=rule,
        draft=outcomes[0],
        active=outcomes[1] if len(outcomes) > 1 else None,
        tighter=found,
        source=past.source,
        since=past.since,
        until=min(reached, default=now) if not finished else now,
        truncated=past.truncated or not finished,
    )
