"""What past windows of a limit held, for the picture of a cap on past usage.

Reads rollups, which are of hours: a window that is shorter, or that does not begin on
the hour, is shown as the hours that it touches. Where a policy counts apart for each
bot or user, the busiest one is drawn.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Final, NamedTuple

from accounts import ids
from accounts.models import Account
from dashboard import charts
from policies.rules import Limit, UsageRule, Window
from usage.reports import Filters, Group, Report, Slice, grain_of
from usage.windows import calendar_bounds

# How many bars there are of each unit; an hour's are the fullest hours of days.
BARS: Final = {"week": 12, "month": 6, "quarter": 4, "year": 2}
DAYS: Final = 30
_HOUR: Final = 3_600
_DAY: Final = 86_400
_TICK: Final = timedelta(microseconds=1)


class Bucket(NamedTuple):
    """A bar: when its window (or its day) begins, and how much it held."""

    start: datetime
    value: int


@dataclass(frozen=True, slots=True)
class PastWindows:
    """The past of one limit.

    `per` says what a bar is: a unit of the calendar, `hour` and `span` for the fullest
    hour or span of each day, `total` for all since the beginning. `group` is the field
    whose busiest value, `busiest`, is drawn; `mixed` says that the policy counts apart
    by more than that.
    """

    limit: Limit
    per: str
    buckets: tuple[Bucket, ...]
    capped: charts.Capped
    group: str | None
    busiest: Group
    mixed: bool

    @property
    def peak(self) -> Bucket | None:
        """The fullest."""
        place = self.capped.drawn.peak
        return None if place is None else self.buckets[place]

    @property
    def last(self) -> Bucket:
        """The one that is not over yet."""
        return self.buckets[-1]

    @property
    def marks(self) -> list[tuple[Bucket, charts.Bar, bool]]:
        """Each with its bar, and whether it reached the threshold."""
        over = set(self.capped.over)
        laid = zip(self.buckets, self.capped.drawn.bars, strict=True)
        return [(bucket, bar, n in over) for n, (bucket, bar) in enumerate(laid)]

    @property
    def stops(self) -> tuple[charts.Stop, ...]:
        """Other thresholds, and how many bars would have reached each."""
        return charts.stops([each.value for each in self.buckets], self.limit.threshold)

    @property
    def reached(self) -> list[Bucket]:
        """Those that held the threshold or more."""
        return [self.buckets[place] for place in self.capped.over]


def past_windows(
    account: Account, rule: UsageRule, limit: Limit, now: datetime
) -> PastWindows:
    """Return what a limit's windows held in the last weeks."""
    edges, grain, per = _edges(account, limit.window, now)
    filters = _filters(rule)
    group = next((each for each in rule.group_by if not _fixed(rule, each)), None)
    report = Report(account, filters, group)
    busiest = _busiest(report, limit, edges, grain) if group else None
    groups = [] if busiest is None else [busiest]
    rows = report.series(edges, grain, groups) if busiest or not group else []
    values = [0] * (len(edges) - 1)
    for row in rows:
        if 0 <= row.bucket < len(values) and row.group == busiest:
            values[row.bucket] += row.sums[limit.metric]
    buckets = _buckets(account, limit.window, edges, values, now)
    return PastWindows(
        limit=limit,
        per=per,
        buckets=tuple(buckets),
        capped=charts.capped([each.value for each in buckets], limit.threshold),
        group=group,
        busiest=busiest,
        mixed=sum(not _fixed(rule, each) for each in rule.group_by) > 1,
    )


def _fixed(rule: UsageRule, field: str) -> bool:
    """Say whether the scope leaves but one value of a field."""
    value = getattr(rule.scope, field)
    return value is not None and not (field == "model" and value.endswith("*"))


def _filters(rule: UsageRule) -> Filters:
    scope, named = rule.scope, dict[str, Any]()
    if scope.project is not None:
        named["project"] = ids.decode_id("prj", scope.project)
    if scope.bot is not None:
        named["bot"] = ids.decode_id("bot", scope.bot)
    if scope.user is not None:
        named["user"] = scope.user
    if scope.model is not None:
        starred = scope.model.endswith("*")
        named["models" if starred else "model"] = scope.model.removesuffix("*")
    return Filters(**named)


def _busiest(
    report: Report, limit: Limit, edges: Sequence[datetime], grain: str
) -> Group:
    whole = [Slice(grain, edges[0], edges[-1])]
    found = report.totals(whole, order=(limit.metric,), limit=2)
    return next((group for group, _ in found if group is not None), None)


def _edges(
    account: Account, window: Window, now: datetime
) -> tuple[list[datetime], str, str]:
    """Return where the rows' buckets begin, their grain, and what a bar is."""
    if window.kind == "calendar" and window.unit != "hour":
        unit = window.unit or "day"
        same = window.timezone == account.timezone
        count = BARS.get(unit, DAYS)
        return _calendar(window, now, count), grain_of(unit) if same else "hour", unit
    if window.kind == "lifetime":
        day = Window("calendar", unit="day", timezone=account.timezone)
        return _calendar(day, now, DAYS), "day", "total"
    if (window.seconds or 0) > 7 * _DAY:
        day = Window("calendar", unit="day", timezone=account.timezone)
        more = min(90, -(-(window.seconds or 0) // _DAY))
        return _calendar(day, now, DAYS + more), "day", "span"
    hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    hours = DAYS * 24 + _width(window)
    edges = [hour - timedelta(hours=back) for back in range(hours, -1, -1)]
    return edges, "hour", "hour" if _width(window) == 1 else "span"


def _calendar(window: Window, now: datetime, count: int) -> list[datetime]:
    edges: list[datetime] = []
    moment = now
    for _ in range(count):
        found = calendar_bounds(
            unit=window.unit or "day",
            timezone=window.timezone,
            week_start=window.week_start,
            moment=moment,
        )
        if not edges:
            edges.append(found.end or now)
        edges.append(found.start or now)
        moment = edges[-1] - _TICK
    return edges[::-1]


def _width(window: Window) -> int:
    """Return how many buckets a span takes."""
    seconds = window.seconds or _HOUR
    size = _DAY if seconds > 7 * _DAY else _HOUR
    return max(1, -(-seconds // size))


def _buckets(
    account: Account,
    window: Window,
    edges: Sequence[datetime],
    values: Sequence[int],
    now: datetime,
) -> list[Bucket]:
    starts = edges[:-1]
    if window.kind == "calendar" and window.unit != "hour":
        return list(map(Bucket, starts, values))
    if window.kind == "lifetime":
        return list(map(Bucket, starts, accumulate(values)))
    spans = _rolled(values, _width(window))
    calendar = window.kind == "calendar"
    zone = window.timezone if calendar else account.timezone
    return _fullest_of_days(zone, starts, spans, now)


def _rolled(values: Sequence[int], width: int) -> list[int]:
    """Return for each bucket what it and those before it hold together."""
    sums = list(accumulate(values, initial=0))
    return [sums[n + 1] - sums[max(0, n + 1 - width)] for n in range(len(values))]


def _fullest_of_days(
    zone: str, starts: Iterable[datetime], values: Iterable[int], now: datetime
) -> list[Bucket]:
    day = Window("calendar", unit="day", timezone=zone)
    edges = _calendar(day, now, DAYS)
    fullest = [0] * DAYS
    for start, value in zip(starts, values, strict=True):
        place = bisect_right(edges, start) - 1
        if 0 <= place < DAYS:
            fullest[place] = max(fullest[place], value)
    return list(map(Bucket, edges[:-1], fullest))
