import itertools
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decision import (
    block_end,
    covers_bot_wholly,
    crossed_steps,
    crossing,
    status,
    triggered,
)
from policies.rules import Scope

NOW = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
amounts = st.integers(0, 300) | st.integers(0, 2**53 - 1)


@pytest.mark.parametrize(
    ("threshold", "used", "verdict"),
    [(10, 9, False), (10, 10, True), (10, 11, True), (0, 0, True)],
)
def test_c1_a_limit_is_triggered_at_its_threshold(threshold, used, verdict):
    assert triggered(threshold, used) is verdict


@pytest.mark.parametrize(
    ("threshold", "before", "after", "steps"),
    [
        (1000, 0, 799, ()),
        (1000, 0, 800, (80,)),
        (1000, 800, 999, ()),
        (1000, 799, 1000, (80, 100)),
        (1000, 1000, 5000, ()),
        (1000, 900, 700, ()),
        (3, 0, 2, ()),
        (3, 2, 3, (80, 100)),
        (1, 0, 1, (80, 100)),
        (0, 0, 1, (80, 100)),
        (0, 1, 2, ()),
    ],
)
def test_steps_are_crossed_once_on_the_way_up(threshold, before, after, steps):
    crossed = crossed_steps(
        threshold=threshold, before=before, after=after, steps=(80, 100)
    )

    assert crossed == steps


@given(
    st.integers(1, 300) | st.integers(1, 2**53 - 1),
    st.lists(amounts, min_size=2, max_size=6),
    st.sets(st.integers(1, 100), min_size=1),
)
def test_d1_climbing_by_any_path_crosses_each_reached_step_exactly_once(
    threshold, path, steps
):
    path = sorted([0, *path])
    crossed = [
        step
        for before, after in itertools.pairwise(path)
        for step in crossed_steps(
            threshold=threshold, before=before, after=after, steps=sorted(steps)
        )
    ]

    assert crossed == [
        step for step in sorted(steps) if path[-1] >= Fraction(threshold * step, 100)
    ]


@given(st.integers(1, 2**53 - 1), amounts, amounts)
def test_a_crossing_is_the_moment_a_limit_gets_triggered(threshold, before, after):
    assert crossing(threshold, before, after) == (
        not triggered(threshold, before) and triggered(threshold, after)
    )


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("duration", "window_end", "end"),
    [
        (3600, NOW + HOUR / 2, NOW + HOUR),
        (3600, NOW + 2 * HOUR, NOW + 2 * HOUR),
        (None, NOW + 2 * HOUR, NOW + 2 * HOUR),
        (3600, None, None),
        (None, None, None),
    ],
)
def test_c3_a_block_never_ends_before_the_window_that_crossed(
    duration, window_end, end
):
    assert block_end(now=NOW, duration_seconds=duration, window_end=window_end) == end


@pytest.mark.parametrize(
    ("scope", "group_by", "verdict"),
    [
        (Scope(), (), True),
        (Scope(bot="bot_a"), (), True),
        (Scope(project="prj_a"), ("bot",), True),
        (Scope(user="u-1"), (), False),
        (Scope(model="gpt-*"), (), False),
        (Scope(), ("user",), False),
        (Scope(bot="bot_a"), ("bot", "model"), False),
    ],
)
def test_c3_a_bot_is_paused_when_nothing_narrows_the_block(scope, group_by, verdict):
    assert covers_bot_wholly(scope, group_by) is verdict


@pytest.mark.parametrize(
    ("mode", "any_triggered", "told"),
    [
        ("off", True, "disabled"),
        ("off", False, "disabled"),
        ("shadow", True, "triggered"),
        ("enforce", True, "triggered"),
        ("enforce", False, "active"),
    ],
)
def test_c8_status_is_derived(mode, any_triggered, told):
    assert status(mode, any_triggered) == told
