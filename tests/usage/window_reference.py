"""Slow, obvious answers to what `usage.windows` computes.

They look at every minute of a stretch of time and know nothing of offsets.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def day_starts(
    zone: str, since: datetime, until: datetime, step: timedelta = MINUTE
) -> list[tuple[datetime, date]]:
    """Where a scan meets a date later than all it has seen, and which one."""
    clock = ZoneInfo(zone)
    latest = since.astimezone(clock).date()
    found = []
    instant = since
    while instant <= until:
        shown = instant.astimezone(clock).date()
        if shown > latest:
            latest = shown
            found.append((instant, shown))
        instant += step
    return found


def period_of(unit: str, week_start: int, day: date) -> tuple[int, ...]:
    """A name for the day, week, month, quarter or year that a date lies in."""
    if unit == "week":
        return (day - timedelta(days=week_start - 1)).isocalendar()[:2]
    return {
        "day": (day.year, day.month, day.day),
        "month": (day.year, day.month),
        "quarter": (day.year, (day.month + 2) // 3),
        "year": (day.year,),
    }[unit]


def period_starts(
    unit: str, week_start: int, days: list[tuple[datetime, date]]
) -> list[datetime]:
    """The starts of those days that lie in another period than the day before."""
    names = [period_of(unit, week_start, day) for _, day in days]
    return [days[i][0] for i in range(1, len(days)) if names[i] != names[i - 1]]


def hour_starts(zone: str, since: datetime, until: datetime) -> list[datetime]:
    """The minutes that show a full hour, or another hour than the minute before."""
    clock = ZoneInfo(zone)
    found = []
    before = (since - MINUTE).astimezone(clock)
    instant = since
    while instant <= until:
        shown = instant.astimezone(clock)
        if shown.minute == 0 or (shown.date(), shown.hour) != (
            before.date(),
            before.hour,
        ):
            found.append(instant)
        before = shown
        instant += MINUTE
    return found


def around(starts: list[datetime], moment: datetime) -> tuple[datetime, datetime]:
    """The start at or before a moment, and the one after it."""
    return (
        max(start for start in starts if start <= moment),
        min(start for start in starts if start > moment),
    )


def utc(text: str) -> datetime:
    """An instant from its ISO form without the zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
