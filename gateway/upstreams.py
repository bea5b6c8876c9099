"""Ask an upstream, over the network or the echo in this process.

An answer is read as it comes. What goes wrong is one of three: it could not be asked
(`NotAsked`: another upstream may be), it took too long (`TookTooLong`), it broke off
(`BrokeOff`). None of them carries what the upstream said: that is for nobody else.
"""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Final, Protocol

from accounts.outbound import Target
from gateway import echo
from gateway.connections import (
    BrokeOff,
    Connection,
    NotAsked,
    Pool,
    Stale,
    TookTooLong,
    UpstreamError,
)
from gateway.routes import Route, Times

__all__ = [
    "Answer",
    "BrokeOff",
    "NotAsked",
    "TookTooLong",
    "UpstreamError",
    "Upstreams",
]

_ATTEMPTS: Final = 3


class Answer(Protocol):
    """What an upstream answers, as it comes."""

    status: int
    content_type: str
    retry_after: str

    async def chunk(self) -> bytes:
        """Return the next bytes; none at the end. Raises UpstreamError."""
        ...

    def hurry(self, seconds: float) -> None:
        """Read on for so long at most."""
        ...

    def close(self) -> None:
        """Read no further; the upstream sees the connection end."""
        ...


class Upstreams:
    """The connections of one process to all upstreams."""

    def __init__(self) -> None:
        self._pool = Pool()

    async def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    async def ask(
        self, route: Route, path: str, body: bytes, *, deadline: float
    ) -> Answer:
        """Send a request; return its answer once it begins.

        `deadline` is a moment of the monotonic clock. Raises UpstreamError.
        """
        target = route.target
        if target is None:
            return _Echoed(echo.answer(path, body), route.times, deadline)
        request = b"%b%d\r\n\r\n%b" % (route.head(path), len(body), body)
        for attempt in range(_ATTEMPTS):
            # Kept connections may all be stale; the last attempt takes a new one.
            kept = self._pool.take(target) if attempt < _ATTEMPTS - 1 else None
            connection = kept or await self._pool.open(
                target, seconds=min(route.times.connect, deadline - monotonic())
            )
            try:
                until = min(deadline, monotonic() + route.times.first_byte)
                await connection.ask(request, deadline=until)
            except Stale:
                continue
            except BaseException:
                connection.close()
                raise
            return _Remote(self._pool, target, connection, route.times, deadline)
        raise BrokeOff


class _Remote:
    """An answer over the network."""

    def __init__(
        self,
        pool: Pool,
        target: Target,
        connection: Connection,
        times: Times,
        deadline: float,
    ) -> None:
        self._pool = pool
        self._target = target
        self._connection: Connection | None = connection
        self._idle = times.idle
        self._deadline = deadline
        headers = connection.headers
        self.status = connection.status
        kind = headers.get(b"content-type", b"").partition(b";")[0]
        self.content_type = kind.strip().lower().decode("latin-1")
        self.retry_after = headers.get(b"retry-after", b"").decode("latin-1")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            # Nobody asked for it, so nobody can read it.
            self.content_type = ""

    async def chunk(self) -> bytes:
        connection = self._connection
        if connection is None:
            return b""
        try:
            found = await connection.chunk()
        except BaseException:
            self.close()
            raise
        if found:
            connection.expect(min(self._deadline, monotonic() + self._idle))
        if connection.is_complete and not found:
            self._connection = None
            self._pool.keep(self._target, connection)
        return found

    def hurry(self, seconds: float) -> None:
        self._deadline = min(self._deadline, monotonic() + seconds)
        if self._connection is not None:
            self._connection.expect(min(self._deadline, self._connection.deadline))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Echoed:
    """An answer of the echo in this process."""

    def __init__(self, answer: echo.Echo, times: Times, deadline: float) -> None:
        self._chunks: AsyncIterator[bytes] = answer.chunks
        self._times = times
        self._deadline = deadline
        self._patience = times.first_byte
        self.status = answer.status
        self.content_type = answer.content_type
        self.retry_after = answer.headers.get("retry-after", "")

    async def chunk(self) -> bytes:
        try:
            seconds = min(self._patience, self._deadline - monotonic())
            async with asyncio.timeout(seconds):
                read = await anext(self._chunks, b"")
        except TimeoutError as late:
            raise TookTooLong from late
        except echo.Broken as broken:
            raise BrokeOff from broken
        self._patience = self._times.idle
        return read

    def hurry(self, seconds: float) -> None:
        self._deadline = min(self._deadline, monotonic() + seconds)

    def close(self) -> None:
        """Hold nothing: what is not asked for is not made."""
