"""HTTP/1.1 connections to upstreams: kept alive, pooled, with bounded waits.

httptools reads the answers, which is what uvicorn reads requests with; a client of the
shelf costs several times the processor time of everything else that a call needs.
Addresses come from `accounts.outbound`, checked for each new connection. One timer a
connection watches whatever is waited for: moving a deadline is an assignment.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import httptools

from accounts.addresses import is_address
from accounts.outbound import Target, UnsafeUrl, resolve

KEEP_SECONDS: Final = 30.0
_KEPT_EACH: Final = 1_024
_HEADERS_MAX: Final = 64 * 1024
# Bytes that may wait here before the upstream is told to wait.
_BUFFER_MAX: Final = 256 * 1024
_INFORMATIONAL: Final = 200

Origin = tuple[str, str, int]


class UpstreamError(Exception):
    """The upstream gave no answer, or no whole one."""


class NotAsked(UpstreamError):
    """It could not be reached, so it has done nothing."""


class TookTooLong(UpstreamError):
    """It did not answer, or go on, in time."""


class BrokeOff(UpstreamError):
    """The connection ended before the answer did."""


class Stale(BrokeOff):
    """A kept connection had been closed by the upstream before it was used again."""


class Connection(asyncio.Protocol):
    """One connection: one request at a time, and its answer as it comes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._is_paused = False
        self._keeps = False
        self._error: UpstreamError | None = None
        # What kept it open before it is used again.
        self.deadline = 0.0
        self.uses = 0
        self.has_begun = False
        self.is_complete = False
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._header_size = 0

    # --- What asyncio tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        if self._parser is None:
            # Nobody asked.
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(BrokeOff())
            return
        self._wake()
        if self._size > _BUFFER_MAX and not self._is_paused and self._transport:
            self._is_paused = True
            self._transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """End the answer: rightly if only the end of the connection ends it."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self.has_begun and not self.is_complete and self._ends_with_connection():
            self.is_complete = True
            self._wake()
            return
        if not self.is_complete:
            is_stale = self.uses > 1 and not self.status
            self._fail(Stale() if is_stale else BrokeOff())

    def _ends_with_connection(self) -> bool:
        bounded = b"content-length" in self.headers
        return not bounded and b"transfer-encoding" not in self.headers

    # --- What the parser finds ---

    def on_message_begin(self) -> None:
        """Forget the answer before."""
        self.headers = {}
        self._header_size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._header_size += len(name) + len(value)
        if self._header_size > _HEADERS_MAX:
            self._fail(BrokeOff())
            return
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Begin the answer, unless it only says that there will be one."""
        status = self._parser.get_status_code()
        if status >= _INFORMATIONAL:
            self.status = status
            self._keeps = self._parser.should_keep_alive()
            self.has_begun = True

    def on_body(self, body: bytes) -> None:
        """Keep a part of the answer."""
        self._parts.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        """End the answer."""
        if self.has_begun:
            self.is_complete = True

    # --- What the gateway does ---

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent."""
        transport = self._transport
        return transport is not None and not transport.is_closing()

    async def ask(self, request: bytes, *, deadline: float) -> None:
        """Send a request; return when its answer begins. Raises UpstreamError."""
        transport = self._transport
        if transport is None:
            raise Stale
        self._parser = httptools.HttpResponseParser(self)
        self._error = None
        self.has_begun = self.is_complete = False
        self.status = 0
        self.uses += 1
        self.expect(deadline)
        transport.write(request)
        while not self.has_begun:
            await self._wait()

    async def chunk(self) -> bytes:
        """Return what has come since; nothing at the end. Raises UpstreamError."""
        while not self._parts:
            if self.is_complete:
                return b""
            await self._wait()
        parts, self._size = self._parts, 0
        found = parts.popleft() if len(parts) == 1 else b"".join(parts)
        parts.clear()
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return found

    def expect(self, deadline: float) -> None:
        """Wait until then for what comes next; later moments cost nothing."""
        self.deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            self._watch(deadline)

    def may_be_kept(self) -> bool:
        """Whether the answer is over and the connection is as good as new."""
        whole = self.is_complete and not self._parts
        return whole and self._keeps and self.is_usable

    def rest(self, deadline: float) -> None:
        """Wait unused until the deadline, then close."""
        self._parser = None
        self.deadline = deadline

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error is not None and not self._parts:
            raise self._error

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None:
            self._error = error
        self.close()
        self._wake()

    def _watch(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._look)

    def _look(self) -> None:
        """Give up if the deadline has passed, else look again when it does."""
        self._timer = None
        if self._transport is None:
            return
        if self._loop.time() >= self.deadline - 0.001:
            self._fail(TookTooLong())
        else:
            self._watch(self.deadline)


class Pool:
    """The kept connections of one event loop, by origin."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Origin, deque[Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    def take(self, target: Target) -> Connection | None:
        """Return a kept connection, the latest one used; None if there is none."""
        idle = self._idle.get((target.scheme, target.host, target.port))
        while idle:
            connection = idle.pop()
            if connection.is_usable:
                return connection
        return None

    def keep(self, target: Target, connection: Connection) -> None:
        """Keep a connection for the next request, if it can take one."""
        idle = self._idle.setdefault((target.scheme, target.host, target.port), deque())
        if connection.may_be_kept() and len(idle) < _KEPT_EACH:
            connection.rest(self._loop.time() + KEEP_SECONDS)
            idle.append(connection)
        else:
            connection.close()

    async def open(self, target: Target, *, seconds: float) -> Connection:
        """Connect to a checked address. Raises NotAsked."""
        try:
            async with asyncio.timeout(seconds):
                return await self._open(target)
        except (TimeoutError, OSError, UnsafeUrl, ssl.SSLError) as error:
            raise NotAsked from error

    async def _open(self, target: Target) -> Connection:
        if is_address(target.host):
            addresses = resolve(target)
        else:
            find: Callable[[], list[str]] = lambda: resolve(target)  # noqa: E731
            addresses = await self._loop.run_in_executor(None, find)
        last: OSError | None = None
        for address in addresses:
            try:
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._loop),
                    address,
                    target.port,
                    ssl=self._context() if target.scheme == "https" else None,
                    server_hostname=target.host if target.scheme == "https" else None,
                )
            except OSError as error:
                last = error
            else:
                return connection
        raise last or OSError("no address")

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def close(self) -> None:
        """Close all that is kept."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()
