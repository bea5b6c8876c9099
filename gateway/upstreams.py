"""Ask an upstream: pooled connections, checked addresses, bounded waits.

An answer is read as it comes. What goes wrong is one of three: it could not be asked
(`NotAsked`: another upstream may be), it took too long (`TookTooLong`), it broke off
(`BrokeOff`). None of them carries what the upstream said: that is for nobody else.
"""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Final, Protocol

import aiohttp
from yarl import URL

from accounts.outbound import UnsafeUrl, connector
from gateway import echo
from gateway.routes import Route, Times

CONNECTIONS: Final = 4_096
KEEP_SECONDS: Final = 30.0
_READ_SIZE: Final = 256 * 1024
_STALE: Final = 1


class UpstreamError(Exception):
    """The upstream gave no answer, or no whole one."""


class NotAsked(UpstreamError):
    """It could not be reached, so it has done nothing."""


class TookTooLong(UpstreamError):
    """It did not answer, or go on, in time."""


class BrokeOff(UpstreamError):
    """The connection ended before the answer did."""


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
        self._session = aiohttp.ClientSession(
            connector=connector(limit=CONNECTIONS, keepalive_timeout=KEEP_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=_READ_SIZE,
            max_line_size=8_192,
            max_field_size=8_192,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def ask(
        self, route: Route, path: str, body: bytes, *, deadline: float
    ) -> Answer:
        """Send a request; return its answer once it begins.

        `deadline` is a moment of the monotonic clock. Raises UpstreamError.
        """
        if route.target is None:
            return _Echoed(echo.answer(path, body), route.times, deadline)
        for attempt in range(_STALE + 1):
            try:
                return await self._send(route, path, body, deadline)
            except aiohttp.ServerDisconnectedError as gone:
                # A kept connection that the upstream had closed already.
                if attempt == _STALE:
                    raise BrokeOff from gone
        raise BrokeOff

    async def _send(
        self, route: Route, path: str, body: bytes, deadline: float
    ) -> "_Remote":
        times = route.times
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if route.secret:
            headers["authorization"] = f"Bearer {route.secret}"
        until = min(deadline, monotonic() + times.connect + times.first_byte)
        try:
            async with asyncio.timeout(until - monotonic()):
                response = await self._session.post(
                    URL(route.base_url + path, encoded=True),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=times.connect
                    ),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as lost:
            raise NotAsked from lost
        except (UnsafeUrl, aiohttp.InvalidURL) as unsafe:
            raise NotAsked from unsafe
        except TimeoutError as late:
            raise TookTooLong from late
        except aiohttp.ServerDisconnectedError:
            raise
        except (aiohttp.ClientError, OSError) as broken:
            raise BrokeOff from broken
        return _Remote(response, times, deadline)


class _Remote:
    """An answer over the network."""

    def __init__(
        self, response: aiohttp.ClientResponse, times: Times, deadline: float
    ) -> None:
        self._response = response
        self._times = times
        self._deadline = deadline
        self._patience = times.first_byte
        self.status = response.status
        self.content_type = response.content_type
        self.retry_after = response.headers.get("retry-after", "")

    async def chunk(self) -> bytes:
        try:
            seconds = min(self._patience, self._deadline - monotonic())
            async with asyncio.timeout(seconds):
                read = await self._response.content.readany()
        except TimeoutError as late:
            self.close()
            raise TookTooLong from late
        except (aiohttp.ClientError, OSError) as broken:
            raise BrokeOff from broken
        self._patience = self._times.idle
        return read

    def hurry(self, seconds: float) -> None:
        self._deadline = min(self._deadline, monotonic() + seconds)
        # What waits for the upstream now was told the old deadline.
        asyncio.get_running_loop().call_later(seconds, self.close)

    def close(self) -> None:
        self._response.close()


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
