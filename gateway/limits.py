"""How much one key may ask at once and in a minute, and who waits for whom.

Counted in the process: these limits protect the installation, they are no budgets.
Moments are seconds of a monotonic clock, passed in.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple
from uuid import UUID

MINUTE: Final = 60
# Calls of one key that may be under way at once.
AT_ONCE: Final = {"standard": 256, "plus": 1_024, "enterprise": 4_096}
# Who is served first when calls wait.
RANK: Final = {"enterprise": 0, "plus": 1, "standard": 2}
LONGEST_WAIT: Final = 10.0
_MOST_WAITING: Final = 10_000
_KEYS_KEPT: Final = 100_000


class Allowance(NamedTuple):
    """Where a key stands in its minute; `wait` is in seconds until a call passes."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    wait: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return it as OpenAI's clients know it."""
        return [
            (b"x-ratelimit-limit-requests", b"%d" % self.limit),
            (b"x-ratelimit-remaining-requests", b"%d" % self.remaining),
            (b"x-ratelimit-reset-requests", _duration(self.reset)),
        ]


def _duration(seconds: int) -> bytes:
    minutes, rest = divmod(seconds, 60)
    return b"%dm%ds" % (minutes, rest) if minutes else b"%ds" % rest


class _Passed:
    """What one key has asked: how many calls in which second, the oldest first."""

    __slots__ = ("seconds", "total")

    def __init__(self) -> None:
        self.seconds: deque[list[int]] = deque()
        self.total = 0

    def forget(self, second: int) -> None:
        while self.seconds and self.seconds[0][0] <= second - MINUTE:
            self.total -= self.seconds.popleft()[1]

    def add(self, second: int) -> None:
        self.total += 1
        if self.seconds and self.seconds[-1][0] == second:
            self.seconds[-1][1] += 1
        else:
            self.seconds.append([second, 1])


class Minutes:
    """Requests of each key in the last sixty seconds: never more than its limit."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits
        self._keys: dict[UUID, _Passed] = {}

    def take(self, key: UUID, plan: str, now: float) -> Allowance:
        """Count one request, unless it is one too many."""
        second = int(now)
        limit = self._limits[plan]
        passed = self._keys.get(key)
        if passed is None:
            if len(self._keys) >= _KEYS_KEPT:
                self._tidy(second)
            passed = self._keys[key] = _Passed()
        passed.forget(second)
        allowed = passed.total < limit
        if allowed:
            passed.add(second)
        newest = passed.seconds[-1][0] if passed.seconds else second
        oldest = passed.seconds[0][0] if passed.seconds else second
        return Allowance(
            allowed,
            limit,
            limit - passed.total,
            newest + MINUTE - second,
            0 if allowed else max(1, oldest + MINUTE - second),
        )

    def _tidy(self, second: int) -> None:
        for key, passed in list(self._keys.items()):
            passed.forget(second)
            if not passed.total:
                del self._keys[key]
        if len(self._keys) >= _KEYS_KEPT:
            self._keys.clear()


class TooMany(Exception):
    """No place became free in time."""


class Places:
    """The calls that may be under way at once; whoever has the better plan goes first.

    Take a place with `take`, give it back with `leave`.
    """

    def __init__(self, capacity: int) -> None:
        self._free = capacity
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._of_key: dict[UUID, int] = {}

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._waiting)

    async def take(self, key: UUID, plan: str) -> None:
        """Take a place, waiting for one if need be. Raises TooMany."""
        mine = self._of_key.get(key, 0)
        if mine >= AT_ONCE[plan]:
            raise TooMany
        self._of_key[key] = mine + 1
        if self._free > 0:
            self._free -= 1
            return
        try:
            await self._wait(RANK[plan])
        except BaseException:
            self._forget(key)
            raise

    def leave(self, key: UUID) -> None:
        """Give a place back: to whoever waits, or to nobody."""
        self._forget(key)
        self._pass_on()

    def _forget(self, key: UUID) -> None:
        left = self._of_key[key] - 1
        if left:
            self._of_key[key] = left
        else:
            del self._of_key[key]

    async def _wait(self, rank: int) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            raise TooMany
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (rank, self._arrivals, turn))
        has_come = False
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await turn
            has_come = True
        except TimeoutError:
            raise TooMany from None
        finally:
            if not has_come and turn.done() and not turn.cancelled():
                # The place came just as the wait ended: it goes to the next one.
                self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
