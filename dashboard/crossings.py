"""The picture of a crossing: what its window had used over time, beside the cap.

The line is what the hours counted; at the crossing it is what the alert says. Where the
hours cannot reach that (after a reset, in a lifetime), all of it is moved.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.utils.translation import gettext

from accounts.errors import NotFound
from accounts.models import Account
from alerts import wording
from alerts.models import Alert
from dashboard import charts, plots
from dashboard.amounts import amount_text, duration_text, quantity_text
from dashboard.burn_down import moment_text
from dashboard.growth import Growth
from policies.models import Policy
from policies.rules import Limit
from policies.selectors import policy_of, rule_of
from usage.forecasting import SHORTEST, filters_of
from usage.reports import Report

LONGEST: Final = timedelta(days=31)
MOST: Final = 120
ROWS: Final = 24
_HOUR: Final = timedelta(hours=1)


class Point(NamedTuple):
    """What was used at a moment; `crossed` at that of the crossing."""

    at: datetime
    used: int
    crossed: bool


@dataclass(frozen=True, slots=True)
class Crossing:
    """A crossing, laid out. `began` is None where a window has no start of its own."""

    alert: Alert
    points: tuple[Point, ...]
    began: datetime | None

    @property
    def threshold(self) -> int:
        """The cap."""
        return self.alert.threshold or 0

    @property
    def top(self) -> int:
        """The value at the upper edge."""
        highest = max(point.used for point in self.points)
        return charts.ceiling(max(highest, self.threshold))

    @property
    def cap(self) -> float:
        """How far below the upper edge the cap lies, in per cent."""
        return plots.level(self.threshold, self.top)

    @property
    def step(self) -> float | None:
        """The same of the step that was crossed; None if it is the cap itself."""
        if self.alert.step >= 100:
            return None
        return plots.level(self.threshold * self.alert.step // 100, self.top)

    @property
    def line(self) -> str:
        """The path of what was used."""
        return "M" + "L".join(self._places())

    @property
    def area(self) -> str:
        """The path of the area below it."""
        places = self._places()
        return f"M0 100L{'L'.join(places)}L100 100z"

    @property
    def dot(self) -> tuple[float, float]:
        """Where the crossing is."""
        point = next(point for point in self.points if point.crossed)
        return round(self._along(point.at), 2), plots.level(point.used, self.top)

    @property
    def rows(self) -> list[Point]:
        """The points that the table shows: some, evenly apart, and the crossing."""
        every = max(1, len(self.points) // ROWS)
        last = len(self.points) - 1
        return [
            point
            for n, point in enumerate(self.points)
            if n % every == 0 or n == last or point.crossed
        ]

    @property
    def sentence(self) -> str:
        """What the picture shows."""
        alert = self.alert
        values = {
            "used": quantity_text(alert.metric, alert.used or 0),
            "threshold": amount_text(alert.metric, self.threshold),
            "when": moment_text(alert.created_at),
        }
        if self.began is None:
            return gettext("%(used)s of %(threshold)s on %(when)s.") % values
        passed = int((alert.created_at - self.began).total_seconds())
        values["span"] = duration_text(max(60, passed // 60 * 60))
        return (
            gettext(
                "%(used)s of %(threshold)s on %(when)s, %(span)s after the window"
                " began."
            )
            % values
        )

    def _places(self) -> list[str]:
        return [
            f"{self._along(point.at):.2f} {plots.level(point.used, self.top):.2f}"
            for point in self.points
        ]

    def _along(self, moment: datetime) -> float:
        first, last = self.points[0].at, self.points[-1].at
        return 100 * ((moment - first) / (last - first))


def crossing_of(account: Account, alert: Alert, now: datetime) -> Crossing | None:
    """Return the picture of an alert about a limit.

    None if it cannot be drawn: the policy or its limit is another one by now, the
    window is shorter than what sums of hours can show, the crossing was found out late
    or its hours are not kept any more.
    """
    if alert.kind != wording.LIMIT or alert.late or alert.used is None:
        return None
    try:
        policy = policy_of(account, alert.policy_id, include_archived=True)
    except NotFound:
        return None
    limit = _limit(policy, alert)
    if limit is None or _is_short(limit):
        return None
    start, end = _stretch(limit, alert, now)
    length = _length(limit)
    hours = _hours(policy, alert, start - (length or timedelta(0)), end)
    if not any(hours.values()) or end <= start:
        return None
    points = _points(alert, Growth(hours, now), (start, end), length)
    lone = limit.window.kind in ("rolling", "lifetime")
    return Crossing(alert, tuple(points), None if lone else alert.window_start)


def _limit(policy: Policy, alert: Alert) -> Limit | None:
    """Return the limit that was crossed, if the policy still has just one like it."""
    if policy.type != Policy.Type.USAGE:
        return None
    found = [
        limit
        for limit in rule_of(policy).limits
        if limit.metric == alert.metric and limit.threshold == alert.threshold
    ]
    return found[0] if len(found) == 1 else None


def _is_short(limit: Limit) -> bool:
    length = limit.window.seconds
    short = length is not None and timedelta(seconds=length) < SHORTEST
    return short or limit.window.unit == "hour"


def _length(limit: Limit) -> timedelta | None:
    """Return after how long what was used leaves a rolling window again."""
    if limit.window.kind != "rolling":
        return None
    return timedelta(seconds=limit.window.seconds or 0)


def _stretch(limit: Limit, alert: Alert, now: datetime) -> tuple[datetime, datetime]:
    """Return from when to when: the window, or as much of it as is readable."""
    at, length = alert.created_at, _length(limit)
    if length is not None:
        shown = min(length, LONGEST)
        return at - shown, max(at, min(now, at + shown / 2))
    start = max(alert.window_start, at - LONGEST)
    ends = [now, start + LONGEST, alert.resets_at, alert.resolved_at]
    return start, max(at, min(end for end in ends if end is not None))


def _hours(
    policy: Policy, alert: Alert, start: datetime, end: datetime
) -> dict[datetime, int]:
    filters = filters_of(rule_of(policy), alert.subject)
    if filters is None:
        return {}
    first = _hour_of(start)
    count = int((end - first) / _HOUR) + 1
    edges = [first + n * _HOUR for n in range(count + 1)]
    rows = Report(policy.account, filters).series(edges, "hour", names=[alert.metric])
    return {edges[row.bucket]: row.sums[alert.metric] for row in rows}


def _points(
    alert: Alert,
    grown: Growth,
    stretch: tuple[datetime, datetime],
    length: timedelta | None,
) -> list[Point]:
    """Return what was used at the hours, and at the crossing itself."""
    (start, end), at, used = stretch, alert.created_at, alert.used or 0
    hour = max(start, _hour_of(at))

    def counted(moment: datetime) -> int:
        return grown.between(start if length is None else moment - length, moment)

    # What the hours cannot tell: a reset, or what a lifetime had used before.
    most = used - counted(hour)
    least = most - grown.between(hour, _hour_of(at) + _HOUR)
    more = max(min(0, most), least)

    def point(moment: datetime) -> Point:
        value = max(0, counted(moment) + more)
        if length is None:
            value = min(value, used) if moment < at else max(value, used)
        return Point(moment, value, crossed=False)

    moments = {start, end, *_hours_between(start, end)}
    if start < hour:
        moments.add(hour)
    return sorted(
        [*map(point, moments - {at}), Point(at, used, crossed=True)],
        key=lambda each: each.at,
    )


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _hours_between(start: datetime, end: datetime) -> list[datetime]:
    """Return hours within a stretch, few enough to be drawn."""
    first = _hour_of(start) + _HOUR
    count = max(0, -int((first - end) // _HOUR))
    return [first + n * _HOUR for n in range(0, count, count // MOST + 1)]
