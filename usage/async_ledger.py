"""The ledger of an event loop: concurrent calls join one transaction at a time.

While a batch is in flight, arrivals wait; when it returns, everything waiting goes as
the next one. There is no artificial delay: alone, a call goes at once. While PostgreSQL
commits one batch, the next is worked out up to its first statements.

Without PostgreSQL nobody waits long: a batch that takes its time is watched, and if
the database cannot be reached beside it, its callers and all who wait are told so
within a second (CONTRACT C10). The next call tries again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from accounts.errors import DomainError, Overloaded, Unavailable
from usage import crashpoints, metrics, statements
from usage.batch import Decided, Overdue, Steps, batch
from usage.drivers import RETRIED, InDoubt, drive_async
from usage.entries import Item, Outcome
from usage.failing_open import OpenAnswers
from usage.lookups import LONGEST_SECONDS, PATIENCE_SECONDS, is_reachable
from usage.rulebook import Rulebooks
from usage.statements import Statement
from usage.waiters import Taken, Waiter, fail, hand_out, told
from usage.work import Restart

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 6
# What was worked out ahead and then had to wait longer is worked out again.
_FRESH = timedelta(milliseconds=20)
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


class _Ready(NamedTuple):
    """A batch that is worked out up to its first statements."""

    taken: Taken
    now: datetime
    steps: Steps
    first: list[Statement]


@dataclass(slots=True)
class _Flight:
    """An attempt that is under way, by the loop's clock in seconds."""

    begun: float
    # When the database was last asked, beside it, whether it is there.
    asked: float = 0.0


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
        self._taken: Taken = []
        self._ready: _Ready | None = None
        self._flight: _Flight | None = None
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
        ready = 0 if self._ready is None else len(self._ready.taken)
        return len(self._waiting) + ready >= self._queue_max

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
                worker = asyncio.ensure_future(self._work())
                try:
                    await self._watch(worker)
                except asyncio.CancelledError:
                    worker.cancel()
                    self._keep(worker)
                    raise
                except Exception as fault:  # noqa: BLE001 (another takes its place)
                    _LOG.error("the ledger's worker broke", exc_info=fault)
                self._abandon(worker)
                await self._refuse(self._all_waiting(), Unavailable(retry_after=1))
        finally:
            await self._disconnect()

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting or self._ready is not None:
                await self._next_batch()

    async def _next_batch(self) -> None:
        ready, self._ready = self._ready, None
        self._taken = [] if ready is None else ready.taken
        if ready is None or self._clock() - ready.now > _FRESH:
            self._waiting.extendleft(reversed(self._taken))
            ready, self._taken = None, self._take()
        try:
            await self._answer(self._taken, ready)
        except Unavailable as error:
            # Whoever waits behind it would wait for the same thing.
            await self._refuse(self._all_waiting(), error)
        else:
            await self._replay()

    def _take(self) -> Taken:
        taken: Taken = []
        size = 0
        while self._waiting and size < self._batch_max:
            taken.append(self._waiting.popleft())
            size += len(taken[-1][0].requests)
        return taken

    def _all_waiting(self) -> Taken:
        """Take everybody who waits, whose batch is in flight or who is behind it."""
        ready = [] if self._ready is None else self._ready.taken
        everybody = [*self._taken, *ready, *self._waiting]
        self._ready = None
        self._taken = []
        self._waiting.clear()
        return everybody

    async def _prepare(self) -> None:
        """Work the next batch out while PostgreSQL commits this one.

        PostgreSQL then begins with it at once. What it assumes may be old by then, as
        it may be at any time before its locks are held.
        """
        # Who has asked meanwhile comes along.
        await asyncio.sleep(0)
        if self._ready is not None or not self._waiting:
            return
        taken = self._take()
        try:
            now = self._clock()
            if sum(len(item.requests) for item, _ in taken) <= self._batch_max:
                steps = batch([i for i, _ in taken], books=self._books, now=now)
                self._ready = _Ready(taken, now, steps, next(steps))
        except Exception:  # noqa: BLE001 (it is met again, and told, in its own time)
            _LOG.debug("a batch could not be worked out ahead", exc_info=True)
        if self._ready is None:
            self._waiting.extendleft(reversed(taken))
        else:
            metrics.AHEAD.inc()

    async def _answer(self, taken: Taken, ready: _Ready | None = None) -> None:
        """Run a batch and hand its answers out; retry one that fails by halves."""
        try:
            decided = await self._run([item for item, _ in taken], ready)
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
            fail(taken, told(error))
        else:
            metrics.BATCHES.inc()
            metrics.ENTRIES.inc(sum(len(item.requests) for item, _ in taken))
            answers = zip(taken, decided.outcomes, strict=True)
            if self._waiting or self._ready is not None:
                # While PostgreSQL begins with the next batch.
                asyncio.get_running_loop().call_soon(hand_out, answers)
            else:
                hand_out(answers)
            crashpoints.reach("batch-answered")

    async def _refuse(self, taken: Taken, error: Unavailable) -> None:
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

    async def _run(self, items: Sequence[Item], ready: _Ready | None = None) -> Decided:
        ahead: list[Item] = []
        raced = False
        # One moment for all attempts: else holds would go overdue between two of them,
        # and each would have to be run again for the ones that have just done so.
        now = self._clock() if ready is None else ready.now
        for _ in range(_ATTEMPTS):
            try:
                decided = await self._attempt([*ahead, *items], now, ready)
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
            ready = None
        raise Unavailable(retry_after=1)

    async def _attempt(
        self, items: list[Item], now: datetime, ready: _Ready | None
    ) -> Decided:
        """Run one transaction; if its end is unknown, ask the database what it was."""
        flight = self._flight = _Flight(asyncio.get_running_loop().time())
        try:
            database = await self._connect()
            if ready is None:
                steps = batch(items, books=self._books, now=now)
                first = next(steps)
            else:
                steps, first = ready.steps, ready.first
            decided = await drive_async(database, steps, first, self._prepare)
        except InDoubt as doubt:
            await self._disconnect()
            metrics.IN_DOUBT.inc()
            if await self._committed(doubt.decided):
                return doubt.decided
            raise Restart from doubt
        finally:
            if self._flight is flight:
                self._flight = None
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

    async def _watch(self, worker: asyncio.Task[None]) -> None:
        """Return when a batch takes its time and the database cannot be reached."""
        loop = asyncio.get_running_loop()
        while True:
            flight, seen = self._flight, loop.time()
            since = seen if flight is None else max(flight.begun, flight.asked)
            wait = max(0.0, since + PATIENCE_SECONDS - seen)
            await asyncio.wait({worker}, timeout=wait)
            if worker.done():
                worker.result()
            if flight is None or self._flight is not flight:
                continue
            is_long = loop.time() - flight.begun > LONGEST_SECONDS
            is_lost = is_long or not await is_reachable(self._conninfo)
            if is_lost and self._flight is flight:
                return
            flight.asked = loop.time()

    def _abandon(self, worker: asyncio.Task[None]) -> None:
        """Leave a batch that hangs, and its connection, to themselves."""
        database, self._database = self._database, None
        self._flight = None
        worker.cancel()
        self._keep(worker)
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
