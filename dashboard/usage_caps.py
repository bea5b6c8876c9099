"""Which limits count exactly what a picture shows, and in which window.

A cap's line says something only beside the sum that its policy counts. So a limit is
drawn if its scope is what the page's filters name, no more and no less; others are
named, with the way to their own picture.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from django.utils.translation import gettext

from accounts.models import Account
from dashboard.amounts import duration_text
from dashboard.usage_query import Asked
from policies.models import Policy
from policies.rules import Limit, UsageRule, Window
from policies.selectors import rule_of
from usage import windows

# More than these make a picture of lines only.
MOST_CAPS: Final = 12
_LONGER: Final = {
    "hour": ("day", "week", "month"),
    "day": ("week", "month", "quarter", "year"),
    "week": ("month", "quarter", "year"),
    "month": ("quarter", "year"),
}
_USUAL: Final = {"hour": "day", "day": "month", "week": "month", "month": "year"}


@dataclass(frozen=True, slots=True)
class Cap:
    """A line at `value`: solid where calls are refused, else dashed.

    `on_total` says that it is beside the running total, not beside each bar.
    """

    policy: Policy
    step: int
    value: int
    solid: bool
    on_total: bool


@dataclass(frozen=True, slots=True)
class Governed:
    """A usage policy with its rule, and those of its limits that count the metric."""

    policy: Policy
    rule: UsageRule
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A window that the running total may be of."""

    key: str
    label: str
    window: Window


def sorted_out(
    policies: Iterable[Policy], asked: Asked
) -> tuple[list[Governed], list[Governed]]:
    """Return the policies that count what is shown, and those that count a part."""
    exact: list[Governed] = []
    partial: list[Governed] = []
    for policy in policies:
        counted = {each["metric"] for each in policy.limits}
        if policy.rollout_mode == Policy.Rollout.OFF or asked.metric not in counted:
            continue
        rule = rule_of(policy)
        limits = tuple(each for each in rule.limits if each.metric == asked.metric)
        found = Governed(policy, rule, limits)
        (exact if _is_exact(rule, asked) else partial).append(found)
    return exact, [each for each in partial if _may_concern(each.rule, asked)]


def choices(account: Account, asked: Asked, exact: Sequence[Governed]) -> list[Choice]:
    """Return the windows that a running total makes sense in, the calendar's first."""
    found = {
        unit: Choice(
            unit,
            window_text(Window("calendar", unit=unit)),
            Window(
                "calendar",
                unit=unit,
                timezone=account.timezone,
                week_start=account.week_start,
            ),
        )
        for unit in _LONGER[asked.bucket]
    }
    shortest = min(
        end - start for start, end in zip(asked.edges, asked.edges[1:], strict=False)
    )
    for each in exact:
        for limit in each.limits:
            window = limit.window
            if window.kind == "calendar" and window.unit in found:
                # As the policy counts it, in the policy's zone.
                old = found[window.unit]
                found[window.unit] = Choice(old.key, old.label, window)
            long_enough = timedelta(seconds=window.seconds or 0) > shortest
            if window.kind == "rolling" and long_enough:
                key = f"rolling-{window.seconds}"
                found[key] = Choice(key, window_text(window), window)
    return list(found.values())


def chosen(
    asked: Asked, offered: Sequence[Choice], exact: Sequence[Governed]
) -> Choice:
    """Return the window of the running total: the asked one, else one with a cap."""
    named = {each.key: each for each in offered}
    if asked.window in named:
        return named[asked.window]
    capped = [limit.window for each in exact for limit in each.limits]
    for choice in offered:
        if choice.window in capped:
            return choice
    return named[_USUAL[asked.bucket]]


def caps(exact: Sequence[Governed], asked: Asked, choice: Choice) -> list[Cap]:
    """Return the lines of the limits beside the bars and beside the running total."""
    found = []
    for each in exact:
        for limit in each.limits:
            on_bar = limit.window.unit == asked.bucket
            if on_bar or limit.window == choice.window:
                found += _lines(each, limit, on_total=not on_bar)
    return found[:MOST_CAPS]


def running(
    edges: Sequence[datetime], values: Sequence[int], window: Window
) -> list[int]:
    """Return what the window had used at the end of each bucket.

    A rolling window's start is rounded to a bucket's.
    """
    sums = [0, *accumulate(values)]
    found = []
    for n in range(len(values)):
        if window.kind == "rolling":
            start = edges[n + 1] - timedelta(seconds=window.seconds or 0)
        else:
            start = windows.bounds(window, edges[n]).start
        found.append(sums[n + 1] - sums[min(bisect_left(edges, start), n)])
    return found


def lead_of(asked: Asked, window: Window) -> datetime:
    """Return from when usage has to be known for the first running total."""
    if window.kind == "rolling":
        return asked.edges[1] - timedelta(seconds=window.seconds or 0)
    return windows.bounds(window, asked.edges[0]).start


def focus(governed: Governed, asked: Asked) -> str:
    """Return the query of the picture in which a policy's caps are drawn."""
    scope = governed.rule.scope.document()
    names = ("project", "bot", "user", "model", "key")
    changed = {name: scope.get(name) for name in names}
    return asked.query(**changed, none=None, window=None)


def window_text(window: Window) -> str:
    """Name a window: `day`, `any 24 h`."""
    units = {
        "hour": gettext("hour"),
        "day": gettext("day"),
        "week": gettext("week"),
        "month": gettext("month"),
        "quarter": gettext("quarter"),
        "year": gettext("year"),
    }
    if window.kind == "calendar":
        return units[window.unit or "day"]
    if window.kind == "lifetime":
        return gettext("lifetime")
    length = duration_text(window.seconds or 0)
    if window.kind == "rolling":
        return gettext("any %(length)s") % {"length": length}
    return gettext("%(length)s from the first call") % {"length": length}


def _lines(governed: Governed, limit: Limit, *, on_total: bool) -> list[Cap]:
    rule = governed.rule
    refuses = rule.actions.refuses and rule.rollout_mode == "enforce"
    steps = {*rule.alert_steps, 100}
    return [
        Cap(
            policy=governed.policy,
            step=step,
            value=-(-limit.threshold * step // 100),
            solid=step == 100 and refuses,
            on_total=on_total,
        )
        for step in sorted(steps)
    ]


def _is_exact(rule: UsageRule, asked: Asked) -> bool:
    """Say whether the policy's counter is of just what the filters name."""
    if "key" in asked.named:
        return False
    scope = rule.scope.document()
    for name in ("project", "bot", "user", "model"):
        given = asked.named.get(name)
        is_given = given is not None or name in asked.absent
        if name in scope and scope[name] != given:
            return False
        if name in rule.group_by and not is_given:
            return False
        if is_given and name not in scope and name not in rule.group_by:
            return False
    return True


def _may_concern(rule: UsageRule, asked: Asked) -> bool:
    """Say whether a call that is shown may be one that the policy counts."""
    scope = rule.scope.document()
    return all(
        asked.named.get(name, value) == value and name not in asked.absent
        for name, value in scope.items()
    )
