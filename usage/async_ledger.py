"""The ledger of an event loop: concurrent calls join one transaction at a time.

While a batch is in flight, arrivals wait; when it returns, everything waiting goes as
the next one. There is no artificial delay: alone, a call goes at once.

Without PostgreSQL nobody waits long: a batch that takes its time is watched, and if
the database cannot be reached beside it, its callers and all who wait are told so
within a second (CONTRACT C10). The next call tries again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, Protocol

import psycopg

from accounts.errors import CounterFull, DomainError, Overloaded, Unavailable
from usage import crashpoints, metrics, statements
from usage.batch import Decided, Overdue, batch
from usage.drivers import RETRIED, InDoubt, drive_async
from usage.entries import Item, Outcome
from usage.failing_open import OpenAnswers
from usage.lookups import LONGEST_SECONDS, PATIENCE_SECONDS, is_reachable
from usage.rulebook import Rulebooks
from usage.work import Restart

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 6
SESSION = (
    "SET TIME ZONE 'UTC'",
    # A transaction whose lane is gone must not keep its locks.
    "SET idle_in_transaction_session_timeout = '5s'",
    "SET statement_timeout = '10s'",
    # Every statement finds a few rows by their keys. A plan made while a table was
    # small reads all of it, for as long as nobody analyzes it; and planning anew for
    # each batch costs more than some of the statements.
    "SET plan_cache_mode = force_generic_plan",
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    # Once a large table is analyzed, the planner may want helpers for a few rows: to
    # start them takes longer than all the rest of a batch.
    "SET max_parallel_workers_per_gather = 0",
    "SET jit = off",
)


class Waiter(Protocol):
    """Who waits for an outcome; a future is one."""

    def done(self) -> bool:
        """Whether it waits no more."""

    def set_result(self, result: Outcome, /) -> None:
        """Hand out the answers."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Tell why there are none."""


_Taken = list[tuple[Item, Waiter]]


class AsyncLedger:
    """The ledger of one event loop, on one PostgreSQL connection of its own."""

    def __init__(
        self,
        *,
        conninfo: str,
        clock: Callable[[], datetime],
        batch_max: int,
        queue_max: int,
        open_answers: OpenAnswers | None = None,
    ) -> None:
        self._conninfo = conninfo
        self._clock = clock
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._books = Rulebooks()
        self._open_answers = open_answers
        self._waiting: deque[tuple[Item, Waiter]] = deque()
        self._arrived = asyncio.Event()
        self._database: psycopg.AsyncConnection[Any] | None = None
        self._abandoned: set[asyncio.Task[Any]] = set()

    async def submit(self, item: Item) -> Outcome:
        """Put one caller's request into the next batch and wait for its answers.

        Raises Overloaded when too many wait, Unavailable without a database.
        """
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.put(item, answered)
        # A caller who goes away cancels the answer, not what the batch has begun.
        return await answered

    @property
    def is_full(self) -> bool:
        """Whether too many wait for one more."""
        return len(self._waiting) >= self._queue_max

    def put(self, item: Item, answered: Waiter) -> None:
        """Put one caller's request into the next batch. Raises Overloaded."""
        if self.is_full:
            metrics.OVERLOADED.inc()
            raise Overloaded(retry_after=1)
        self._waiting.append((item, answered))
        self._arrived.set()

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
        taken: _Taken = []
        size = 0
        while self._waiting and size < self._batch_max:
            taken.append(self._waiting.popleft())
            size += len(taken[-1][0].requests)
        try:
            await self._answer(taken)
        except Unavailable as error:
            # Whoever waits behind it would wait for the same thing.
            taken += self._waiting
            self._waiting.clear()
            await self._refuse(taken, error)
        else:
            await self._replay()

    async def _answer(self, taken: _Taken) -> None:
        """Run a batch and hand its answers out; retry one that fails by halves."""
        try:
            decided = await self._run([item for item, _ in taken])
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 (the loop outlives any one batch)
            if len(taken) > 1:
                metrics.HALVED.inc()
                middle = len(taken) // 2
                await self._answer(taken[:middle])
                await self._answer(taken[middle:])
                return
            if not isinstance(error, DomainError):
                _LOG.error("an entry failed its batch", exc_info=error)
            _fail(taken, _told(error))
        else:
            metrics.BATCHES.inc()
            metrics.ENTRIES.inc(sum(len(item.requests) for item, _ in taken))
            if self._waiting:
                # While PostgreSQL begins with the next batch.
                loop = asyncio.get_running_loop()
                loop.call_soon(_hand_out, taken, decided.outcomes)
            else:
                _hand_out(taken, decided.outcomes)
            crashpoints.reach("batch-answered")

    async def _refuse(self, taken: _Taken, error: Unavailable) -> None:
        """Answer those who have waited in vain; some policies let calls pass (C10)."""
        metrics.UNAVAILABLE.inc()
        waiting = [(item, answered) for item, answered in taken if not answered.done()]
        passed: dict[int, Outcome] = {}
        if self._open_answers is not None:
            items = [item for item, _ in waiting]
            passed = await self._open_answers.answer(items, self._books, self._clock())
        for index, (_, answered) in enumerate(waiting):
            if answered.done():
                continue
            if index in passed:
                answered.set_result(passed[index])
            else:
                answered.set_exception(error)

    async def _replay(self) -> None:
        """Write what was let through without a database, now that there is one."""
        if self._open_answers is not None and self._open_answers.has_spooled:
            try:
                await self._open_answers.replay(await self._connect())
            except (psycopg.Error, OSError) as error:
                # It stays spooled; the next batch tries again.
                _LOG.warning("what was let through is not recorded yet: %s", error)
                await self._disconnect()

    async def _run(self, items: Sequence[Item]) -> Decided:
        ahead: list[Item] = []
        raced = False
        # One moment for all attempts: else holds would go overdue between two of them,
        # and each would have to be run again for the ones that have just done so.
        now = self._clock()
        for _ in range(_ATTEMPTS):
            try:
                decided = await self._watched(self._attempt([*ahead, *items], now))
            except Overdue as overdue:
                ahead += overdue.items
            except (Restart, *RETRIED) as again:
                if isinstance(again, RETRIED):
                    metrics.RETRIES.inc()
                else:
                    metrics.RESTARTS.inc()
            except psycopg.errors.UniqueViolation:
                # Another process has just used the Idempotency-Key: now it is read.
                if raced or len(items) > 1:
                    raise
                raced = True
            except (psycopg.OperationalError, psycopg.InterfaceError) as lost:
                await self._disconnect()
                raise Unavailable(retry_after=1) from lost
            else:
                return decided._replace(outcomes=decided.outcomes[len(ahead) :])
        raise Unavailable(retry_after=1)

    async def _attempt(self, items: list[Item], now: datetime) -> Decided:
        """Run one transaction; if its end is unknown, ask the database what it was."""
        database = await self._connect()
        steps = batch(items, books=self._books, now=now)
        try:
            decided = await drive_async(database, steps)
        except InDoubt as doubt:
            await self._disconnect()
            metrics.IN_DOUBT.inc()
            if await self._committed(doubt.decided):
                return doubt.decided
            raise Restart from doubt
        crashpoints.reach("batch-committed")
        return decided

    async def _committed(self, decided: Decided) -> bool:
        """Return whether a batch was committed. Raises OperationalError."""
        while True:
            database = await self._connect()
            asked = "SELECT pg_xact_status(%s::text::xid8)"
            row = await (
                await database.execute(asked, [decided.transaction])
            ).fetchone()
            status = row[0] if row else None
            if status == "committed":
                return await self._is_there(database, decided)
            if status != "in progress":
                return False
            await asyncio.sleep(0.02)

    async def _is_there(
        self, database: psycopg.AsyncConnection[Any], decided: Decided
    ) -> bool:
        """Return whether the batch's own row is there.

        After a crash PostgreSQL may give an id that never reached the disk to another
        transaction, whose commit is not ours.
        """
        if decided.witness is None:
            return True
        table, row_id = decided.witness
        found = await database.execute(statements.WITNESSES[table], [row_id])
        return await found.fetchone() is not None

    async def _watched(self, attempt: Coroutine[Any, Any, Decided]) -> Decided:
        """Wait for a batch as long as the database can be reached beside it."""
        task = asyncio.ensure_future(attempt)
        waited = 0.0
        while True:
            try:
                await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
            except asyncio.CancelledError:
                task.cancel()
                raise
            if task.done():
                return task.result()
            waited += PATIENCE_SECONDS
            if waited > LONGEST_SECONDS or not await is_reachable(self._conninfo):
                if task.done():
                    return task.result()
                self._abandon(task)
                raise Unavailable(retry_after=1)

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        """Leave a batch that hangs, and its connection, to themselves."""
        database, self._database = self._database, None
        task.cancel()
        self._keep(task)
        if database is not None:
            self._keep(asyncio.ensure_future(database.close()))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.add(task)

        def forget(done: asyncio.Task[Any]) -> None:
            self._abandoned.discard(done)
            if not done.cancelled():
                # Seen, so that the loop does not report it: its callers were told.
                done.exception()

        task.add_done_callback(forget)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        if self._database is None or self._database.closed:
            database = await psycopg.AsyncConnection.connect(
                self._conninfo, autocommit=True
            )
            for statement in SESSION:
                await database.execute(statement)
            self._database = database
        return self._database

    async def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            await database.close()


def _hand_out(taken: _Taken, outcomes: Sequence[Outcome]) -> None:
    for (_, answered), outcome in zip(taken, outcomes, strict=True):
        if not answered.done():
            answered.set_result(outcome)


def _told(error: Exception) -> DomainError:
    """Return what the caller of an entry is told that fails by itself."""
    if isinstance(error, DomainError):
        return error
    # Whatever the database cannot hold will not fit the next time either.
    if isinstance(error, psycopg.errors.NumericValueOutOfRange):
        return CounterFull()
    return Unavailable()


def _fail(taken: _Taken, error: DomainError) -> None:
    for _, answered in taken:
        if not answered.done():
            answered.set_exception(error)
