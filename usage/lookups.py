"""Reads beside the ledger, on one connection of their own: never waited for in vain.

A read that takes its time is watched as a batch is: if the database cannot be reached
beside it, whoever waits is told so within a second (CONTRACT C10).
"""

import asyncio
from typing import Any, Final

import psycopg

from accounts.errors import Unavailable

# A read is watched after so long, and a probe gets as long. Together they stay below
# the second that CONTRACT C10 allows.
PATIENCE_SECONDS: Final = 0.4
LONGEST_SECONDS: Final = 10.0
_LOST: Final = (psycopg.OperationalError, psycopg.InterfaceError)


async def is_reachable(conninfo: str) -> bool:
    """Say whether the database answers a new connection at once."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            probe = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
            try:
                await probe.execute("SELECT 1")
            finally:
                await probe.close()
    except (psycopg.OperationalError, TimeoutError):
        return False
    return True


class _Line:
    """A connection, and who may use it now."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.database: psycopg.AsyncConnection[Any] | None = None


class Lookups:
    """Runs single statements, one after another."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._line = _Line()
        self._probe: asyncio.Task[bool] | None = None
        self._abandoned: set[asyncio.Task[Any]] = set()

    async def rows(
        self, sql: str, parameters: Any, *, wanted: bool = True
    ) -> list[Any]:
        """Run a statement; return its rows if they are wanted. Raises Unavailable."""
        line = self._line
        task = asyncio.ensure_future(self._run(line, sql, parameters, wanted))
        try:
            await self._wait_for(task)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not task.done():
            self._abandon(task)
            self._leave(line)
            raise Unavailable(retry_after=1)
        try:
            return task.result()
        except _LOST as lost:
            raise Unavailable(retry_after=1) from lost

    async def _wait_for(self, task: asyncio.Task[Any]) -> None:
        """Wait until it is done, or is not worth waiting for."""
        waited = 0.0
        while waited < LONGEST_SECONDS:
            await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
            waited += PATIENCE_SECONDS
            if task.done() or not await self._is_reachable():
                return

    async def close(self) -> None:
        """Close the connection."""
        if self._line.database is not None:
            await self._line.database.close()

    async def _run(
        self, line: _Line, sql: str, parameters: Any, wanted: bool
    ) -> list[Any]:
        async with line.lock:
            if line.database is None or line.database.closed:
                line.database = await psycopg.AsyncConnection.connect(
                    self._conninfo, autocommit=True
                )
            cursor = await line.database.execute(sql, parameters)
            return await cursor.fetchall() if wanted else []

    async def _is_reachable(self) -> bool:
        """Ask once for all who wait."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.ensure_future(is_reachable(self._conninfo))
        return await asyncio.shield(self._probe)

    def _leave(self, line: _Line) -> None:
        """Take a new connection from now on: the old one may hang for long."""
        if self._line is line:
            self._line = _Line()
            if line.database is not None:
                self._keep(asyncio.ensure_future(line.database.close()))

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        """Leave a read to itself: nobody waits until it has been cancelled."""
        task.cancel()
        self._keep(task)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.add(task)

        def forget(done: asyncio.Task[Any]) -> None:
            self._abandoned.discard(done)
            if not done.cancelled():
                # Seen, so that the loop does not report it: its caller was told.
                done.exception()

        task.add_done_callback(forget)
