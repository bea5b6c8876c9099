"""What was counted by a moment, as far as sums of hours tell. Pure."""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

_HOUR: Final = timedelta(hours=1)


class Growth:
    """The running total of what hours counted; within an hour it grew evenly.

    `hours` has what was counted in each, by when it began; `until` is up to when the
    last one is known.
    """

    def __init__(self, hours: Mapping[datetime, int], until: datetime) -> None:
        self._hours = sorted(hours)
        self._sums = [0, *accumulate(hours[hour] for hour in self._hours)]
        self._until = until

    def by(self, moment: datetime) -> int:
        """Return what was counted before a moment."""
        place = bisect_right(self._hours, moment)
        if not place:
            return 0
        hour = self._hours[place - 1]
        known = min(_HOUR, max(timedelta(seconds=1), self._until - hour))
        share = min(1.0, (moment - hour) / known)
        before = self._sums[place - 1]
        return before + int((self._sums[place] - before) * share)

    def between(self, start: datetime, end: datetime) -> int:
        """Return what was counted from one moment to another."""
        return self.by(end) - self.by(start)
