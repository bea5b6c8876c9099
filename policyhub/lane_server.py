"""The lane's server: uvicorn, with bounds that it does not have itself.

`python -m policyhub.lane_server policyhub.asgi:app …` takes uvicorn's own arguments.
A client that sends no whole head in time, or one that is too large, loses its
connection; as many connections may be open as the system allows.
"""

import asyncio
import resource
from typing import Final

import uvicorn
import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_MAX: Final = 64 * 1024
HEAD_SECONDS: Final = 30.0
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol for clients that may be slow or rude."""

    _head_size = 0
    _reads_head = True
    _head_timer: asyncio.TimerHandle | None = None

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

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head becomes too large or takes too long."""
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
        super().on_message_begin()
        self._reads_head = True
        self._head_size = 0

    def on_headers_complete(self) -> None:
        """Stop counting: what follows is the application's to bound."""
        self._reads_head = False
        self._stop_waiting()
        super().on_headers_complete()

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
    allow_connections()
    uvicorn.main()
