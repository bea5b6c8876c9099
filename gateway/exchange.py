"""One request and its answer, as near to the server as ASGI allows.

Bodies are bounded and read in bounded time; headers are bounded. An answer begins
once; what is sent after the client has gone goes nowhere. One timer an exchange watches
whatever is waited for: a new deadline is an assignment, not a timer for each chunk.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Generator, Iterable
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.protocol import Refusal

Header = tuple[bytes, bytes]

BODY_MAX: Final = 2 * 1024 * 1024
HEADERS_MAX: Final = 32 * 1024
BODY_SECONDS: Final = 30.0
# A client that takes nothing for so long is taken for gone.
SEND_SECONDS: Final = 60.0
_JSON: Final = (b"content-type", b"application/json")
encode = msgspec.json.Encoder().encode


_T = TypeVar("_T")


class _Watched(Generic[_T]):
    """Awaits something, and says so if it has to wait indeed."""

    __slots__ = ("_say", "_seconds", "_work")

    def __init__(
        self, work: Awaitable[_T], say: Callable[[float], None], seconds: float
    ) -> None:
        self._work = work
        self._say = say
        self._seconds = seconds

    def __await__(self) -> Generator[Any, Any, _T]:
        """Pass every wait on to the task, and every answer back."""
        steps = self._work.__await__()
        try:
            waited = next(steps)
            self._say(self._seconds)
            while True:
                try:
                    answer = yield waited
                except BaseException as error:  # noqa: BLE001 (it is the work's)
                    waited = steps.throw(error)
                else:
                    waited = steps.send(answer)
        except StopIteration as done:
            result: _T = done.value
            return result


class ClientGone(Exception):
    """The client went before its request was complete."""


class Exchange:
    """A request, and the way to answer it."""

    __slots__ = (
        "__dict__",
        "_has_ended",
        "_is_late",
        "_loop",
        "_receive",
        "_send",
        "_task",
        "_timer",
        "_until",
        "arrived",
        "has_begun",
        "outcome",
        "scope",
        "told",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self.has_begun = False
        self._has_ended = False
        self._loop = asyncio.get_running_loop()
        self.arrived = self._loop.time()
        # How it ended, for whoever counts.
        self.outcome = "ok"
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # The deadline of what is waited for; 0 while nothing is.
        self._until = 0.0
        self._is_late = False
        # Headers that every answer to this request carries.
        self.told: list[Header] = [
            (b"x-request-id", b"req_" + secrets.token_hex(16).encode("ascii")),
            (b"cache-control", b"no-store"),
        ]

    @cached_property
    def headers(self) -> dict[bytes, bytes]:
        """The headers; of one that is repeated the first counts."""
        return dict(reversed(self.scope["headers"]))

    def header(self, name: bytes) -> str | None:
        """Return a header by its name in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def check_headers(self) -> None:
        """Raise Refusal for headers that are too large altogether."""
        size = sum(len(name) + len(value) for name, value in self.scope["headers"])
        if size > HEADERS_MAX:
            raise Refusal(
                431, "The headers are too large.", code="request_headers_too_large"
            )

    async def body(self) -> bytes:
        """Return the body. Raises Refusal and ClientGone."""
        said = self.headers.get(b"content-length")
        if said is not None and said.isdigit() and int(said) > BODY_MAX:
            raise _too_large()
        try:
            return await self._within(BODY_SECONDS, self._whole_body())
        except TimeoutError:
            raise Refusal(408, "The body did not arrive in time.") from None

    async def _within(self, seconds: float, work: Awaitable[_T]) -> _T:
        """Await something of this task. Raises TimeoutError.

        What need not wait costs neither a look at the clock nor a timer.
        """
        try:
            return await _Watched(work, self._watch, seconds)
        except asyncio.CancelledError:
            if self._is_late and self._task is not None:
                self._is_late = False
                if self._task.uncancel() <= 0:
                    raise TimeoutError from None
            raise
        finally:
            self._until = 0.0

    def _watch(self, seconds: float) -> None:
        """See to it that the wait that begins now ends."""
        self._until = until = self._loop.time() + seconds
        timer = self._timer
        if timer is None or timer.when() > until:
            if timer is not None:
                timer.cancel()
            self._task = asyncio.current_task()
            self._timer = self._loop.call_at(until, self._look)

    def _look(self) -> None:
        """End the wait if its deadline has passed, else look again when it does."""
        self._timer = None
        if not self._until:
            return
        if self._loop.time() < self._until - 0.001:
            self._timer = self._loop.call_at(self._until, self._look)
        elif self._task is not None:
            self._is_late = True
            self._task.cancel()

    @property
    def age(self) -> float:
        """Seconds since the request arrived."""
        return self._loop.time() - self.arrived

    def close(self) -> None:
        """Watch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _whole_body(self) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > BODY_MAX:
                raise _too_large()
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def until_gone(self) -> None:
        """Return when the client has closed its connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def begin(
        self, status: int, headers: Iterable[Header], *, length: int | None = None
    ) -> None:
        """Send the status and the headers."""
        self.has_begun = True
        told = [*headers, *self.told]
        if length is not None:
            told.append((b"content-length", b"%d" % length))
        start = {"type": "http.response.start", "status": status, "headers": told}
        await self._send(start)

    async def write(self, chunk: bytes) -> bool:
        """Send a part of the body; False if the client does not take it."""
        part = {"type": "http.response.body", "body": chunk, "more_body": True}
        try:
            await self._within(SEND_SECONDS, self._send(part))
        except (TimeoutError, OSError):
            return False
        return True

    async def end(self, chunk: bytes = b"") -> None:
        """Send the last part of the body, once."""
        if self._has_ended:
            return
        self._has_ended = True
        last = {"type": "http.response.body", "body": chunk}
        try:
            await self._within(SEND_SECONDS, self._send(last))
        except (TimeoutError, OSError):
            return

    async def answer(
        self, body: bytes, status: int = 200, headers: Iterable[Header] = ()
    ) -> None:
        """Send a whole answer in JSON."""
        await self.begin(status, [_JSON, *headers], length=len(body))
        await self.end(body)

    async def show(self, document: Any, status: int = 200) -> None:
        """Send a document."""
        await self.answer(encode(document), status)

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal in OpenAI's shape."""
        headers = list(refusal.headers)
        if refusal.seconds is not None:
            headers.append((b"retry-after", b"%d" % refusal.seconds))
        if refusal.retry is not None:
            headers.append((b"x-should-retry", b"true" if refusal.retry else b"false"))
        named = {name for name, _ in headers}
        self.told = [header for header in self.told if header[0] not in named]
        await self.answer(encode(refusal.body()), refusal.status, headers)


def _too_large() -> Refusal:
    message = f"The body is larger than {BODY_MAX} bytes."
    return Refusal(413, message, code="request_too_large")
