"""How much a batch takes and how long pruning rests after it (ADR 0029).

What a call waits for is the commit of the ledger's batch. So ten times a second pruning
makes a tiny commit of its own and times it: if that takes longer than it does when all
is calm, others wait as well, and pruning rests until it is calm again. Besides, it
works for a part of the time only, in batches of a few milliseconds.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import connection, transaction


@dataclass(frozen=True, slots=True)
class Manner:
    """How hard pruning works. Times in seconds; `share` of the time is work.

    `workers` is how many connections a run may use at once, `ahead` how many batches
    of the largest size are chosen together.
    """

    batch_seconds: float
    most: int
    share: float
    asks: bool
    workers: int = 1
    ahead: int = 1


# Whatever takes one processor for longer than a batch does, calls feel: so few rows are
# chosen at once.
GENTLE = Manner(batch_seconds=0.004, most=500, share=0.12, asks=True)
# One more than there are processors, since some wait for the disk at any time. What
# their batches touch must fit into PostgreSQL's buffers together; batches three times
# as large are no faster, and calls beside them take twice as long.
FULL = Manner(
    batch_seconds=0.250,
    most=1_000,
    share=1.0,
    asks=False,
    workers=min(5, (os.cpu_count() or 1) + 1),
    # More at once, and PostgreSQL would sort all that is due instead of reading it in
    # order, for each choice.
    ahead=5,
)

_FEWEST = 20
_FIRST = 100
_FIRST_ASKS = 5
# A commit that takes so much longer than a calm one is a sign of load.
_TIMES, _MORE = 2.0, 0.002
_SHORT_REST, _LONG_REST = 0.02, 1.0
# To ask makes others wait as well, for the disk; so not before each batch.
_ASK_AFTER = 0.1


def commit_seconds() -> float:
    """Return how long a commit takes that writes nothing but itself."""
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_logical_emit_message(true, 'policyhub', '')")
    return time.perf_counter() - started


@contextmanager
def counting(manner: Manner) -> Iterator[None]:
    """Let what is counted within take one processor only, unless nobody waits."""
    with transaction.atomic(), connection.cursor() as cursor:
        if manner.asks:
            cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        yield


@dataclass(slots=True)
class Pace:
    """The pace of one run: `size` is what its next batch should take."""

    manner: Manner
    most: int
    probe: Callable[[], float] = commit_seconds
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    size: int = 0
    calm: float = 0.0
    rested: float = 0.0
    _rest: float = field(default=_SHORT_REST)
    _calm_until: float = 0.0

    def __post_init__(self) -> None:
        self.most = min(self.most, self.manner.most)
        self.size = min(_FIRST, self.most)
        if self.manner.asks:
            self.calm = min(self.probe() for _ in range(_FIRST_ASKS))

    def after_batch(self, took: float, rows: int, *, chose: float = 0.0) -> None:
        """Choose the next batch's size by how long the last `rows` took, and rest.

        `chose` is how long choosing them took, which is work as well.
        """
        if rows >= self.size:
            wanted = self.size * self.manner.batch_seconds / max(took, 1e-6)
            grown = min(wanted, 2 * self.size)
            self.size = min(self.most, max(min(_FEWEST, self.most), int(grown)))
        worked = took + chose
        self._pause(worked / self.manner.share - worked)

    def is_calm(self) -> bool:
        """Say whether the next batch may be taken; rest a little if not."""
        if not self.manner.asks or self.clock() < self._calm_until:
            return True
        seconds = self.probe()
        # What is calm may change; an older, better moment is slowly forgotten.
        self.calm = min(seconds, self.calm * 1.01)
        if seconds <= max(self.calm * _TIMES, self.calm + _MORE):
            self._rest = _SHORT_REST
            self._calm_until = self.clock() + _ASK_AFTER
            return True
        self._pause(self._rest)
        self._rest *= 2
        if self._rest <= _LONG_REST:
            return False
        # However busy the house is, what is overdue must get less, not more.
        self._rest, self.size = _SHORT_REST, min(_FEWEST, self.most)
        return True

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self.sleep(seconds)
            self.rested += seconds
