"""Calendar windows are right as instants, wherever the clock jumps (B2)."""

from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.rules import Window
from tests.usage.window_reference import (
    around,
    day_starts,
    hour_starts,
    period_starts,
    utc,
)
from usage.windows import (
    EPOCH,
    LIFETIME,
    bounds,
    calendar_bounds,
    fixed_bounds,
    next_boundaries,
)

SECOND = timedelta(seconds=1)
# Where clocks moved in a way worth meeting.
JUMPS = (
    ("Africa/Cairo", "2026-04-23T22:00"),  # no midnight
    ("America/Havana", "2026-11-01T05:00"),  # midnight twice
    ("America/Santiago", "2026-09-06T04:00"),  # no midnight
    ("America/Sao_Paulo", "2018-02-18T02:00"),  # from midnight back to 23:00
    ("America/St_Johns", "2005-04-03T03:31"),  # forward, a minute past midnight
    ("America/St_Johns", "2010-11-07T02:31"),  # back across midnight
    ("America/Toronto", "1919-03-31T04:30"),  # from 23:30 to 0:30
    ("Antarctica/Troll", "2026-10-25T01:00"),  # back by two hours
    ("Asia/Beirut", "2026-03-28T22:00"),  # no midnight
    ("Asia/Pyongyang", "2015-08-14T15:00"),  # back by half an hour, to 23:30
    ("Asia/Pyongyang", "2018-05-04T15:00"),  # from 23:30 to midnight
    ("Atlantic/Azores", "2026-10-25T01:00"),  # back to midnight
    ("Australia/Lord_Howe", "2026-04-04T15:00"),  # back by half an hour
    ("Australia/Lord_Howe", "2026-10-03T15:30"),  # forward by half an hour
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),  # a date left out
    ("Pacific/Chatham", "2026-04-04T14:00"),  # back, at a quarter to four
)

near_jumps = st.builds(
    lambda jump, span, part: (jump[0], utc(jump[1]) + timedelta(seconds=span * part)),
    st.sampled_from(JUMPS),
    st.sampled_from([3_600, 7_200, 90_000]),
    st.floats(-1, 1),
)
anywhere = st.tuples(
    st.sampled_from([zone for zone, _ in JUMPS] + ["UTC", "Asia/Kathmandu"]),
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
)
places = near_jumps | anywhere


def window(unit, zone, moment, week_start=1):
    found = calendar_bounds(
        unit=unit, timezone=zone, week_start=week_start, moment=moment
    )
    return found.start, found.end


@pytest.mark.parametrize(
    ("unit", "zone", "moment", "start", "end"),
    [
        ("day", "UTC", "2026-02-28T23:59:59.999999", "2026-02-28", "2026-03-01"),
        ("day", "UTC", "2026-03-01", "2026-03-01", "2026-03-02"),
        # 23, 25 and 24.5 hours; 23.5 in the other half of the year.
        ("day", "Europe/Berlin", "2026-03-29T12", "2026-03-28T23", "2026-03-29T22"),
        ("day", "Europe/Berlin", "2026-10-25T12", "2026-10-24T22", "2026-10-25T23"),
        (
            "day",
            "Australia/Lord_Howe",
            "2026-04-04T20",
            "2026-04-04T13",
            "2026-04-05T13:30",
        ),
        (
            "day",
            "Australia/Lord_Howe",
            "2026-10-04T00",
            "2026-10-03T13:30",
            "2026-10-04T13",
        ),
        # No midnight: the day starts at the jump.
        ("day", "America/Santiago", "2026-09-06T12", "2026-09-06T04", "2026-09-07T03"),
        ("day", "Asia/Beirut", "2026-03-29T12", "2026-03-28T22", "2026-03-29T21"),
        ("day", "Africa/Cairo", "2026-04-24T12", "2026-04-23T22", "2026-04-24T21"),
        (
            "day",
            "America/Toronto",
            "1919-03-31T12",
            "1919-03-31T04:30",
            "1919-04-01T04",
        ),
        # Midnight twice: the day starts at the first.
        ("day", "America/Havana", "2026-11-01T12", "2026-11-01T04", "2026-11-02T05"),
        ("day", "America/Havana", "2026-11-01T04:30", "2026-11-01T04", "2026-11-02T05"),
        ("day", "Atlantic/Azores", "2026-10-25T00:30", "2026-10-25", "2026-10-26T01"),
        # The evening that comes again after its own midnight stays in the new day.
        (
            "day",
            "America/St_Johns",
            "2010-11-07T02:40",
            "2010-11-07T02:30",
            "2010-11-08T03:30",
        ),
        # 2011-12-30 was left out.
        ("day", "Pacific/Apia", "2011-12-30T09", "2011-12-29T10", "2011-12-30T10"),
        ("day", "Pacific/Apia", "2011-12-30T10", "2011-12-30T10", "2011-12-31T10"),
        ("month", "Pacific/Apia", "2011-12-30T10", "2011-12-01T10", "2011-12-31T10"),
        ("month", "Asia/Beirut", "2026-03-31", "2026-02-28T22", "2026-03-31T21"),
        ("month", "UTC", "2028-02-29T23", "2028-02-01", "2028-03-01"),
        ("quarter", "UTC", "2026-03-31T23", "2026-01-01", "2026-04-01"),
        ("quarter", "UTC", "2026-12-31T23", "2026-10-01", "2027-01-01"),
        (
            "quarter",
            "America/New_York",
            "2026-04-01T03",
            "2026-01-01T05",
            "2026-04-01T04",
        ),
        ("year", "Asia/Kathmandu", "2026-12-31T18:15", "2026-12-31T18:15", None),
        ("hour", "UTC", "2026-01-01T10:59:59", "2026-01-01T10", "2026-01-01T11"),
        (
            "hour",
            "Asia/Kathmandu",
            "2026-01-01T10:30",
            "2026-01-01T10:15",
            "2026-01-01T11:15",
        ),
        # A repeated hour is two windows.
        ("hour", "Europe/Berlin", "2026-10-25T00:30", "2026-10-25", "2026-10-25T01"),
        ("hour", "Europe/Berlin", "2026-10-25T01:30", "2026-10-25T01", "2026-10-25T02"),
        # 1:00 to 2:00, back to 1:30, and 2:00 again: 90 minutes without a full hour.
        (
            "hour",
            "Australia/Lord_Howe",
            "2026-04-04T15:10",
            "2026-04-04T14",
            "2026-04-04T15:30",
        ),
        (
            "hour",
            "Australia/Lord_Howe",
            "2026-04-04T14:10",
            "2026-04-04T14",
            "2026-04-04T15:30",
        ),
        # 2:00 is left out: the hour starts at 2:30.
        (
            "hour",
            "Australia/Lord_Howe",
            "2026-10-03T15:45:00.5",
            "2026-10-03T15:30",
            "2026-10-03T16",
        ),
    ],
)
def test_known_windows(unit, zone, moment, start, end):
    found = window(unit, zone, utc(moment))
    assert found == (utc(start), utc(end or "2027-12-31T18:15"))


@pytest.mark.parametrize(
    ("week_start", "start"),
    [
        (1, "2026-11-16"),
        (2, "2026-11-17"),
        (3, "2026-11-18"),
        (4, "2026-11-19"),
        (5, "2026-11-20"),
        (6, "2026-11-21"),
        (7, "2026-11-15"),
    ],
)
def test_a_week_starts_on_the_day_it_should(week_start, start):
    saturday = utc("2026-11-21T04:10")
    assert window("week", "UTC", saturday, week_start) == (
        utc(start),
        utc(start) + timedelta(days=7),
    )


@given(places)
@settings(max_examples=60, deadline=None)
def test_days_are_what_a_scan_of_every_minute_finds(place):
    zone, moment = place
    floor = moment.replace(second=0, microsecond=0)
    starts = day_starts(zone, floor - timedelta(hours=50), floor + timedelta(hours=74))
    expected = around([start for start, _ in starts], moment)
    assert window("day", zone, moment) == expected


@given(places)
@settings(max_examples=200, deadline=None)
def test_hours_are_what_a_scan_of_every_minute_finds(place):
    zone, moment = place
    floor = moment.replace(second=0, microsecond=0)
    starts = hour_starts(zone, floor - timedelta(hours=3), floor + timedelta(hours=3))
    assert window("hour", zone, moment) == around(starts, moment)


@cache
def scanned_days(zone: str) -> list[tuple[datetime, date]]:
    """Three years of days, by the quarter of an hour."""
    quarter = timedelta(minutes=15)
    return day_starts(zone, utc("2024-12-20"), utc("2027-01-20"), quarter)


@pytest.mark.parametrize("unit", ["week", "month", "quarter", "year"])
@given(
    zone=st.sampled_from(
        ["Africa/Cairo", "America/Santiago", "Asia/Beirut", "Australia/Lord_Howe"]
    ),
    week_start=st.integers(1, 7),
    moment=st.datetimes(
        datetime(2025, 1, 2), datetime(2026, 12, 29), timezones=st.just(UTC)
    ),
)
@settings(max_examples=40, deadline=None)
def test_longer_windows_are_made_of_whole_days(unit, zone, week_start, moment):
    starts = period_starts(unit, week_start, scanned_days(zone))
    assert window(unit, zone, moment, week_start) == around(starts, moment)


def sampled_moments(zone: str) -> list[datetime]:
    """For a zone: every offset change of some years to the day, and plain days."""
    clock = ZoneInfo(zone)
    found = [utc("1999-12-31T23:30"), utc("2026-11-21T04:10"), utc("2044-02-29T12")]
    for year in (1993, 2011, 2026):
        days = [
            datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(366)
        ]
        offsets = [day.astimezone(clock).utcoffset() for day in days]
        found += [
            days[n] + timedelta(hours=hours)
            for n in range(1, 366)
            if offsets[n] != offsets[n - 1]
            for hours in (-24, 0)
        ]
    return found


@pytest.mark.parametrize("letter", sorted({name[0] for name in available_timezones()}))
def test_in_every_zone_a_day_starts_where_its_date_first_shows(letter):
    for zone in sorted(available_timezones()):
        if not zone.startswith(letter):
            continue
        clock = ZoneInfo(zone)
        for moment in sampled_moments(zone):
            start, end = window("day", zone, moment)
            assert start <= moment < end
            assert window("day", zone, start) == (start, end)
            assert window("day", zone, end)[0] == end
            for edge in (start, end):
                shown = edge.astimezone(clock).date()
                # The minute, the hours and the day before all show earlier dates.
                for before in (1, 60, 1_800, *range(3_600, 97_200, 10_800)):
                    earlier = (edge - before * SECOND).astimezone(clock)
                    assert earlier.date() < shown
            # And within the window no later date shows.
            first = start.astimezone(clock).date()
            for after in range(0, int((end - start).total_seconds()), 1_800):
                assert (start + after * SECOND).astimezone(clock).date() <= first


@given(
    places,
    st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]),
    st.integers(1, 7),
)
@settings(deadline=None)
def test_windows_follow_each_other_without_gap_or_overlap(place, unit, week_start):
    zone, moment = place
    start, end = window(unit, zone, moment, week_start)
    assert start <= moment < end
    assert window(unit, zone, start, week_start) == (start, end)
    assert window(unit, zone, end - timedelta(microseconds=1), week_start) == (
        start,
        end,
    )
    assert window(unit, zone, end, week_start)[0] == end
    last = window(unit, zone, start - timedelta(microseconds=1), week_start)
    assert last[1] == start


@given(places, st.integers(-14, 14))
@settings(deadline=None)
def test_the_zone_a_moment_is_written_in_does_not_matter(place, hours):
    zone, moment = place
    elsewhere = moment.astimezone(timezone(timedelta(hours=hours)))
    found = calendar_bounds(unit="day", timezone=zone, week_start=1, moment=elsewhere)
    assert (found.start, found.end) == window("day", zone, moment)
    assert found.start.tzinfo is UTC
    assert found.end is not None
    assert found.end.tzinfo is UTC


def test_the_answer_does_not_depend_on_what_was_asked_before():
    today, yesterday = utc("2026-11-21T04:10"), utc("2026-11-20T04:10")
    first = [window("day", "America/Santiago", at) for at in (today, yesterday)]
    second = [window("day", "America/Santiago", at) for at in (yesterday, today)]
    assert first == second[::-1]


@pytest.mark.parametrize(
    ("unit", "zone", "week_start", "moment"),
    [
        ("fortnight", "UTC", 1, utc("2026-01-01")),
        ("", "UTC", 1, utc("2026-01-01")),
        ("day", "Mars/Olympus", 1, utc("2026-01-01")),
        ("day", "", 1, utc("2026-01-01")),
        ("day", "../etc/passwd", 1, utc("2026-01-01")),
        ("day", "Europe", 1, utc("2026-01-01")),
        ("week", "UTC", 0, utc("2026-01-01")),
        ("week", "UTC", 8, utc("2026-01-01")),
        ("day", "UTC", 1, datetime(2026, 1, 1)),
        ("year", "UTC", 1, utc("9999-06-01")),
        ("day", "America/New_York", 1, utc("0001-01-01")),
        ("hour", "Asia/Tokyo", 1, utc("9999-12-31T23:30")),
        ("week", "UTC", 7, utc("0001-01-01")),
    ],
)
def test_what_has_no_window_is_refused(unit, zone, week_start, moment):
    with pytest.raises(ValueError, match=r"\w"):
        window(unit, zone, moment, week_start)


def test_a_lifetime_has_no_end():
    assert bounds(Window(kind="lifetime"), utc("2026-01-01")) == LIFETIME
    assert (LIFETIME.start, LIFETIME.end) == (EPOCH, None)


def test_a_policy_window_is_read_by_its_fields():
    weekly = Window(kind="calendar", unit="week", timezone="Asia/Beirut", week_start=7)
    found = bounds(weekly, utc("2026-11-21T04:10"))
    assert (found.start, found.end) == (utc("2026-11-14T22"), utc("2026-11-21T22"))


@pytest.mark.parametrize("kind", ["fixed", "rolling"])
def test_other_windows_have_no_bounds_in_the_calendar(kind):
    with pytest.raises(ValueError, match=kind):
        bounds(Window(kind=kind, seconds=3600), utc("2026-01-01"))
    with pytest.raises(ValueError, match=kind):
        next_boundaries(Window(kind=kind, seconds=3600), utc("2026-01-01"))


def test_a_fixed_window_lasts_its_seconds():
    found = fixed_bounds(start=utc("2026-03-29T00:30"), seconds=90)
    assert (found.start, found.end) == (
        utc("2026-03-29T00:30"),
        utc("2026-03-29T00:31:30"),
    )


def test_the_next_boundaries_are_the_ones_that_enforce():
    daily = Window(kind="calendar", unit="day", timezone="America/Santiago")
    assert next_boundaries(daily, utc("2026-09-05T04")) == [
        utc("2026-09-06T04"),
        utc("2026-09-07T03"),
        utc("2026-09-08T03"),
    ]
    assert next_boundaries(daily, utc("2026-09-05T03:59"), 1) == [utc("2026-09-05T04")]
    assert next_boundaries(Window(kind="lifetime"), utc("2026-09-05")) == []
