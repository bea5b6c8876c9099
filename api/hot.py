"""A request and its reply, as near to the server as ASGI allows.

Starlette's own classes and middlewares cost as much per call as a decision does. The
hot routes stand in its route table like all others; only what carries them is bare.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from starlette.datastructures import QueryParams
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from accounts.errors import BodyTooLarge
from api.request_ids import HEADER, request_id_for

Header = tuple[bytes, bytes]
REQUEST_ID: Final = HEADER.lower().encode()


class ClientGone(Exception):
    """The client went before its request was complete."""


class Reply(NamedTuple):
    """What is answered: `told` are headers besides type and length."""

    body: bytes
    status: int = 200
    content_type: bytes = b"application/json"
    told: tuple[Header, ...] = ()

    async def send(self, send: Send) -> None:
        """Send it through ASGI."""
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", b"%d" % len(self.body)),
            (b"cache-control", b"no-store"),
            *self.told,
        ]
        status = self.status
        await send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        await send({"type": "http.response.body", "body": self.body})


# Takes a plain request (its headers in lower case, its body) and answers it later, or
# says False: then it is answered as all others are.
Direct = Callable[[Sequence[Header], bytes, Callable[[Reply], None]], bool]


class HotRequest:
    """One request; what is read of it is read when it is asked for."""

    __slots__ = ("__dict__", "_receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive

    @property
    def state(self) -> Any:
        """What the application keeps while it runs."""
        return self.scope["app"].state

    @property
    def path_params(self) -> dict[str, str]:
        """The parts of the path that the route names."""
        found: dict[str, str] = self.scope["path_params"]
        return found

    @cached_property
    def _headers(self) -> dict[bytes, bytes]:
        # Of a header that is repeated the first one counts.
        return dict(reversed(self.scope["headers"]))

    def header(self, name: bytes) -> str | None:
        """Return a header by its name in lower case."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def query(self) -> dict[str, str]:
        """Return the query's parameters, the last of each name."""
        text = self.scope["query_string"]
        return dict(QueryParams(text)) if text else {}

    async def body(self, most: int) -> bytes:
        """Return the body. Raises BodyTooLarge beyond `most` bytes, and ClientGone."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > most:
                raise BodyTooLarge
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class HotRoute:
    """An endpoint as an ASGI application of its own."""

    def __init__(self, answer: Callable[[HotRequest], Awaitable[Reply]]) -> None:
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; nothing if the client has gone."""
        request = HotRequest(scope, receive)
        try:
            reply = await self.answer(request)
        except ClientGone:
            return
        await named(reply, request.header(REQUEST_ID)).send(send)


def named(reply: Reply, given: str | None) -> Reply:
    """Give an answer the name that its caller gave the request."""
    if given is None or any(name == REQUEST_ID for name, _ in reply.told):
        return reply
    named = (REQUEST_ID, request_id_for(given).encode())
    return reply._replace(told=(*reply.told, named))


class ShortCut:
    """Takes calls of the hot routes past an application's middlewares and routing."""

    def __init__(self, app: ASGIApp, routes: list[Route]) -> None:
        self._app = app
        self._hot = {
            (method, route.path): route.app
            for route in routes
            if isinstance(route.app, HotRoute) and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, to its route at once if it is a hot one."""
        if scope["type"] == "http":
            hot = self._hot.get((scope["method"], scope["path"]))
            if hot is not None:
                scope["app"] = self._app
                await hot(scope, receive, send)
                return
        await self._app(scope, receive, send)
