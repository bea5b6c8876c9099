"""The geometry of the charts: numbers in, places on the canvas out.

Pure. The templates turn these into SVG attributes, so that no page needs a style of
its own; what is drawn is also said in words and in a table beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NEAR_PERCENT: Final = 80


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
    def used_dash(self) -> str:
        """`stroke-dasharray` of the used part of an arc with `pathLength="100"`."""
        return f"{self.used:g} 100"

    @property
    def held_dash(self) -> str:
        """`stroke-dasharray` of the held part, which begins where the used part ends.

        The first dash has no length.
        """
        return f"0 {self.used:g} {self.held:g} 100"


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


def gauge(*, used: int, held: int, threshold: int) -> Gauge:
    """Lay out a limit's gauge. A threshold of 0 is full from the beginning."""
    if threshold <= 0:
        return Gauge(100.0, 0.0, 100, "over")
    drawn = min(100.0, _share(used, threshold))
    waiting = min(100.0 - drawn, _share(held, threshold))
    percent = used * 100 // threshold
    level = "over" if percent >= 100 else "near" if percent >= NEAR_PERCENT else "calm"
    return Gauge(drawn, round(waiting, 2), percent, level)


def bars(values: Sequence[int], *, gap: float = 0.25) -> Bars:
    """Lay out one bar for each value; `gap` is the part of a bar's room left empty."""
    if not values:
        return Bars((), ceiling(0), None)
    top = ceiling(max(values))
    room = 100 / len(values)
    laid = tuple(
        _bar(index * room, room, gap, max(0, value), top)
        for index, value in enumerate(values)
    )
    highest = max(range(len(values)), key=lambda index: values[index])
    return Bars(laid, top, highest if values[highest] > 0 else None)


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
