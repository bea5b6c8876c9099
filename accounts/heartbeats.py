"""Signs of life: the worker and the clock say now and then that they are there.

Whoever looks at them says what is too long ago; nothing here stops or starts anything.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from accounts.models import Heartbeat

WORKER: Final = "worker"
CLOCK: Final = "clock"
# Who tells endpoints of refusals, that it has looked at all of them.
DENIALS: Final = "denials"
EVERY: Final = timedelta(seconds=15)
# Several turns may be missed before it is worth a word.
LATE_AFTER: Final = timedelta(seconds=90)


class Pulse:
    """Says that one part lives, whenever asked, but writes every 15 s at most."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._last: datetime | None = None

    def __call__(self, now: datetime) -> int:
        """Note that the part lives; return 1 if that was written."""
        if self._last is not None and timedelta(0) <= now - self._last < EVERY:
            return 0
        beat(part=self._part, now=now)
        self._last = now
        return 1


def beat(*, part: str, now: datetime) -> None:
    """Note that a part of the installation lives."""
    Heartbeat.objects.update_or_create(part=part, defaults={"at": now})


def beats() -> Mapping[str, datetime]:
    """Return when each part last said that it lives."""
    return dict(Heartbeat.objects.values_list("part", "at"))
