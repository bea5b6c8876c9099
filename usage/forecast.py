"""When a cap will be reached at this pace: pure, from the hours of four weeks.

The future is made of whole days of the past. A day of it is one of the past days of
its kind (working day or weekend), and the day after it is mostly the day that really
came next, so quiet nights, busy mornings and long runs stay what they are. Rotating
through the past days gives up to 28 such futures. At every hour the middle one is
what is expected, and 80 % of them lie between the 10 % and the 90 % path.

Where there is too little to go by, nothing is said: `Forecast.enough` is False.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

HISTORY = timedelta(days=28)
LEAST_DAYS = 7
LEAST_HOURS = 12
HORIZON = timedelta(days=92)
LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Point:
    """What will have been used by a moment: 10 %, 50 % and 90 % of the futures."""

    at: datetime
    low: int
    expected: int
    high: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What becomes of a counter by the end of its window, at the pace of four weeks.

    `enough` is False, and all else empty, if the history is too short or too thin;
    `reason` then says why: `too_short`, `too_thin`, or `over` for a window that has
    ended. `runs_out_at` is when the expected path reaches the threshold before
    `until`, else None; `earliest` and `latest` are when the 90 % and the 10 % path do.
    `until` is the reset, or as far as is looked ahead. `points` start now and end at
    `until`, at most one an hour; amounts are in the metric's unit.
    """

    enough: bool
    reason: str
    until: datetime
    runs_out_at: datetime | None = None
    earliest: datetime | None = None
    latest: datetime | None = None
    points: tuple[Point, ...] = ()

    @property
    def likely(self) -> bool:
        """Whether the cap is expected to be reached before the reset."""
        return self.runs_out_at is not None

    @property
    def possible(self) -> bool:
        """Whether one future in ten or more reaches the cap before the reset."""
        return self.earliest is not None


def forecast(
    *,
    now: datetime,
    used: int,
    threshold: int,
    resets_at: datetime | None,
    history: Mapping[datetime, int],
    since: datetime,
    timezone: str = "UTC",
    leaving: Sequence[tuple[datetime, int]] = (),
) -> Forecast:
    """Say whether and when a counter reaches its threshold before it resets.

    `used` is what the counter shows now (with what is held, if that is to count);
    `resets_at` is the end of its window, None if it has none: then 92 days are looked
    ahead. `history` maps the start of each hour to what was counted in it, hours
    without usage may be left out; it is complete from `since` to `now`. `timezone`
    says what a weekend is. For a rolling window, `resets_at` is `now` + its length and
    `leaving` is what leaves it when. All moments are aware; the result is in UTC.
    """
    now = now.astimezone(UTC)
    until = min(resets_at or now + HORIZON, now + HORIZON).astimezone(UTC)
    if until <= now:
        return Forecast(False, "over", until)
    if used >= threshold:
        return _reached(now, until, used)
    days = _past_days(now, history, since)
    if len(days) < LEAST_DAYS:
        return Forecast(False, "too_short", until)
    if sum(1 for day in days.values() for hour in day if hour > 0) < LEAST_HOURS:
        return Forecast(False, "too_thin", until)
    moments = _moments(now, until)
    paths = _paths(now, moments, days, ZoneInfo(timezone))
    gone = _gone(moments, leaving)
    points = tuple(
        _point(at, used - left, sorted(path[index] for path in paths))
        for index, (at, left) in enumerate(zip(moments, gone, strict=True))
    )
    return Forecast(
        True,
        "",
        until,
        runs_out_at=_crossing(points, threshold, "expected"),
        earliest=_crossing(points, threshold, "high"),
        latest=_crossing(points, threshold, "low"),
        points=points,
    )


def _reached(now: datetime, until: datetime, used: int) -> Forecast:
    points = (Point(now, used, used, used), Point(until, used, used, used))
    return Forecast(True, "", until, now, now, now, points)


def _past_days(
    now: datetime, history: Mapping[datetime, int], since: datetime
) -> dict[int, list[int]]:
    """Return the 24 hours of each whole past day, by how many days back it began.

    A day is the 24 hours up to the last full hour, so that "the same hour" needs no
    clock on the wall; the hour that is under way belongs to none.
    """
    last = _full_hour(now)
    first = max(since.astimezone(UTC), now - HISTORY)
    days = {}
    for back in range(1, HISTORY // _DAY + 1):
        start = last - back * _DAY
        if start + _HOUR <= first:
            break
        days[back] = [history.get(start + hour * _HOUR, 0) for hour in range(24)]
    return days


def _paths(
    now: datetime, moments: Sequence[datetime], days: dict[int, list[int]], zone: tzinfo
) -> list[list[float]]:
    """Return, for each future, what it adds by each moment."""
    last = _full_hour(now)
    kinds: dict[bool, list[list[int]]] = {True: [], False: []}
    for back in sorted(days, reverse=True):
        kinds[_is_weekend(last - back * _DAY, zone)].append(days[back])
    everything = [days[back] for back in sorted(days, reverse=True)]
    hours = -(-(moments[-1] - last) // _HOUR)
    paths = []
    for turn in range(len(everything)):
        amounts: list[int] = []
        seen = {True: 0, False: 0}
        for ahead in range(-(-hours // 24)):
            kind = _is_weekend(last + ahead * _DAY, zone)
            pool = kinds[kind] or everything
            amounts += pool[(turn + seen[kind]) % len(pool)]
            seen[kind] += 1
        paths.append(_added(last, now, moments, amounts))
    return paths


def _added(
    last: datetime, now: datetime, moments: Sequence[datetime], amounts: list[int]
) -> list[float]:
    """Return the running sum at each moment; within an hour it grows evenly."""
    sums = [0, *accumulate(amounts)]

    def by(moment: datetime) -> float:
        whole, rest = divmod(moment - last, _HOUR)
        part = amounts[whole] * (rest / _HOUR) if rest else 0
        return sums[whole] + part

    start = by(now)
    return [by(moment) - start for moment in moments]


def _moments(now: datetime, until: datetime) -> list[datetime]:
    """Return now, the full hours after it, and the end."""
    moments = [now]
    at = _full_hour(now) + _HOUR
    while at < until:
        moments.append(at)
        at += _HOUR
    moments.append(until)
    return moments


def _gone(
    moments: Sequence[datetime], leaving: Sequence[tuple[datetime, int]]
) -> list[int]:
    ordered = sorted(leaving)
    times = [at for at, _ in ordered]
    sums = [0, *accumulate(amount for _, amount in ordered)]
    return [sums[bisect_right(times, moment)] for moment in moments]


def _point(at: datetime, base: int, added: Sequence[float]) -> Point:
    low, expected, high = (
        base + round(_quantile(added, share)) for share in (LOW, MIDDLE, HIGH)
    )
    return Point(at, low, expected, high)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values, between neighbours in proportion."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _crossing(points: Sequence[Point], threshold: int, path: str) -> datetime | None:
    """Return when a path first reaches the threshold, between points evenly."""
    for before, after in pairwise(points):
        start, end = getattr(before, path), getattr(after, path)
        if end >= threshold > start:
            share = (threshold - start) / (end - start)
            return before.at + (after.at - before.at) * share
    return None


def _is_weekend(moment: datetime, zone: tzinfo) -> bool:
    return (moment + _DAY / 2).astimezone(zone).weekday() >= _SATURDAY


def _full_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
