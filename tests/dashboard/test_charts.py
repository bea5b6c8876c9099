"""The geometry of gauges, bars and lines."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import charts

AMOUNTS = st.integers(min_value=0, max_value=2**53 - 1)


@pytest.mark.parametrize(
    ("used", "held", "threshold", "expected"),
    [
        (0, 0, 1000, (0, 0, 0, "calm")),
        (799, 0, 1000, (79.9, 0, 79, "calm")),
        (800, 100, 1000, (80, 10, 80, "near")),
        (999, 500, 1000, (99.9, 0.1, 99, "near")),
        (1000, 0, 1000, (100, 0, 100, "over")),
        (2500, 100, 1000, (100, 0, 250, "over")),
        (0, 0, 0, (100, 0, 100, "over")),
    ],
)
def test_gauge(used, held, threshold, expected):
    drawn = charts.gauge(used=used, held=held, threshold=threshold)
    assert (drawn.used, drawn.held, drawn.percent, drawn.level) == expected


@given(used=AMOUNTS, held=AMOUNTS, threshold=AMOUNTS)
def test_gauge_stays_on_its_arc(used, held, threshold):
    drawn = charts.gauge(used=used, held=held, threshold=threshold)
    assert 0 <= drawn.used <= 100
    assert drawn.held >= 0
    assert drawn.used + drawn.held <= 100.01
    assert (drawn.level == "over") == (used >= threshold)


@pytest.mark.parametrize(
    ("used", "expected"),
    [(0, "0"), (9_999, "999"), (10_000, "1000+"), (2**53, "1000+")],
)
def test_percents_stay_short(used, expected):
    assert charts.gauge(used=used, held=0, threshold=1000).percent_text == expected


def test_dashes_of_an_arc():
    drawn = charts.gauge(used=250, held=100, threshold=1000)
    assert drawn.used_dash == "25 100"
    assert drawn.held_dash == "0 25 10 100"


@pytest.mark.parametrize(
    ("used", "held", "bar", "arc"),
    [
        # Nothing is held, or there is no room left: nothing is hatched.
        (250, 0, "", ""),
        (1000, 500, "", ""),
        # A quarter of the half circle is where it begins, half of it the top.
        (500, 15, "M50 6L51.5 0", "M60.00 14.50L62.57 5.56"),
        (0, 100, "M0 6L3 0 M4 6L7 0", None),
        (990, 400, "M99 6L100 0", "M105.48 58.57L114.50 60.00"),
        # So little that it has no length of its own to speak of.
        (0, 1, "M0 6L0.1 0", "M14.50 60.00L5.50 59.83"),
    ],
)
def test_what_is_held_is_hatched(used, held, bar, arc):
    drawn = charts.gauge(used=used, held=held, threshold=1000)
    assert drawn.bar_hatch == bar
    assert arc is None or drawn.arc_hatch == arc


@given(used=AMOUNTS, held=AMOUNTS, threshold=AMOUNTS)
def test_a_hatch_stays_within_what_is_held(used, held, threshold):
    drawn = charts.gauge(used=used, held=held, threshold=threshold)
    strokes = re.findall(r"M([\d.]+) 6L([\d.]+) 0", drawn.bar_hatch)
    assert bool(strokes) == (drawn.held > 0)
    for start, end in strokes:
        assert drawn.used - 0.01 <= float(start) <= float(end)
        assert float(end) <= drawn.used + drawn.held + 0.01
    places = re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn.arc_hatch)
    assert bool(places) == (drawn.held > 0)
    for x, y in places:
        radius = math.hypot(float(x) - 60, float(y) - 60)
        assert min(abs(radius - 45.5), abs(radius - 54.5)) < 0.02


@pytest.mark.parametrize(
    ("values", "threshold", "expected"),
    [
        ([], 50, []),
        ([0, 0], 50, []),
        ([7], 7, [(7, 1), (8, 0)]),
        ([99, 0, 5], 40, [(5, 2), (6, 1), (40, 1), (100, 0)]),
        ([48_210], 0, [(48_000, 1), (49_000, 0)]),
        ([1200, 1250, 300], 1000, [(300, 3), (310, 2), (1000, 2), (1300, 0)]),
    ],
)
def test_stops(values, threshold, expected):
    found = charts.stops(values, threshold)
    assert [(each.threshold, each.reached) for each in found] == expected


@given(values=st.lists(AMOUNTS, max_size=40), threshold=AMOUNTS)
def test_stops_go_from_all_to_none(values, threshold):
    found = charts.stops(values, threshold)
    held = [value for value in values if value]
    assert bool(found) == bool(held)
    if not found:
        return
    thresholds = [each.threshold for each in found]
    reached = [each.reached for each in found]
    assert thresholds == sorted(set(thresholds))
    assert reached == sorted(reached, reverse=True)
    assert reached[-1] == sum(value >= thresholds[-1] for value in held)
    assert reached[0] == len(held) or threshold < min(held)
    assert threshold in thresholds or threshold == 0


@given(values=st.lists(AMOUNTS, max_size=60))
def test_bars_stay_on_the_canvas(values):
    chart = charts.bars(values)
    assert len(chart.bars) == len(values)
    for bar, value in zip(chart.bars, values, strict=True):
        assert 0 <= bar.x <= bar.x + bar.width <= 100.01
        assert 0 <= bar.y <= 100
        assert bar.y + bar.height == pytest.approx(100, abs=0.01)
        assert (bar.height > 0) == (value > 0)
        assert value <= chart.ceiling


def test_bars_of_nothing_have_no_peak():
    assert charts.bars([]).peak is None
    assert charts.bars([0, 0]).peak is None
    assert charts.bars([1, 7, 3]).peak == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 1), (1, 1), (3, 4), (9, 10), (10, 10), (11, 20), (48_210, 50_000)],
)
def test_ceiling(value, expected):
    assert charts.ceiling(value) == expected


def test_sparkline():
    assert charts.sparkline([]) == ""
    assert charts.sparkline([0, 10], width=12, height=12) == "1.0,11.0 11.0,1.0"


def test_a_cap_lies_over_its_bars():
    drawn = charts.capped([10, 0, 50], 40)
    assert (drawn.drawn.ceiling, drawn.cap, drawn.over) == (50, 20, (2,))
    assert charts.capped([10], 51).cap is None
    assert charts.capped([], 40).cap == 0
    assert charts.capped([0, 0], 0).over == ()


@given(values=st.lists(AMOUNTS, max_size=9), cap=AMOUNTS)
def test_a_cap_stays_on_the_canvas(values, cap):
    drawn = charts.capped(values, cap)
    assert drawn.cap is None or 0 <= drawn.cap <= 100
    assert all(values[n] >= cap for n in drawn.over)


@pytest.mark.parametrize(
    ("age", "at", "past", "split"),
    [
        (0, 0, (0, 1, 2), None),
        (5, 16.667, (1, 2), 0),
        (10, 33.333, (1, 2), None),
        (20, 66.667, (2,), None),
        (99, 83.333, (), 2),
    ],
)
def test_a_cut_stands_at_its_age(age, at, past, split):
    drawn = charts.cut([4, 2, 8], [0, 10, 20], age)
    assert (drawn.at, drawn.past, drawn.split) == (at, past, split)
