"""The lane's server: uvicorn, with bounds that it does not have itself.

`python -m policyhub.lane_server policyhub.asgi:app …` takes uvicorn's own arguments.
A client that sends no whole head in time, or one that is too large, loses its
connection; as many connections may be open as the system allows.

The plainest calls of the hot routes are answered without ASGI: the application names
their paths in its lifespan state, and takes such a request whole or declines it. What
it declines, and everything else, goes uvicorn's own way.
"""

import asyncio
import os
import resource
from collections.abc import Sequence
from typing import Final

import uvicorn
import uvicorn.config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.hot import Direct, Reply

HEAD_MAX: Final = 64 * 1024
HEAD_SECONDS: Final = 30.0
# A body that is larger is no plain call; uvicorn bounds how much of it waits.
DIRECT_MAX: Final = 32 * 1024
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class _Event:
    """Stands for an event that nobody waits for."""

    def set(self) -> None:
        """Tell nobody."""


_NOBODY: Final = _Event()


class _DirectCycle:
    """One plain call that is being answered, as uvicorn looks at any request."""

    __slots__ = ("_protocol", "disconnected", "keep_alive", "response_complete")
    message_event = _NOBODY

    def __init__(self, protocol: "BoundedHttp") -> None:
        self._protocol = protocol
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False

    def reply(self, reply: Reply) -> None:
        """Send the answer in one piece."""
        self.response_complete = True
        protocol = self._protocol
        transport = protocol.transport
        if transport.is_closing():
            return
        transport.write(
            b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n"
            b"cache-control: no-store\r\n%b%b\r\n%b"
            % (
                STATUS_LINE[reply.status],
                protocol.default_headers(),
                reply.content_type,
                len(reply.body),
                b"".join([b"%b: %b\r\n" % header for header in reply.told]),
                b"" if self.keep_alive else b"connection: close\r\n",
                reply.body,
            )
        )
        if not self.keep_alive:
            transport.close()
        protocol.on_response_complete()


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol for clients that may be slow or rude."""

    _head_size = 0
    _reads_head = True
    _head_timer: asyncio.TimerHandle | None = None
    # When the connection began to idle; None while it does not.
    _quiet_since: float | None = None
    # The body of a request that may be answered directly, as far as it is there.
    _direct: Direct | None = None
    _parts: list[bytes]
    _headers_text: tuple[object, bytes] = (None, b"")

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        """Give the first head its time."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head becomes too large or takes too long."""
        self._quiet_since = None
        super().data_received(data)
        if not self._reads_head:
            return
        self._head_size += len(data)
        if self._head_size > HEAD_MAX:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def on_message_begin(self) -> None:
        """Begin to count."""
        # uvicorn's scope is made when it turns out to be needed.
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._direct = None
        self._reads_head = True
        self._head_size = 0

    def on_headers_complete(self) -> None:
        """Stop counting: what follows is the application's to bound."""
        self._reads_head = False
        self._stop_waiting()
        direct = self._direct_for()
        if direct is None:
            self._by_asgi()
        else:
            self._direct = direct
            self._parts = []

    def on_body(self, body: bytes) -> None:
        """Keep the body of a plain call; uvicorn keeps that of others."""
        if self._direct is None:
            super().on_body(body)
            return
        self._parts.append(body)
        if len(self._parts) > 1 and sum(map(len, self._parts)) > DIRECT_MAX:
            self._decline()

    def on_message_complete(self) -> None:
        """Answer a plain call at once, without ASGI."""
        direct = self._direct
        if direct is None:
            super().on_message_complete()
            return
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        before, cycle = self.cycle, _DirectCycle(self)
        self.cycle = cycle  # type: ignore[assignment]
        if direct(self.headers, body, cycle.reply):
            self._direct = None
            return
        self.cycle = before
        self._decline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to idle, or answer the next request that has come already."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        # One timer looks now and then; one for each answer costs more than its head.
        self._quiet_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_in(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has idled for long enough."""
        self.timeout_keep_alive_task = None
        if self._quiet_since is None:
            return
        left = self._quiet_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_in(left)
        else:
            super().timeout_keep_alive_handler()

    def default_headers(self) -> bytes:
        """What uvicorn tells in every answer; it makes a new list each second."""
        listed: Sequence[tuple[bytes, bytes]] = self.server_state.default_headers
        known, text = BoundedHttp._headers_text
        if known is not listed:
            text = b"".join([b"%b: %b\r\n" % header for header in listed])
            BoundedHttp._headers_text = (listed, text)
        return text

    def _unset_keepalive_if_required(self) -> None:
        """Leave the timer alone: it looks for itself whether anything came."""

    def _look_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _direct_for(self) -> Direct | None:
        """Return who answers this request directly, if it is plain so far."""
        found: Direct | None = self.app_state.get("direct", {}).get(self.url)
        if found is None or self.expect_100_continue:
            return None
        parser, cycle = self.parser, self.cycle
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return None
        if parser.should_upgrade() or not parser.should_keep_alive():
            return None
        # Behind a request that is not answered yet it has to wait its turn.
        return found if cycle is None or cycle.response_complete else None

    def _by_asgi(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def _decline(self) -> None:
        """Let uvicorn have a request that turned out not to be plain."""
        self._direct = None
        self._by_asgi()
        for part in self._parts:
            super().on_body(part)

    def _give_up(self) -> None:
        self._head_timer = None
        if self._reads_head and not self.transport.is_closing():
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def allow_connections() -> None:
    """Open as many files as the system lets this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# Here, and not below: worker processes import this module without running it.
uvicorn.config.HTTP_PROTOCOLS["httptools"] = "policyhub.lane_server:BoundedHttp"

if __name__ == "__main__":
    # Worker processes inherit it.
    os.environ["DJANGO_SETTINGS_MODULE"] = "policyhub.lane_settings"
    allow_connections()
    uvicorn.main()
