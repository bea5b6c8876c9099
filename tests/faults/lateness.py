"""How late the machine itself is, so that it is not taken for the product's doing.

What has to be answered within a second is answered late, too, on a machine that rests
for half of it, as virtual ones do. A thread that wants nothing but to wake up every few
milliseconds sees how long nobody could run.
"""

import threading
import time
from collections import deque

_EVERY = 0.005
# More than a machine that is merely busy adds.
_NOTABLE = 0.02


class _Watch(threading.Thread):
    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.rests: deque[tuple[float, float]] = deque(maxlen=10_000)

    def run(self) -> None:
        while True:
            began = time.monotonic()
            time.sleep(_EVERY)
            ended = time.monotonic()
            if ended - began > _EVERY + _NOTABLE:
                self.rests.append((began, ended))


_watch = _Watch()


def watch() -> None:
    """Begin to look, before anything is measured."""
    if not _watch.is_alive():
        _watch.start()


def seconds_since(began: float) -> float:
    """Return the seconds since a moment of `time.monotonic`, without such rests."""
    ended = time.monotonic()
    # Until it has told of a rest that ended with what was measured.
    time.sleep(2 * _EVERY)
    rested = sum(
        max(0.0, min(ended, until) - max(began, since) - _EVERY)
        for since, until in list(_watch.rests)
    )
    return ended - began - rested
