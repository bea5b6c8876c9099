"""A rolling window's ring against a plain list of events (B2)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage.windows import (
    BUCKETS,
    EPOCH,
    SLOTS,
    add,
    advance,
    bucket_of,
    bucket_width,
    free_at,
    oldest_leaves_at,
)

MICROSECOND = timedelta(microseconds=1)
START = datetime(2026, 11, 21, 4, 10, 5, 123_456, tzinfo=UTC)
LONGEST = 366 * 86_400

spans = st.one_of(st.sampled_from([60, 61, 3_600, 86_400]), st.integers(60, LONGEST))


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


@dataclass
class Both:
    """The ring, and beside it every event that was ever charged."""

    seconds: int
    now: datetime = START
    events: list[tuple[datetime, int]] = field(default_factory=list)

    def __post_init__(self):
        self.width = bucket_width(self.seconds)
        self.used, self.head, self.ring = 0, bucket_of(self.now, self.width), [0] * 61

    def step(self, wait: float, age: float, amount: int) -> None:
        """Let some time pass, then charge what happened some time ago."""
        self.now += timedelta(seconds=self.seconds * wait)
        at = self.now - timedelta(seconds=self.seconds * age)
        self.look()
        self.used, self.head, self.ring = add(
            self.used, self.head, self.ring, bucket_of(at, self.width), amount
        )
        self.events.append((at, amount))

    def look(self) -> None:
        self.used, self.head, self.ring = advance(
            self.used, self.head, self.ring, bucket_of(self.now, self.width)
        )

    def younger_than(self, age: timedelta) -> int:
        return sum(amount for at, amount in self.events if self.now - at < age)

    def used_at(self, moment: datetime) -> int:
        """What the ring would say later, if nothing else came."""
        bucket = bucket_of(moment, self.width)
        return advance(self.used, self.head, list(self.ring), bucket)[0]


# Bursts, pauses that pass the whole window, and late events, in window lengths.
waits = st.one_of(st.just(0.0), st.floats(0, 0.05), st.floats(0, 1.5))
ages = st.one_of(st.just(0.0), st.floats(0, 1.2))
streams = st.builds(
    lambda seconds, steps: (seconds, steps),
    spans,
    st.lists(st.tuples(waits, ages, st.integers(0, 1_000)), max_size=60),
)


def played(stream):
    seconds, steps = stream
    both = Both(seconds)
    for step in steps:
        both.step(*step)
    return both


@given(streams)
@settings(max_examples=200, deadline=None)
def test_a_ring_never_counts_too_little_and_hardly_too_much(stream):
    seconds, steps = stream
    both = Both(seconds)
    window = timedelta(seconds=seconds)
    for step in steps:
        both.step(*step)
        assert both.used == sum(both.ring)
        assert both.used >= both.younger_than(window)
        assert both.used <= both.younger_than(window + 2 * both.width * MICROSECOND)


@given(streams, st.floats(0, 3))
@settings(max_examples=100, deadline=None)
def test_what_has_left_is_forgotten_when_nothing_is_charged(stream, wait):
    both = played(stream)
    window = timedelta(seconds=both.seconds)
    both.now += window * wait
    both.look()
    assert both.used >= both.younger_than(window)
    assert both.used <= both.younger_than(window + 2 * both.width * MICROSECOND)


@given(streams, st.integers(0, 3_000), st.integers(0, 1_000), st.integers(0, 500))
@settings(max_examples=200, deadline=None)
def test_free_at_is_exact_to_the_microsecond(stream, threshold, cost, held):
    both = played(stream)
    needed = max(cost, 1)
    found = free_at(both.used + held, both.head, both.ring, threshold, cost, both.width)
    fits = [
        moment
        for ahead in range(SLOTS + 1)
        if both.used_at(
            moment := EPOCH + (both.head + ahead) * both.width * MICROSECOND
        )
        + held
        + needed
        <= threshold
    ]
    assert found == (min(fits) if fits else None)
    if found is None:
        assert held + needed > threshold
    elif found > both.now:
        assert both.used_at(found - MICROSECOND) + held + needed > threshold


@given(streams)
@settings(max_examples=100, deadline=None)
def test_the_oldest_charge_leaves_when_used_first_falls(stream):
    both = played(stream)
    found = oldest_leaves_at(both.head, both.ring, both.width)
    if found is None:
        assert both.used == 0
    else:
        assert found > both.now
        assert both.used_at(found - MICROSECOND) == both.used
        assert both.used_at(found) < both.used


@given(streams, st.integers(-200, 0))
def test_a_slower_clock_changes_nothing(stream, behind):
    both = played(stream)
    ring = list(both.ring)
    assert advance(both.used, both.head, ring, both.head + behind) == (
        both.used,
        both.head,
        both.ring,
    )


@given(streams, st.integers(0, 200))
def test_passing_buckets_one_by_one_or_at_once_is_the_same(stream, ahead):
    both = played(stream)
    at_once = advance(both.used, both.head, list(both.ring), both.head + ahead)
    state = (both.used, both.head, list(both.ring))
    for bucket in range(both.head, both.head + ahead + 1):
        state = advance(*state, bucket)
    assert state == at_once


@given(spans, st.integers(0, 10**15))
def test_a_bucket_holds_the_moments_of_its_width(seconds, at):
    width = bucket_width(seconds)
    moment = EPOCH + at * MICROSECOND
    bucket = bucket_of(moment, width)
    assert bucket == at // width
    assert bucket * width <= micros(moment) < (bucket + 1) * width


@given(st.integers(60, LONGEST))
def test_sixty_widths_cover_the_window_and_hardly_more(seconds):
    assert 0 <= bucket_width(seconds) * BUCKETS - seconds * 1_000_000 < BUCKETS


def test_buckets_before_1970_go_on_counting_down():
    assert bucket_of(EPOCH - MICROSECOND, 1_000_000) == -1


def test_a_charge_counts_until_its_bucket_has_wholly_left():
    both = Both(60, now=datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC))
    both.step(0, 0, 7)
    leaves = datetime(2026, 1, 1, 0, 1, 1, tzinfo=UTC)
    assert both.used_at(leaves - MICROSECOND) == 7
    assert both.used_at(leaves) == 0
    assert oldest_leaves_at(both.head, both.ring, both.width) == leaves
    assert free_at(7, both.head, both.ring, 7, 1, both.width) == leaves


def test_a_late_charge_outside_the_window_is_dropped():
    both = Both(60, now=datetime(2026, 1, 1, tzinfo=UTC))
    both.step(0, 61 / 60, 7)
    assert both.used == 0
    both.step(0, 1, 7)
    assert both.used == 7


@pytest.mark.parametrize(
    ("used", "threshold", "cost", "expected"),
    [
        (0, 10, 10, "now"),  # exactly the remainder passes
        (10, 10, 0, "later"),  # an exhausted limit refuses even an unknown cost
        (9, 10, 0, "now"),
        (1, 10, 10, "later"),
        (1, 10, 11, None),  # more than the limit: never
        (0, 0, 0, None),  # nothing may ever pass
    ],
)
def test_when_a_call_passes(used, threshold, cost, expected):
    width = bucket_width(60)
    head = bucket_of(START, width)
    state = add(0, head, [0] * SLOTS, head, used)
    found = free_at(*state, threshold, cost, width)
    moments = {
        "now": EPOCH + head * width * MICROSECOND,
        "later": EPOCH + (head + SLOTS) * width * MICROSECOND,
        None: None,
    }
    assert found == moments[expected]


def test_what_is_held_does_not_leave():
    width = bucket_width(60)
    head = bucket_of(START, width)
    used, head, ring = add(0, head, [0] * SLOTS, head, 5)
    assert free_at(used + 5, head, ring, 10, 6, width) is None
    assert free_at(used + 5, head, ring, 10, 5, width) is not None
