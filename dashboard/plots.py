"""The geometry of pictures over time: numbers in, paths on the canvas out.

Pure. A canvas is 100 wide and 100 high; columns lie side by side, values grow upwards.
"""

from bisect import bisect_right
from collections.abc import Sequence


def stacked(parts: Sequence[Sequence[int]], top: int) -> list[str]:
    """Return a path for each part: its boxes, upon those of the parts before it.

    All parts have a value for each column; `top` is the value at the upper edge.
    """
    if not parts or not parts[0]:
        return []
    room = 100 / len(parts[0])
    width, left = room * 0.76, room * 0.12
    floors = [0] * len(parts[0])
    drawn = []
    for values in parts:
        boxes = []
        for n, value in enumerate(values):
            if value > 0:
                y = level(floors[n] + value, top)
                height = level(floors[n], top) - y
                x = n * room + left
                boxes.append(f"M{x:.2f} {y:.2f}h{width:.2f}v{height:.2f}h-{width:.2f}z")
            floors[n] += max(0, value)
        drawn.append("".join(boxes))
    return drawn


def on_last(parts: Sequence[Sequence[int]], value: int, top: int) -> tuple[str, str]:
    """Return the box upon the last column's boxes, and the strokes that hatch it."""
    if value <= 0 or not parts or not parts[0]:
        return "", ""
    floor = sum(max(0, values[-1]) for values in parts)
    low, high = level(floor, top), level(floor + value, top)
    room = 100 / len(parts[0])
    left, right = 100 - room * 0.88, 100 - room * 0.12
    box = f"M{left:.2f} {high:.2f}H{right:.2f}V{low:.2f}H{left:.2f}z"
    # Each stroke rises from left to right; what is beyond the box is cut off.
    rise, step = 5.0, 2.5
    strokes = []
    for n in range(1, int((low - high + rise) / step) + 1):
        start = low + rise - n * step
        first = max(0.0, (start - low) / rise)
        last = min(1.0, (start - high) / rise)
        if first < last:
            (x, y), (to_x, to_y) = (
                (left + (right - left) * share, start - rise * share)
                for share in (first, last)
            )
            strokes.append(f"M{x:.2f} {y:.2f}L{to_x:.2f} {to_y:.2f}")
    return box, "".join(strokes)


def trace(values: Sequence[int], top: int) -> str:
    """Return a path through the values, each in the middle of its column."""
    room = 100 / max(1, len(values))
    places = [
        f"{(n + 0.5) * room:.2f} {level(value, top):.2f}"
        for n, value in enumerate(values)
    ]
    return f"M{'L'.join(places)}" if places else ""


def level(value: int, top: int) -> float:
    """Return how far below the upper edge a value is, in per cent of the canvas."""
    return round(100 - min(100.0, max(0, value) * 100 / max(1, top)), 3)


def place(edges: Sequence[float], moment: float) -> float:
    """Return where a moment lies among columns, counted in columns.

    `edges` are where the columns begin, and the last one's end; what lies outside is
    moved to the end it is beyond.
    """
    if moment <= edges[0]:
        return 0.0
    if moment >= edges[-1]:
        return float(len(edges) - 1)
    n = bisect_right(edges, moment) - 1
    return n + (moment - edges[n]) / (edges[n + 1] - edges[n])
