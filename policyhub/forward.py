"""Pass what is not hot on to the pages, as a proxy that hides nothing.

The request's body is read whole (and bounded) before a page's thread is taken, so a
slow sender costs no thread. The answer is streamed. When the client goes, the
request to the pages is dropped. Headers that speak about one connection stay on it
(RFC 9110, 7.6.1), and `X-Forwarded-*` always comes from here.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path

import httpx
from starlette.types import Message, Receive, Scope, Send

from policyhub.refusals import refuse

Header = tuple[bytes, bytes]

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection "
    b"te trailer transfer-encoding upgrade".split()
)
SET_HERE = frozenset(
    b"forwarded x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto "
    b"x-real-ip content-length expect".split()
)
BODY_MAX = 10 * 1024 * 1024
CONNECTIONS = 64
SECONDS = {"connect": 2.0, "read": 120.0, "write": 30.0, "pool": 10.0}


class ClientGone(Exception):
    """The client has closed its connection."""


class BodyTooLarge(Exception):
    """The request's body is larger than `BODY_MAX`."""


class Pages:
    """The pages behind a unix socket, as an ASGI application."""

    def __init__(self, socket: Path) -> None:
        # A kept connection may just be closing, and a POST cannot be sent twice.
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=0)
        self._transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=limits)

    async def close(self) -> None:
        """Close all connections to the pages."""
        await self._transport.aclose()

    async def ask(self, path: str, headers: list[Header]) -> tuple[int, bytes]:
        """GET a path of the pages for ourselves. Raises `httpx.TransportError`."""
        request = _request("GET", path.encode("ascii"), headers, b"")
        response = await self._transport.handle_async_request(request)
        try:
            return response.status_code, await response.aread()
        finally:
            await response.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
            return
        if unclear := _unclear(scope):
            await refuse(scope, send, 400, "bad_request", unclear)
            return
        try:
            body = await _whole_body(receive)
            await self._unless_gone(self._pass_on(scope, body, send), receive)
        except ClientGone:
            return
        except BodyTooLarge:
            await refuse(
                scope, send, 413, "body_too_large", f"At most {BODY_MAX} bytes."
            )

    async def _unless_gone(
        self, work: Coroutine[None, None, None], receive: Receive
    ) -> None:
        """Do the work; cancel it when the client goes."""
        passing = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            passing.cancel()  # does nothing to work that is done
        try:
            await passing
        except asyncio.CancelledError:
            if not leaving.done() or leaving.cancelled():
                raise

    async def _pass_on(self, scope: Scope, body: bytes, send: Send) -> None:
        target = scope.get("raw_path") or scope["path"].encode("utf-8")
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        headers = _forwarded(scope)
        request = _request(scope["method"], target, headers, body)
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.ReadTimeout:
            await refuse(scope, send, 504, "pages_too_slow", "No answer came in time.")
            return
        except httpx.LocalProtocolError:
            detail = "A header cannot be passed on."
            await refuse(scope, send, 400, "bad_request", detail)
            return
        except (httpx.ProtocolError, httpx.ReadError):
            await refuse(scope, send, 502, "pages_failed", "The answer broke off.")
            return
        except httpx.TransportError:
            await refuse(
                scope, send, 503, "pages_unavailable", "Try again in a moment."
            )
            return
        try:
            await send(_start(response))
            async for chunk in response.aiter_raw():
                await send(_body(chunk, more=True))
            await send(_body(b"", more=False))
        finally:
            await response.aclose()


def _unclear(scope: Scope) -> str:
    """Say what keeps a request from being passed on; nothing if all is well."""
    if sum(name == b"host" for name, _ in scope["headers"]) != 1:
        # Of several, nobody can say which is meant (RFC 9112, 3.2).
        return "Send one Host header."
    if not scope["path"].startswith("/"):
        return "Ask for a path."
    return ""


def _request(
    method: str, target: bytes, headers: list[Header], body: bytes
) -> httpx.Request:
    url = httpx.URL("http://pages").copy_with(raw_path=target)
    extensions = {"timeout": SECONDS}
    return httpx.Request(
        method, url, headers=headers, content=body or None, extensions=extensions
    )


def _forwarded(scope: Scope) -> list[Header]:
    """Return the request's headers as the pages may see them."""
    named = _named_by_connection(scope["headers"])
    drop = HOP_BY_HOP | SET_HERE | named
    # White space around a value is no part of it (RFC 9110, 5.5).
    headers = [(n, v.strip(b" \t")) for n, v in scope["headers"] if n not in drop]
    host = next((value for name, value in headers if name == b"host"), b"")
    client = scope.get("client") or ("127.0.0.1", 0)
    headers.append((b"x-forwarded-for", str(client[0]).encode("ascii")))
    headers.append((b"x-forwarded-proto", scope["scheme"].encode("ascii")))
    headers.append((b"x-forwarded-host", host))
    return headers


def _named_by_connection(headers: list[Header]) -> frozenset[bytes]:
    return frozenset(
        name.strip().lower()
        for key, value in headers
        if key.lower() == b"connection"
        for name in value.split(b",")
    )


def _start(response: httpx.Response) -> Message:
    drop = HOP_BY_HOP | _named_by_connection(response.headers.raw)
    headers = [(n.lower(), v) for n, v in response.headers.raw if n.lower() not in drop]
    start = {"type": "http.response.start", "status": response.status_code}
    return {**start, "headers": headers}


def _body(chunk: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def _whole_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        size += len(message.get("body", b""))
        if size > BODY_MAX:
            raise BodyTooLarge
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
