"""When a limit's window starts and ends, and the ring behind rolling windows.

Pure: no clock, no I/O; the moment comes in as an aware datetime.

Windows are half-open, `start <= t < end`, and compared as instants in UTC, never
as wall-clock times. Of the wall clock only three rules are needed:

* A day starts at the first instant at which its date, or a later one, is shown.
  So a missing midnight starts at the jump, a repeated midnight at its first
  occurrence, and a date that was skipped whole (Apia, 2011-12-30) has no window.
  Weeks, months, quarters and years start with their first day.
* An hour starts when the clock shows a full hour or jumps into another hour. So
  an hour that is repeated is two windows, and where the clock moves by 30 minutes
  (Lord Howe) one window lasts 90 minutes and one 30.
* Windows of one kind follow each other without gap or overlap.

A rolling window is kept as a ring: 60 buckets of `bucket_width` and one more slot
for the partial bucket at its far end. A bucket is charged until it has wholly
left, so the count is never too low, and never holds anything older than the
window plus two widths.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from policies.rules import CALENDAR_UNITS, Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

BUCKETS = 60
SLOTS = BUCKETS + 1

_SECOND = timedelta(seconds=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A window in time, `start <= t < end`, in UTC; no end for a lifetime."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class _Span:
    """Bounds that surely end, with the first date of the next window."""

    bounds: Bounds
    start: datetime
    end: datetime
    following: date | None


LIFETIME = Bounds(EPOCH, None)

# The span last asked for, per (unit, timezone, week start): almost every call is
# about the present. A lost race costs a computation, nothing else.
_latest: dict[tuple[str, str, int], _Span] = {}


def bounds(window: Window, moment: datetime) -> Bounds:
    """The calendar or lifetime window that holds a moment.

    Raises ValueError for the kinds whose start is not in the calendar (fixed,
    rolling), and what `calendar_bounds` raises.
    """
    kind = window.kind
    if kind == "calendar":
        return calendar_bounds(
            unit=window.unit or "",
            timezone=window.timezone,
            week_start=window.week_start,
            moment=moment,
        )
    if kind == "lifetime":
        return LIFETIME
    raise ValueError(f"a {kind} window has no bounds of its own")


def calendar_bounds(
    *, unit: str, timezone: str, week_start: int, moment: datetime
) -> Bounds:
    """The hour, day, week, month, quarter or year that holds a moment.

    `week_start` is the ISO weekday, 1 (Monday) to 7 (Sunday). Raises ValueError
    for an unknown unit, timezone or week start, for a naive moment, and for one
    so near to the years 1 and 9999 that its window leaves the calendar.
    """
    if moment.tzinfo is None:
        raise ValueError("the moment has no timezone")
    key = (unit, timezone, week_start)
    latest = _latest.get(key)
    if latest is not None and latest.start <= moment < latest.end:
        return latest.bounds
    if unit not in CALENDAR_UNITS:
        raise ValueError(f"unknown calendar unit: {unit}")
    if week_start not in range(1, 8):
        raise ValueError(f"unknown first day of the week: {week_start}")
    try:
        span = _span_at(unit, timezone, week_start, moment)
    except OverflowError:
        raise ValueError("the window leaves the calendar") from None
    _latest[key] = span
    return span.bounds


def fixed_bounds(*, start: datetime, seconds: int) -> Bounds:
    """The window of `seconds` that its first event opened at `start`."""
    return Bounds(start, start + timedelta(seconds=seconds))


def next_boundaries(window: Window, moment: datetime, count: int = 3) -> list[datetime]:
    """The next moments at which a calendar window starts anew, soonest first.

    Empty for a lifetime. Raises like `bounds`.
    """
    found: list[datetime] = []
    while len(found) < count:
        end = bounds(window, found[-1] if found else moment).end
        if end is None:
            break
        found.append(end)
    return found


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError):
        raise ValueError(f"unknown timezone: {name}") from None


def _span_at(unit: str, timezone: str, week_start: int, moment: datetime) -> _Span:
    zone = _zone(timezone)
    instant = moment.astimezone(UTC)
    if unit == "hour":
        return _span(_hour_start(zone, instant), _hour_end(zone, instant), None)
    # The date at the moment may be *behind* the window (where the clock goes back
    # across midnight), never ahead of it.
    day = instant.astimezone(zone).date()
    span = _dated_span(unit, timezone, week_start, day)
    while instant >= span.end and span.following is not None:
        span = _dated_span(unit, timezone, week_start, span.following)
    return span


def _span(start: datetime, end: datetime, following: date | None) -> _Span:
    return _Span(Bounds(start, end), start, end, following)


@lru_cache(maxsize=8192)
def _dated_span(unit: str, timezone: str, week_start: int, day: date) -> _Span:
    zone = _zone(timezone)
    first = _first_date(unit, week_start, day)
    following = _following_date(unit, first)
    return _span(_day_start(zone, first), _day_start(zone, following), following)


def _first_date(unit: str, week_start: int, day: date) -> date:
    if unit == "week":
        return day - timedelta(days=(day.isoweekday() - week_start) % 7)
    if unit == "month":
        return day.replace(day=1)
    if unit == "quarter":
        return date(day.year, day.month - (day.month - 1) % 3, 1)
    if unit == "year":
        return date(day.year, 1, 1)
    return day


def _following_date(unit: str, first: date) -> date:
    if unit == "day":
        return first + _DAY
    if unit == "week":
        return first + 7 * _DAY
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    years, month = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month + 1, 1)


def _day_start(zone: tzinfo, day: date) -> datetime:
    """The first instant at which the zone's clock shows this date or a later one."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    # There is no such midnight. `fold` says with which of the two offsets around
    # the jump it is read (PEP 495), which puts the jump between the two readings.
    earliest = midnight.replace(fold=1).astimezone(UTC)
    return _offset_change(zone, earliest, instant)


def _offset_change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The first instant in (before, after] with the offset that `after` has."""
    offset = after.astimezone(zone).utcoffset()
    low, high = 0, -((before - after) // _SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        at = after - middle * _SECOND
        if at.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return after - low * _SECOND


def _hour_start(zone: tzinfo, instant: datetime) -> datetime:
    local = instant.astimezone(zone)
    start = instant - _past_the_hour(local)
    if start.astimezone(zone).utcoffset() == local.utcoffset():
        return start
    change = _offset_change(zone, start, instant.replace(microsecond=0))
    if _starts_an_hour(zone, change):
        return change
    return _hour_start(zone, change - _SECOND)


def _hour_end(zone: tzinfo, instant: datetime) -> datetime:
    local = instant.astimezone(zone)
    end = instant - _past_the_hour(local) + _HOUR
    if end.astimezone(zone).utcoffset() == local.utcoffset():
        return end
    change = _offset_change(zone, instant.replace(microsecond=0), end)
    if _starts_an_hour(zone, change):
        return change
    return _hour_end(zone, change)


def _past_the_hour(local: datetime) -> timedelta:
    return timedelta(
        minutes=local.minute, seconds=local.second, microseconds=local.microsecond
    )


def _starts_an_hour(zone: tzinfo, change: datetime) -> bool:
    """Whether the clock's jump at this instant leads into another hour."""
    shown = change.astimezone(zone)
    before = (change - _SECOND).astimezone(zone)
    return not _past_the_hour(shown) or (
        (shown.date(), shown.hour) != (before.date(), before.hour)
    )


def bucket_width(seconds: int) -> int:
    """The width of a rolling window's bucket in microseconds, rounded up."""
    return -(-seconds * 1_000_000 // BUCKETS)


def bucket_of(moment: datetime, width: int) -> int:
    """The bucket that a moment falls in. Raises TypeError for a naive moment."""
    since = moment - EPOCH
    return (
        (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    ) // width


def advance(
    used: int, head: int, ring: list[int], bucket: int
) -> tuple[int, int, list[int]]:
    """Let go of what has left the window now that the clock stands at `bucket`.

    Changes `ring` (61 slots) in place and returns the new used, head and ring. A
    bucket at or behind the head changes nothing: a slower clock never moves it
    back. The bucket must be of a clock, never of an event that claims a later
    time, for that would let go of what still counts.
    """
    if bucket <= head:
        return used, head, ring
    if bucket - head >= SLOTS:
        used -= sum(ring)
        ring[:] = [0] * SLOTS
        return used, bucket, ring
    for passed in range(head + 1, bucket + 1):
        slot = passed % SLOTS
        used -= ring[slot]
        ring[slot] = 0
    return used, bucket, ring


def add(
    used: int, head: int, ring: list[int], bucket: int, amount: int
) -> tuple[int, int, list[int]]:
    """Charge an amount to its bucket, after an `advance` to it.

    A late amount goes to its own bucket while that is inside the window; what is
    older is dropped, because it has left already.
    """
    used, head, ring = advance(used, head, ring, bucket)
    if bucket > head - SLOTS:
        ring[bucket % SLOTS] += amount
        used += amount
    return used, head, ring


def free_at(
    used: int, head: int, ring: list[int], threshold: int, cost: int, width: int
) -> datetime | None:
    """When a call of this cost passes, if nothing else is charged; None = never.

    Pass used + held as `used`: what is held sits outside the ring and does not
    leave. An exhausted limit refuses even a call of cost 0, so at least 1 has to
    fit. A moment that is not after the present means that it fits already.
    """
    room = threshold - max(cost, 1)
    if used <= room:
        return _bucket_start(head, width)
    for bucket in range(head - BUCKETS, head + 1):
        used -= ring[bucket % SLOTS]
        if used <= room:
            return _bucket_start(bucket + SLOTS, width)
    return None


def oldest_leaves_at(head: int, ring: list[int], width: int) -> datetime | None:
    """When the oldest charge leaves the window; None if nothing is charged."""
    for bucket in range(head - BUCKETS, head + 1):
        if ring[bucket % SLOTS]:
            return _bucket_start(bucket + SLOTS, width)
    return None


def _bucket_start(bucket: int, width: int) -> datetime:
    return EPOCH + timedelta(microseconds=bucket * width)
