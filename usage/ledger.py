"""The one door: every call, event and release goes through here (DESIGN §3.2).

What it promises: an answer is given after COMMIT; a reservation is never granted
beyond its limits, whatever runs beside it; an event counts exactly once; whoever
edited a policy, a bot or a key and committed is obeyed by the next call.

`AsyncLedger` serves an event loop: while a batch is in flight, arrivals wait, and
everything waiting goes as the next batch. `run` serves Django's own connection.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from django.db import OperationalError, connection, transaction
from psycopg import AsyncRawCursor, RawCursor

from accounts.errors import DomainError, Overloaded, Unavailable
from accounts.models import Account
from usage.batch import Overdue, batch
from usage.entries import (
    Answer,
    CallerKey,
    CallIn,
    EventIn,
    EventResult,
    Item,
    Outcome,
    ReleaseIn,
)
from usage.rulebook import Rulebooks
from usage.statements import Statement
from usage.work import Restart

_ATTEMPTS = 6
_RETRIED = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
_BOOKS = Rulebooks()

Reply = list[Sequence[Any] | None]
Result = TypeVar("Result")


def run(items: Sequence[Item], *, now: datetime) -> list[Outcome]:
    """Run one batch on Django's connection, in the caller's transaction if it has one.

    Raises what the batch raises, and Unavailable without a database.
    """
    ahead: list[Item] = []
    for _ in range(_ATTEMPTS):
        try:
            with transaction.atomic():
                steps = batch([*ahead, *items], books=_BOOKS, now=now)
                return drive(steps)[len(ahead) :]
        except Overdue as overdue:
            ahead += overdue.items
        except Restart:
            continue
        except OperationalError as lost:
            if isinstance(lost.__cause__, _RETRIED) and not connection.in_atomic_block:
                continue
            raise Unavailable(retry_after=1) from lost
    raise Unavailable(retry_after=1)


def drive(steps: Generator[list[Statement], Any, Result]) -> Result:
    """Run a generator of statements on Django's connection; return what it returns.

    Raises what Django raises for a failed statement. Belongs into a transaction.
    """
    connection.ensure_connection()
    reply: Reply | None = None
    with connection.wrap_database_errors, connection.connection.pipeline():
        while True:
            try:
                wanted = next(steps) if reply is None else steps.send(reply)
            except StopIteration as done:
                result: Result = done.value
                return result
            cursors = []
            for statement in wanted:
                cursor = RawCursor(connection.connection)
                cursor.execute(statement.sql, statement.parameters, prepare=True)
                cursors.append(cursor)
            reply = [
                cursor.fetchall() if statement.rows else None
                for statement, cursor in zip(wanted, cursors, strict=True)
            ]


async def drive_async(
    database: psycopg.AsyncConnection[Any],
    steps: Generator[list[Statement], Any, list[Outcome]],
) -> list[Outcome]:
    """Run one batch in one transaction of an autocommit connection."""
    reply: Reply | None = None
    async with database.pipeline(), database.transaction():
        while True:
            try:
                wanted = next(steps) if reply is None else steps.send(reply)
            except StopIteration as done:
                outcomes: list[Outcome] = done.value
                return outcomes
            cursors = []
            for statement in wanted:
                cursor = AsyncRawCursor(database)
                await cursor.execute(statement.sql, statement.parameters, prepare=True)
                cursors.append(cursor)
            reply = [
                await cursor.fetchall() if statement.rows else None
                for statement, cursor in zip(wanted, cursors, strict=True)
            ]


class AsyncLedger:
    """The ledger of one event loop, on one PostgreSQL connection of its own."""

    def __init__(
        self,
        *,
        conninfo: str,
        clock: Callable[[], datetime],
        batch_max: int,
        queue_max: int,
    ) -> None:
        self._conninfo = conninfo
        self._clock = clock
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._books = Rulebooks()
        self._waiting: deque[tuple[Item, asyncio.Future[Outcome]]] = deque()
        self._arrived = asyncio.Event()
        self._database: psycopg.AsyncConnection[Any] | None = None

    async def submit(self, item: Item) -> Outcome:
        """Put one caller's request into the next batch and wait for its answers.

        Raises Overloaded when too many wait, Unavailable without a database.
        """
        if len(self._waiting) >= self._queue_max:
            raise Overloaded(retry_after=1)
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answered))
        self._arrived.set()
        # A caller who goes away does not take back what the batch has begun.
        return await asyncio.shield(answered)

    async def serve(self) -> None:
        """Run batches until cancelled. One is in flight at a time."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    await self._next_batch()
        finally:
            await self._disconnect()

    async def _next_batch(self) -> None:
        taken: list[tuple[Item, asyncio.Future[Outcome]]] = []
        size = 0
        while self._waiting and size < self._batch_max:
            taken.append(self._waiting.popleft())
            size += len(taken[-1][0].requests)
        await self._answer(taken)

    async def _answer(self, taken: list[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        """Run a batch and hand its answers out; retry one that fails by halves."""
        try:
            outcomes = await self._run([item for item, _ in taken])
        except (psycopg.DataError, psycopg.IntegrityError, DomainError) as error:
            if len(taken) > 1 and not isinstance(error, Unavailable):
                middle = len(taken) // 2
                await self._answer(taken[:middle])
                await self._answer(taken[middle:])
                return
            failed = error if isinstance(error, DomainError) else Unavailable()
            for _, answered in taken:
                if not answered.done():
                    answered.set_exception(failed)
        else:
            for (_, answered), outcome in zip(taken, outcomes, strict=True):
                if not answered.done():
                    answered.set_result(outcome)

    async def _run(self, items: list[Item]) -> list[Outcome]:
        ahead: list[Item] = []
        for _ in range(_ATTEMPTS):
            try:
                database = await self._connect()
                now = self._clock()
                steps = batch([*ahead, *items], books=self._books, now=now)
                outcomes = await drive_async(database, steps)
                return outcomes[len(ahead) :]
            except Overdue as overdue:
                ahead += overdue.items
            except (Restart, *_RETRIED):
                continue
            except psycopg.OperationalError as lost:
                await self._disconnect()
                raise Unavailable(retry_after=1) from lost
        raise Unavailable(retry_after=1)

    async def connection(self) -> psycopg.AsyncConnection[Any]:
        """Return the ledger's connection. Raises Unavailable without a database."""
        try:
            return await self._connect()
        except psycopg.OperationalError as lost:
            raise Unavailable(retry_after=1) from lost

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        if self._database is None or self._database.closed:
            self._database = await psycopg.AsyncConnection.connect(
                self._conninfo, autocommit=True, connect_timeout=1
            )
            await self._database.execute("SET TIME ZONE 'UTC'")
        return self._database

    async def _disconnect(self) -> None:
        if self._database is not None:
            await self._database.close()
            self._database = None


def authorize(
    *, account: Account, call: CallIn, now: datetime, key: CallerKey | None = None
) -> Answer:
    """Decide one call from within Django. Raises what made it fail."""
    return _single(Item(account.id, [call], key), now)


def release(
    *,
    account: Account,
    reservation_id: str,
    now: datetime,
    key: CallerKey | None = None,
) -> Answer:
    """Free a reservation from within Django. Raises NotFound."""
    return _single(Item(account.id, [ReleaseIn(reservation_id)], key), now)


def record_events(
    *,
    account: Account,
    events: Sequence[EventIn],
    now: datetime,
    key: CallerKey | None = None,
) -> list[EventResult]:
    """Record events from within Django; each has a result of its own."""
    (outcome,) = run([Item(account.id, list(events), key)], now=now)
    return [answer for answer in outcome.answers if isinstance(answer, EventResult)]


def _single(item: Item, now: datetime) -> Answer:
    (outcome,) = run([item], now=now)
    (answer,) = outcome.answers
    if not isinstance(answer, Answer):
        raise TypeError("an event was answered where a decision was expected")
    if answer.error is not None:
        raise answer.error
    return answer
