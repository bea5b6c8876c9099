"""What a policy would mean, while somebody writes it.

A preview comes in two parts. The rule itself is quick: its sentence, when its windows
end, which other policies are tighter. What it would have done takes a second or two,
and is asked for apart; `Draft.fingerprint` says when it need not be asked for again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from accounts import ids
from accounts.models import Account
from dashboard.amounts import language
from dashboard.past_windows import PastWindows, past_windows
from policies.models import Policy
from policies.rules import Limit, UsageRule, sentence, usage_rule
from policies.selectors import policies
from retention.cutoff import over_guard
from retention.previews import preview
from usage import windows
from usage.selectors import CounterReading, readings_of
from usage.simulating import Simulation, Tighter, simulate, tighter

Document = dict[str, Any]
OTHERS: Final = 200
BOUNDARIES: Final = 3
# More pictures than these say less.
DRAWN: Final = 2
MOST_BOTS: Final = 10
# A draft's policy, of which there is none yet.
NOBODY: Final = ids.encode_id("pol", UUID(int=0))
# These change nothing of what would have happened.
_WORDS: Final = ("name", "description", "rollout_mode", "alert_steps")


@dataclass(frozen=True, slots=True)
class WindowAhead:
    """A limit with the next moments at which it starts anew.

    `open_until` is when the window ends that a call has opened, of a fixed one.
    """

    limit: Limit
    ends: tuple[datetime, ...]
    open_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """The quick part of a preview."""

    document: Document
    sentence: str
    windows: tuple[WindowAhead, ...] = ()
    tighter: tuple[Tighter, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The same for drafts that would have done the same."""
        told = {k: v for k, v in self.document.items() if k not in _WORDS}
        return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Past:
    """The slow part: what a usage policy would have done, drawn on what was used."""

    simulation: Simulation
    drawn: tuple[PastWindows, ...]
    more: int

    @property
    def refused(self) -> list[tuple[str, int]]:
        """The bots with the most refused calls, by public id."""
        tallies = self.simulation.draft.by_bot.items()
        calls = [(bot, tally.calls) for bot, tally in tallies]
        return sorted(calls, key=lambda pair: -pair[1])[:MOST_BOTS]


def draft_of(
    account: Account,
    document: Document,
    names: dict[str, str],
    now: datetime,
    policy: Policy | None = None,
) -> Draft:
    """Return the quick part of the preview of a canonical document."""
    said = sentence(document, names, language())
    if document["type"] != Policy.Type.USAGE:
        return Draft(document, said)
    rule = _rule(document)
    found = tighter(rule, others(account), policy)
    return Draft(document, said, _ahead(rule, policy, now), found)


def past_of(
    account: Account,
    document: Document,
    now: datetime,
    policy: Policy | None = None,
) -> Past:
    """Return what a usage draft would have done. Raises UnknownReference."""
    found = simulate(
        account=account, document=document, now=now, others=(), policy=policy
    )
    limits = found.rule.limits
    drawn = [past_windows(account, found.rule, limit, now) for limit in limits[:DRAWN]]
    return Past(found, tuple(drawn), len(limits) - len(drawn))


def due_of(account: Account, document: Document, now: datetime) -> dict[str, Any]:
    """Return what a retention draft would delete now. Raises UnknownReference."""
    found = preview(account=account, policy=document, now=now)
    # Nothing came of age under a draft, so all that is due counts as a backlog.
    found["waits"] = over_guard(due=found["due"], total=found["total"])
    return found


def others(account: Account) -> Sequence[Policy]:
    """Return the policies that may be tighter than a draft."""
    return list(policies(account, type=Policy.Type.USAGE)[:OTHERS])


def _rule(document: Document) -> UsageRule:
    return usage_rule(policy_id=NOBODY, revision=0, document=document)


def _ahead(
    rule: UsageRule, policy: Policy | None, now: datetime
) -> tuple[WindowAhead, ...]:
    """Return when each limit starts anew, as the ledger says it."""
    read: Sequence[CounterReading] = ()
    if policy is not None and any(each.window.kind == "fixed" for each in rule.limits):
        read = readings_of(policy=policy, now=now)
    return tuple(_window_ahead(limit, read, now) for limit in rule.limits)


def _window_ahead(
    limit: Limit, read: Sequence[CounterReading], now: datetime
) -> WindowAhead:
    if limit.window.kind == "calendar":
        ends = windows.next_boundaries(limit.window, now, BOUNDARIES)
        return WindowAhead(limit, tuple(ends))
    open_now = [
        each.resets_at
        for each in read
        if limit.window.kind == "fixed"
        and each.window == limit.window
        and each.metric == limit.metric
        and each.resets_at is not None
    ]
    return WindowAhead(limit, (), min(open_now, default=None))
