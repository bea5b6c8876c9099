"""The ledger's own way to talk to PostgreSQL: many statements, one wait.

A cursor of psycopg waits for the socket at each statement, and a batch has a dozen.
Here they are handed to libpq's pipeline together and the socket is waited for once a
round trip, which is a third of what a small batch costs. Rows are read by psycopg's
own loaders, so they are the same ones.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from usage.statements import Statement

Reply = list[Sequence[Any] | None]

BEGIN = Statement("BEGIN")
COMMIT = Statement("COMMIT")
ROLLBACK = Statement("ROLLBACK")

_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
# A statement has the same name on every connection, once it is prepared there.
_NAMES: dict[str, bytes] = {}


class _Memory:
    """What is known of one connection."""

    def __init__(self, database: psycopg.AsyncConnection[Any]) -> None:
        self.prepared: set[bytes] = set()
        self.transformer = Transformer(database)


_MEMORIES: WeakKeyDictionary[psycopg.AsyncConnection[Any], _Memory] = (
    WeakKeyDictionary()
)


class Wire:
    """One transaction's conversation on an idle connection in autocommit.

    Every method raises psycopg's errors. Use it once: `begin`, then `ask` as often as
    need be, then `commit`; after anything else `give_up`.
    """

    def __init__(self, database: psycopg.AsyncConnection[Any]) -> None:
        memory = _MEMORIES.get(database)
        if memory is None:
            memory = _MEMORIES[database] = _Memory(database)
        self._memory = memory
        self._pg = database.pgconn
        # What the server has yet to answer: what it prepares, and if rows are wanted.
        self._unanswered: list[tuple[bytes | None, bool]] = []

    def begin(self) -> None:
        """Open the transaction with the first statements, not before."""
        self._pg.enter_pipeline_mode()
        self._send(BEGIN)

    async def ask(self, wanted: Sequence[Statement]) -> Reply:
        """Send statements; wait for their rows if there are any to wait for.

        A statement that fails is reported here or by whatever waits next.
        """
        for statement in wanted:
            self._send(statement)
        if not any(statement.rows for statement in wanted):
            # PostgreSQL may begin; what does not fit goes when somebody waits.
            self._pg.flush()
            return [None] * len(wanted)
        rows = iter(await self._answers())
        return [next(rows) if statement.rows else None for statement in wanted]

    async def commit(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Commit what was sent, and wait for it; `meanwhile` is done while it is."""
        self._send(COMMIT)
        self._pg.pipeline_sync()
        self._pg.flush()
        await meanwhile()
        await self._replies()
        self._pg.exit_pipeline_mode()

    async def give_up(self) -> None:
        """Roll back; close the connection if that cannot be done in good order."""
        done = False
        try:
            with contextlib.suppress(psycopg.Error):
                with contextlib.suppress(psycopg.Error):
                    self._send(ROLLBACK)
                    await self._answers()
                # What had failed before it was told now: it is over in any case.
                if self._pg.transaction_status != pq.TransactionStatus.IDLE:
                    self._send(ROLLBACK)
                    await self._answers()
                self._pg.exit_pipeline_mode()
                done = True
        finally:
            if not done:
                self._pg.finish()

    def close(self) -> None:
        """Close the connection at once: nobody knows what it is in the middle of."""
        self._pg.finish()

    def _send(self, statement: Statement) -> None:
        name = _NAMES.get(statement.sql)
        if name is None:
            name = _NAMES[statement.sql] = b"ledger_%d" % len(_NAMES)
        if name not in self._memory.prepared:
            self._pg.send_prepare(name, statement.sql.encode())
            self._unanswered.append((name, False))
            self._memory.prepared.add(name)
        parameters = [text.encode() for text in statement.parameters]
        self._pg.send_query_prepared(name, parameters)
        self._unanswered.append((None, statement.rows))

    async def _answers(self) -> list[Sequence[Any]]:
        """Wait for everything sent; return the rows of those whose rows are wanted."""
        self._pg.pipeline_sync()
        return await self._replies()

    async def _replies(self) -> list[Sequence[Any]]:
        unanswered, self._unanswered = self._unanswered, []
        results = await self._results()
        failed = next((r for r in results if r.status in _FAILED), None)
        if failed is not None:
            self._forget_unprepared(unanswered, results)
            raise psycopg.errors.error_from_result(failed)
        transformer = self._memory.transformer
        answers: list[Sequence[Any]] = []
        for result, (_, is_wanted) in zip(results, unanswered, strict=True):
            if is_wanted:
                transformer.set_pgresult(result)
                answers.append(transformer.load_rows(0, result.ntuples, tuple))
        return answers

    def _forget_unprepared(
        self, unanswered: list[tuple[bytes | None, bool]], results: list[Any]
    ) -> None:
        """What stood behind a failure was not even prepared."""
        prepared = {
            name
            for (name, _), result in zip(unanswered, results, strict=False)
            if result.status == pq.ExecStatus.COMMAND_OK
        }
        asked = {name for name, _ in unanswered if name is not None}
        self._memory.prepared -= asked - prepared

    async def _results(self) -> list[Any]:
        """Read all results up to the end of the round trip."""
        pg = self._pg
        results: list[Any] = []
        is_sent = pg.flush() == 0
        while True:
            while pg.is_busy():
                await _ready(pg.socket, writing=not is_sent)
                pg.consume_input()
                is_sent = is_sent or pg.flush() == 0
            result = pg.get_result()
            if result is None:
                if pg.status == pq.ConnStatus.BAD:
                    raise psycopg.OperationalError("the connection is lost")
                continue
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            results.append(result)


async def _ready(socket: int, *, writing: bool) -> None:
    """Wait until the socket can be read from (or written to)."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    loop.add_reader(socket, wake)
    if writing:
        loop.add_writer(socket, wake)
    try:
        await woken
    finally:
        loop.remove_reader(socket)
        if writing:
            loop.remove_writer(socket)
