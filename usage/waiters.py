"""Who waits for the ledger's answers, and how they are handed out."""

import asyncio
from collections.abc import Iterator
from typing import Protocol

import psycopg

from accounts.errors import CounterFull, DomainError, Unavailable
from usage.entries import Item, Outcome

# So many answers are handed out before the loop looks at its sockets again.
_AT_ONCE = 8


class Waiter(Protocol):
    """Who waits for an outcome; a future is one."""

    def done(self) -> bool:
        """Whether it waits no more."""

    def set_result(self, result: Outcome, /) -> None:
        """Hand out the answers."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Tell why there are none."""


Taken = list[tuple[Item, Waiter]]


def hand_out(answers: Iterator[tuple[tuple[Item, Waiter], Outcome]]) -> None:
    """Hand answers out, a few at a time: PostgreSQL may have something to say."""
    for given, ((_, answered), outcome) in enumerate(answers, 1):
        if not answered.done():
            answered.set_result(outcome)
        if given == _AT_ONCE:
            asyncio.get_running_loop().call_soon(hand_out, answers)
            return


def told(error: Exception) -> DomainError:
    """Return what the caller of an entry is told that fails by itself."""
    if isinstance(error, DomainError):
        return error
    # Whatever the database cannot hold will not fit the next time either.
    if isinstance(error, psycopg.errors.NumericValueOutOfRange):
        return CounterFull()
    return Unavailable()


def fail(taken: Taken, error: DomainError) -> None:
    for _, answered in taken:
        if not answered.done():
            answered.set_exception(error)
