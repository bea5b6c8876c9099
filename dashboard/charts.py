"""The geometry of the charts: numbers in, places on the canvas out.

Pure. The templates turn these into SVG attributes, so that no page needs a style of
its own; what is drawn is also said in words and in a table beside it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NEAR_PERCENT: Final = 80
MANY_PERCENT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Gauge:
    """How full a limit is. `used` and `held` are drawn lengths, together ≤ 100.

    `percent` is what is used of the threshold, rounded down, and may pass 100.
    `level` is calm, near or over.
    """

    used: float
    held: float
    percent: int
    level: str

    @property
    def percent_text(self) -> str:
        """The percent in few digits: far above the threshold they say nothing more."""
        return f"{self.percent}" if self.percent < MANY_PERCENT else f"{MANY_PERCENT}+"

    @property
    def used_dash(self) -> str:
        """`stroke-dasharray` of the used part of an arc with `pathLength="100"`."""
        return f"{self.used:g} 100"

    @property
    def held_dash(self) -> str:
        """`stroke-dasharray` of the held part, which begins where the used part ends.

        The first dash has no length.
        """
        return f"0 {self.used:g} {self.held:g} 100"

    @property
    def arc_hatch(self) -> str:
        """The path of the strokes over the held part of the arc.

        The arc is the upper half of a circle around (60, 60), 9 wide, on a canvas of
        120 by 66.
        """
        return " ".join(
            f"M{_on_arc(start, 45.5)}L{_on_arc(end, 54.5)}"
            for start, end in _strokes(self.used, self.held, step=2.5, lean=1.5)
        )

    @property
    def bar_hatch(self) -> str:
        """The path of the strokes over the held part of a bar of 100 by 6."""
        return " ".join(
            f"M{start:g} 6L{end:g} 0"
            for start, end in _strokes(self.used, self.held, step=4.0, lean=3.0)
        )


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in per cent of the canvas, measured from the top left corner."""

    x: float
    y: float
    width: float
    height: float
    value: int


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar chart. `ceiling` is the value at the top edge; `peak` the highest bar."""

    bars: tuple[Bar, ...]
    ceiling: int
    peak: int | None

    @property
    def middle(self) -> float:
        """The value half way up."""
        return self.ceiling / 2


@dataclass(frozen=True, slots=True)
class Capped:
    """A bar chart with a cap drawn over it.

    `cap` is the line's distance from the top edge in per cent; None where it lies so
    far above the bars that it would flatten them. `over` has the places of the bars
    that reach it.
    """

    drawn: Bars
    cap: float | None
    over: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """A histogram of ages with the line from which on rows are too old.

    `at` is the line's distance from the left edge in per cent; `past` has the places
    of the bars that lie wholly beyond it, `split` that of the bar that it goes through.
    """

    drawn: Bars
    at: float
    past: tuple[int, ...]
    split: int | None


@dataclass(frozen=True, slots=True)
class Stop:
    """A threshold worth a try, and how many of the values reach it."""

    threshold: int
    reached: int


def stops(values: Sequence[int], threshold: int) -> tuple[Stop, ...]:
    """Return the thresholds at which the number of values that reach it changes.

    They are round (two digits that count) and rise, from one that all reach to one
    that none does; `threshold` itself is among them. None if there are no values.
    """
    held = [value for value in values if value > 0]
    if not held:
        return ()
    found = {_above(value) for value in held} | {_below(min(held)), threshold}
    return tuple(
        Stop(at, sum(value >= at for value in held)) for at in sorted(found) if at > 0
    )


def gauge(*, used: int, held: int, threshold: int) -> Gauge:
    """Lay out a limit's gauge. A threshold of 0 is full from the beginning."""
    if threshold <= 0:
        return Gauge(100.0, 0.0, 100, "over")
    drawn = min(100.0, _share(used, threshold))
    waiting = min(100.0 - drawn, _share(held, threshold))
    percent = used * 100 // threshold
    level = "over" if percent >= 100 else "near" if percent >= NEAR_PERCENT else "calm"
    return Gauge(drawn, round(waiting, 2), percent, level)


def bars(values: Sequence[int], *, gap: float = 0.25, least: int = 0) -> Bars:
    """Lay out one bar for each value; `gap` is the part of a bar's room left empty.

    The top edge is at `least` or above.
    """
    if not values:
        return Bars((), ceiling(least), None)
    top = ceiling(max(least, *values))
    room = 100 / len(values)
    laid = tuple(
        _bar(index * room, room, gap, max(0, value), top)
        for index, value in enumerate(values)
    )
    highest = max(range(len(values)), key=lambda index: values[index])
    return Bars(laid, top, highest if values[highest] > 0 else None)


def capped(values: Sequence[int], cap: int) -> Capped:
    """Lay out bars with a cap; a cap over five times the highest bar is left out."""
    highest = max(values, default=0)
    shown = cap <= max(1, highest) * 5 or not highest
    drawn = bars(values, least=cap if shown else 0)
    line = round(100 - cap * 100 / drawn.ceiling, 3) if shown else None
    over = tuple(n for n, value in enumerate(values) if value and value >= cap)
    return Capped(drawn, line, over)


def cut(counts: Sequence[int], edges: Sequence[int], age: float) -> Cut:
    """Lay out a histogram of ages with the cut at an age.

    Bar n holds what is from `edges[n]` up to `edges[n + 1]` old; the last has no end,
    so the cut stands in its middle if it lies within.
    """
    drawn = bars(counts, gap=0.12)
    room = 100 / max(1, len(counts))
    place = max(n for n, edge in enumerate(edges) if edge <= age)
    if place + 1 < len(edges):
        low, high = edges[place], edges[place + 1]
        share = (age - low) / (high - low)
    else:
        share = 0.0 if age == edges[place] else 0.5
    past = tuple(range(place + 1 if share else place, len(counts)))
    return Cut(drawn, round((place + share) * room, 3), past, place if share else None)


def sparkline(values: Sequence[int], *, width: int = 120, height: int = 28) -> str:
    """Return the `points` of a line through the values, one pixel inside the canvas."""
    if not values:
        return ""
    top = max(1, *values)
    step = (width - 2) / max(1, len(values) - 1)
    return " ".join(
        f"{1 + index * step:.1f},{height - 1 - (height - 2) * max(0, value) / top:.1f}"
        for index, value in enumerate(values)
    )


def ceiling(value: int) -> int:
    """Return the smallest of 1, 2, 4, 5 or 8 times a power of ten that is no less."""
    if value <= 1:
        return 1
    power = 10 ** (len(str(value)) - 1)
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value)


def _above(value: int) -> int:
    """Return the smallest number with two digits that count above a value."""
    power = 10 ** max(0, len(str(value)) - 2)
    return (value // power + 1) * power


def _below(value: int) -> int:
    """Return the greatest number with two digits that count up to a value."""
    power = 10 ** max(0, len(str(value)) - 2)
    return value // power * power


def _strokes(
    first: float, length: float, *, step: float, lean: float
) -> list[tuple[float, float]]:
    """Return where the strokes of a hatch begin and end; none leaves its room.

    What is there at all has one stroke at least, so that it is told apart by more than
    its colour.
    """
    if length <= 0:
        return []
    last = first + length
    count = max(1, math.ceil((length - lean) / step))
    room = min(lean, length)
    starts = [first + number * step for number in range(count)]
    return [
        (round(start, 2), round(min(start + room, last), 2))
        for start in starts
        if start < last
    ]


def _on_arc(share: float, radius: float) -> str:
    angle = math.pi * (1 - share / 100)
    return f"{60 + radius * math.cos(angle):.2f} {60 - radius * math.sin(angle):.2f}"


def _share(part: int, whole: int) -> float:
    return round(max(0, part) * 100 / whole, 2)


def _bar(left: float, room: float, gap: float, value: int, top: int) -> Bar:
    height = value * 100 / top
    # A day with little use is still a day with use.
    drawn = max(height, 0.75) if value else 0.0
    return Bar(
        x=round(left + room * gap / 2, 3),
        y=round(100 - drawn, 3),
        width=round(room * (1 - gap), 3),
        height=round(drawn, 3),
        value=value,
    )
