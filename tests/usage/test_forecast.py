"""What a counter will have used: by table, and what always holds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage.forecast import HISTORY, HORIZON, forecast

# A Wednesday.
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
END = datetime(2026, 3, 5, tzinfo=UTC)


def hours(amount, *, days=28, now=NOW):
    """History that counts `amount(start)` in each hour of the last days."""
    last = now.replace(minute=0)
    starts = [last - (n + 1) * HOUR for n in range(days * 24)]
    return {start: amount(start) for start in starts}


def ask(history, **changes):
    given = {
        "now": NOW,
        "used": 0,
        "threshold": 1000,
        "resets_at": END,
        "history": history,
        "since": NOW - HISTORY,
    }
    return forecast(**given | changes)


def test_a_steady_pace_is_drawn_on():
    found = ask(hours(lambda _: 100), used=500)

    assert found.enough
    assert found.runs_out_at == NOW + 5 * HOUR
    assert (found.earliest, found.latest) == (found.runs_out_at, found.runs_out_at)
    assert found.points[0].expected == 500
    assert found.points[-1].expected == 1700
    assert found.likely
    assert found.possible


def test_what_lasts_until_the_reset_does_not_run_out():
    found = ask(hours(lambda _: 10), used=500)

    assert (found.runs_out_at, found.earliest) == (None, None)
    assert not found.possible
    assert found.points[-1].high == 620


def test_exactly_the_cap_at_the_reset_is_reached():
    assert ask(hours(lambda _: 100), threshold=1200).runs_out_at == END
    assert ask(hours(lambda _: 100), threshold=1201).runs_out_at is None


def test_nights_are_quiet_and_mornings_are_not():
    def office(start):
        return 100 if 8 <= start.hour < 18 else 0

    found = ask(
        hours(office), used=0, threshold=700, resets_at=END + DAY, timezone="UTC"
    )

    # Six busy hours are left today; the next one is at eight tomorrow.
    assert found.runs_out_at == datetime(2026, 3, 5, 9, tzinfo=UTC)


def test_weekends_are_not_working_days():
    def weekdays(start):
        return 10 if start.weekday() < 5 else 0

    # From Friday noon over the weekend: what is left of Friday, then nothing.
    friday = datetime(2026, 3, 6, 12, tzinfo=UTC)
    past = hours(weekdays, now=friday)
    found = forecast(
        now=friday,
        used=0,
        threshold=10_000,
        resets_at=datetime(2026, 3, 9, tzinfo=UTC),
        history=past,
        since=friday - HISTORY,
    )

    assert 100 <= found.points[-1].expected <= 240


def test_uneven_days_make_a_range():
    def uneven(start):
        return 200 if (NOW - start) // DAY % 2 else 20

    found = ask(hours(uneven), used=0, threshold=1500)

    assert found.earliest is not None
    assert found.latest is None
    assert found.points[-1].low < found.points[-1].high


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"since": NOW - 6 * DAY}, "too_short"),
        ({"history": {}}, "too_thin"),
        ({"history": {NOW - n * HOUR: 10_000 for n in range(1, 12)}}, "too_thin"),
        ({"resets_at": NOW}, "over"),
    ],
)
def test_too_little_to_go_by_is_said(changes, reason):
    found = ask(**{"history": hours(lambda _: 100)} | changes)

    assert (found.enough, found.reason) == (False, reason)
    assert (found.points, found.likely, found.possible) == ((), False, False)


def test_what_is_reached_already_needs_no_history():
    found = ask({}, used=1000)

    assert found.enough
    assert (found.runs_out_at, found.latest) == (NOW, NOW)


def test_without_a_reset_three_months_are_looked_ahead():
    found = ask(hours(lambda _: 1), resets_at=None, threshold=10**9)

    assert found.until == NOW + HORIZON
    assert found.points[-1].expected == 92 * 24


def test_what_leaves_a_rolling_window_makes_room():
    leaving = [(NOW + n * HOUR, 100) for n in range(1, 25)]
    found = ask(hours(lambda _: 100), used=900, resets_at=NOW + DAY, leaving=leaving)

    assert found.runs_out_at is not None or found.points[-1].expected == 900


def test_within_the_hour_the_rest_of_it_counts():
    now = NOW + HOUR / 2
    found = ask(hours(lambda _: 100), now=now, used=950, since=now - HISTORY)

    assert found.runs_out_at == now + HOUR / 2


amounts = st.lists(st.integers(0, 500), min_size=24 * 7, max_size=24 * 28)


@settings(max_examples=60, deadline=None)
@given(
    amounts=amounts,
    used=st.integers(0, 5_000),
    threshold=st.integers(1, 20_000),
    minutes=st.integers(1, 60 * 24 * 10),
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
)
def test_what_always_holds(amounts, used, threshold, minutes, zone):
    history = {NOW - (n + 1) * HOUR: amount for n, amount in enumerate(amounts)}
    resets_at = NOW + timedelta(minutes=minutes)
    found = ask(
        history, used=used, threshold=threshold, resets_at=resets_at, timezone=zone
    )
    if not found.enough:
        assert found.reason == "too_thin"
        return
    assert found.points[0].at == NOW
    assert found.points[-1].at == resets_at
    for before, after in zip(found.points, found.points[1:], strict=False):
        assert before.at < after.at
    for point in found.points:
        assert used <= point.low <= point.expected <= point.high
    for name, path in (("earliest", "high"), ("runs_out_at", "expected")):
        at = getattr(found, name)
        reached = getattr(found.points[-1], path) >= threshold
        assert (at is not None) == reached
        if at is not None:
            assert NOW <= at <= resets_at
    moments = [found.earliest, found.runs_out_at, found.latest]
    known = [moment for moment in moments if moment is not None]
    assert known == sorted(known)


@settings(max_examples=30, deadline=None)
@given(amounts=amounts, used=st.integers(0, 900), more=st.integers(1, 90))
def test_more_used_runs_out_no_later(amounts, used, more):
    history = {NOW - (n + 1) * HOUR: amount for n, amount in enumerate(amounts)}
    less = ask(history, used=used)
    further = ask(history, used=used + more)

    if less.enough and less.runs_out_at is not None:
        assert further.runs_out_at is not None
        assert further.runs_out_at <= less.runs_out_at
