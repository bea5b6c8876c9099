"""One counter in one window, as the checker's replay knows it."""

import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A bucket is charged until it has wholly left: at most two buckets longer.
_LONGER = timedelta(seconds=60)


@dataclass
class Tally:
    """Sums in whole units. `seconds` is the length of a rolling window."""

    policy: UUID
    metric: str
    seconds: int | None
    ends: datetime | None = None
    held: int = 0
    charged: int = 0
    within: int = 0
    must: set[int] = field(default_factory=set)  # steps that have to be told
    may: set[int] = field(default_factory=set)  # steps that were reached at all
    holds: dict[UUID, int] = field(default_factory=dict)
    recent: list = field(default_factory=list)  # heap of (moment, charged, within)
    left: list = field(default_factory=list)  # heap of the same, no longer counted
    clock: datetime = EPOCH

    def charge(self, moment: datetime, amount: int, within: int) -> None:
        """Add what an event charged at its moment."""
        self.charged += amount
        self.within += within
        if self.seconds is not None:
            heapq.heappush(self.recent, (moment, amount, within))

    def forget(self, now: datetime) -> None:
        """Let go of what has surely left a rolling window."""
        self.clock = max(self.clock, now)
        if self.seconds is None:
            return
        before = self.clock - timedelta(seconds=self.seconds)
        while self.recent and self.recent[0][0] <= before:
            gone = heapq.heappop(self.recent)
            heapq.heappush(self.left, gone)
            self.charged -= gone[1]
            self.within -= gone[2]
        while self.left and self.left[0][0] <= before - _LONGER:
            heapq.heappop(self.left)

    def empty(self) -> None:
        """What a reset leaves: the holds."""
        self.charged = self.within = 0
        self.recent.clear()
        self.left.clear()

    def in_ring(self, head: int) -> int:
        """What is in the 61 buckets up to `head`; a bucket is a 60th of the window."""
        width = -(-self.seconds * 1_000_000 // 60)
        total = 0
        for moment, amount, _ in (*self.left, *self.recent):
            bucket = (moment - EPOCH) // timedelta(microseconds=1) // width
            total += amount if bucket > head - 61 else 0
        return total
