"""The demo's runaway: a bot that calls itself in a loop until its policy stops it.

It does so once in the past, and once more just before the history ends, so that the
demo begins with a bot that is blocked. Pure.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from policyhub.demo.rhythm import HOUR

CALLS = 8
TOKENS = (2_900, 420)
_FIRST = timedelta(days=19)
_LAST = timedelta(minutes=10)
_STOPPED = timedelta(days=1)
_ROUNDS = 12
_BETWEEN = timedelta(seconds=30)


def beginnings(end: datetime) -> tuple[datetime, datetime]:
    """Return when the loops begin: one at ten in the morning, one before the end."""
    first = (end - _FIRST).replace(hour=10, minute=20, second=0, microsecond=0)
    return first, end - _LAST


def loop_in(hour: datetime, *, end: datetime) -> datetime | None:
    """Return when a loop begins within an hour, if one does."""
    for begins in beginnings(end):
        if hour <= begins < hour + HOUR:
            return begins
    return None


def is_stopped(hour: datetime, *, end: datetime) -> bool:
    """Whether the bot does none of its usual work in an hour.

    It loops, or is blocked and nobody has looked at it yet.
    """
    return any(
        hour + HOUR > begins and hour < begins + _STOPPED for begins in beginnings(end)
    )


def rounds(begins: datetime) -> Iterator[datetime]:
    """Yield the moments at which the loop goes round, if nothing stops it."""
    for number in range(_ROUNDS):
        yield begins + number * _BETWEEN


def tokens_of_call(*, seed: int, begins: datetime, number: int) -> tuple[int, int]:
    """Return the input and output tokens of one call of the loop."""
    random = Random(f"{seed}:loop:{begins.isoformat()}:{number}")  # noqa: S311
    read, written = TOKENS
    return round(read * random.uniform(0.8, 1.2)), round(
        written * random.uniform(0.8, 1.2)
    )
