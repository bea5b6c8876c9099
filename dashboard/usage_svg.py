"""The usage picture as SVG: what is seen without scripts, and until they have run."""

from dataclasses import dataclass

from dashboard import plots
from dashboard.usage_picture import Picture


@dataclass(frozen=True, slots=True)
class Drawn:
    """Paths and places on a canvas of 100 by 100.

    `caps` are (distance from the top, solid, on the total's scale), `stays` (left
    edge, width), `marks` (place from the left, whether an action fired there); `held`
    is a box, `hatch` its strokes.
    """

    parts: list[str]
    ghost: str
    total: str
    caps: list[tuple[float, bool, bool]]
    stays: list[tuple[float, float]]
    marks: list[tuple[float, bool]]
    ticks: list[str]
    held: str
    hatch: str


def svg_of(shown: Picture) -> Drawn:
    """Lay the picture out."""
    tops = {False: shown.bar_top, True: shown.total_top}
    count = len(shown.buckets)
    ghost = [each.before or 0 for each in shown.buckets]
    stays = [
        (
            round(each.first * 100 / count, 3),
            round((each.last - each.first) * 100 / count, 3),
        )
        for each in shown.stays
    ]
    parts = [part.values for part in shown.parts]
    held, hatch = plots.on_last(parts, shown.held, tops[False])
    return Drawn(
        parts=plots.stacked(parts, tops[False]),
        ghost=plots.trace(ghost, tops[False]) if shown.asked.previous else "",
        total=plots.trace([each.total for each in shown.buckets], tops[True]),
        caps=[
            (plots.level(each.value, tops[each.on_total]), each.solid, each.on_total)
            for each in shown.drawn_caps
        ],
        stays=stays,
        marks=[
            (round(each.column * 100 / count, 3), each.has_fired)
            for each in shown.marks
        ],
        ticks=[shown.buckets[n].label for n in sorted({0, count // 2, count - 1})],
        held=held,
        hatch=hatch,
    )
