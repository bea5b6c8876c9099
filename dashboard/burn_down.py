"""What is left of a limit over time: so far, evenly to the reset, and as it will go.

The past is the counter's value now, less what the hours since then counted; so it ends
where the gauge stands, and a reset lifts all of it. The future is the forecast.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from dashboard import plots
from dashboard.amounts import amount_text, duration_text, quantity_text
from dashboard.gauges import Dial
from dashboard.growth import Growth
from usage.forecast import HISTORY, Forecast, Point
from usage.forecasting import Outlook, outlook_of

STEPS: Final = 120
ROWS: Final = 24

Line = list[int | None]


@dataclass(frozen=True, slots=True)
class Place:
    """What is left at one moment; None where a line does not reach."""

    at: datetime
    left: int | None
    ideal: int | None
    least: int | None
    middle: int | None
    most: int | None


@dataclass(frozen=True, slots=True)
class BurnDown:
    """The chart of one counter, in the metric's unit. `now` is a column, not whole."""

    dial: Dial
    forecast: Forecast
    places: tuple[Place, ...]
    now: float

    @property
    def metric(self) -> str:
        """What is counted."""
        return self.dial.reading.metric

    @property
    def threshold(self) -> int:
        """The value at the upper edge."""
        return self.dial.reading.threshold

    @property
    def sentence(self) -> str:
        """When it runs out, and how sure that is."""
        return sentence_of(self.dial, self.forecast)

    @property
    def rows(self) -> list[Place]:
        """The places that the table shows: some, evenly apart."""
        step = max(1, len(self.places) // ROWS)
        return list(self.places[::step])

    @property
    def drawn(self) -> dict[str, str]:
        """The lines as paths on a canvas of 100 by 100."""
        lines = {
            name: self._path([getattr(place, name) for place in self.places])
            for name in ("left", "ideal", "middle")
        }
        most = self._points([place.most for place in self.places])
        least = self._points([place.least for place in self.places])
        cone = f"M{'L'.join([*most, *reversed(least)])}z" if most else ""
        return {**lines, "cone": cone}

    def data(self) -> dict[str, Any]:
        """Return the lines as the script draws them."""
        return {
            "metric": self.metric,
            "edge": 0,
            "start": int(self.now),
            "now": self.now,
            "tops": [self.threshold],
            "labels": [moment_text(place.at) for place in self.places],
            "told": [self._told(place) for place in self.places],
            **{
                name: [getattr(place, name) for place in self.places]
                for name in ("left", "ideal", "least", "middle", "most")
            },
        }

    def _points(self, values: Sequence[int | None]) -> list[str]:
        last = max(1, len(values) - 1)
        return [
            f"{n * 100 / last:.2f} {plots.level(value, self.threshold):.2f}"
            for n, value in enumerate(values)
            if value is not None
        ]

    def _path(self, values: Sequence[int | None]) -> str:
        points = self._points(values)
        return f"M{'L'.join(points)}" if points else ""

    def _told(self, place: Place) -> str:
        when = moment_text(place.at)
        if place.left is not None:
            left = amount_text(self.metric, place.left)
            return gettext("%(when)s: %(left)s left") % {"when": when, "left": left}
        if place.middle is None:
            return when
        return gettext("%(when)s: about %(middle)s left (%(least)s to %(most)s)") % {
            "when": when,
            "middle": amount_text(self.metric, place.middle),
            "least": quantity_text(self.metric, place.least or 0),
            "most": quantity_text(self.metric, place.most or 0),
        }


def burn_down(dial: Dial, now: datetime) -> BurnDown:
    """Read and lay out the chart of one counter of a policy."""
    outlook = outlook_of(policy=dial.policy, reading=dial.reading, now=now)
    start, end = _stretch(dial, outlook, now)
    if outlook.forecast.reason == "window_too_short" or start >= end:
        return BurnDown(dial, outlook.forecast, (), 0.0)
    step = (end - start) / STEPS
    past = _Past(dial, outlook.history, now)
    places = tuple(
        _place(dial, outlook.forecast, past, start + n * step, (start, end), now)
        for n in range(STEPS + 1)
    )
    return BurnDown(dial, outlook.forecast, places, round((now - start) / step, 3))


def moment_text(moment: datetime) -> str:
    """Name a moment in the zone that is in force: `Thu 19 Nov 14:20`."""
    return date_format(timezone.localtime(moment), "D j M H:i")


def sentence_of(dial: Dial, seen: Forecast) -> str:
    """Say what a forecast says."""
    reading = dial.reading
    if reading.used >= reading.threshold:
        return gettext("It has run out.")
    if not seen.enough:
        return _unknown(seen.reason)
    if seen.runs_out_at is not None:
        return _runs_out(seen)
    last = seen.points[-1]
    if seen.earliest is not None:
        return gettext(
            "It will probably last, but may run out from %(when)s on (one time in ten)."
        ) % {"when": moment_text(seen.earliest)}
    left = amount_text(reading.metric, max(0, reading.threshold - last.expected))
    return gettext("It lasts: about %(left)s will be left on %(when)s.") % {
        "left": left,
        "when": moment_text(seen.until),
    }


def _runs_out(seen: Forecast) -> str:
    when = moment_text(seen.runs_out_at or seen.until)
    if seen.earliest is not None and seen.latest is not None:
        about = int((seen.latest - seen.earliest).total_seconds() / 2)
        if about >= 60:
            # To the nearest of what people would say.
            unit = 3_600 if about >= 3_600 else 60
            span = duration_text(max(unit, round(about / unit) * unit))
            return gettext("It runs out on %(when)s (± %(span)s).") % {
                "when": when,
                "span": span,
            }
        return gettext("It runs out on %(when)s.") % {"when": when}
    return gettext(
        "It runs out on %(when)s; at the earliest on %(first)s, or it just lasts."
    ) % {"when": when, "first": moment_text(seen.earliest or seen.until)}


def _unknown(reason: str) -> str:
    told = {
        "too_short": gettext("A forecast needs a week of usage to go by."),
        "too_thin": gettext("There is too little usage to go by for a forecast."),
        "window_too_short": gettext(
            "Windows of less than six hours are too short for a forecast."
        ),
    }
    return told.get(reason, gettext("Its window has ended."))


def _stretch(dial: Dial, outlook: Outlook, now: datetime) -> tuple[datetime, datetime]:
    """Return from when to when the chart goes: the window, or four weeks and on."""
    reading = dial.reading
    end = outlook.forecast.until
    if reading.kind == "rolling":
        length = timedelta(seconds=reading.window.seconds or 0)
        return now - min(length, HISTORY), end
    if reading.window_start is None or reading.kind == "lifetime":
        return now - HISTORY, end
    return reading.window_start, end


class _Past:
    """What the counter had used by a moment, as far as the hours tell."""

    def __init__(
        self, dial: Dial, history: Mapping[datetime, int], now: datetime
    ) -> None:
        self._reading, self._now = dial.reading, now
        self._growth = Growth(history, now)
        self._known = now - HISTORY

    def used(self, moment: datetime) -> int | None:
        reading = self._reading
        if reading.kind == "rolling":
            length = timedelta(seconds=reading.window.seconds or 0)
            if moment - length < self._known:
                return None
            return self._growth.between(moment - length, moment)
        if moment < self._known:
            return None
        return max(0, reading.used - self._growth.between(moment, self._now))


def _place(
    dial: Dial,
    seen: Forecast,
    past: _Past,
    at: datetime,
    stretch: tuple[datetime, datetime],
    now: datetime,
) -> Place:
    start, end = stretch
    threshold = dial.reading.threshold
    ideal = None
    if dial.reading.kind not in ("rolling", "lifetime"):
        ideal = round(threshold * ((end - at) / (end - start)))
    if at <= now:
        used = past.used(at)
        left = None if used is None else max(0, threshold - used)
        return Place(at, left, ideal, None, None, None)
    if not seen.points:
        return Place(at, None, ideal, None, None, None)
    point = _between(seen.points, at)
    rest = [
        max(0, threshold - each) for each in (point.high, point.expected, point.low)
    ]
    return Place(at, None, ideal, *rest)


def _between(points: Sequence[Point], at: datetime) -> Point:
    """Return the forecast at a moment, between its neighbours in proportion."""
    n = bisect_right([point.at for point in points], at)
    if n == 0:
        return points[0]
    if n == len(points):
        return points[-1]
    before, after = points[n - 1], points[n]
    share = (at - before.at) / (after.at - before.at)

    def mixed(name: str) -> int:
        low, high = getattr(before, name), getattr(after, name)
        return round(low + (high - low) * share)

    return Point(at, mixed("low"), mixed("expected"), mixed("high"))
