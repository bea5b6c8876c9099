"""The gateway's routes, beside the hot ones in the lane: `/v1/*` (CONTRACT H).

Who calls is asked first, then how often; then the body is read, its content checked,
its cost reserved. Only then an upstream is asked. Every answer is in OpenAI's shape.
"""

import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final, Protocol

import msgspec
from django.conf import settings
from starlette.types import Receive, Scope, Send

from accounts.errors import DomainError, InvalidKey, Unavailable
from gateway import admission, errors, metrics, protocol
from gateway.admission import Admission
from gateway.calls import Books, Call, Ledger
from gateway.exchange import ClientGone, Exchange, encode
from gateway.limits import Minutes, Places, TooMany
from gateway.protocol import DEPTH_MAX, Refusal
from gateway.relay import Relay, broken_answer, too_late, whole
from gateway.routes import AccountRoutes, RouteBook, unknown_model
from gateway.sending import first_answer
from gateway.upstreams import Answer, TookTooLong, UpstreamError, Upstreams
from usage.entries import CallerKey

PREFIX: Final = "/v1"
SCOPE: Final = ("gateway",)
_LOG = logging.getLogger(__name__)
_CHECKS: Final = {
    "/chat/completions": protocol.chat,
    "/embeddings": protocol.embedding,
}
_CREATED: Final = 1_767_225_600
_EVENTS: Final = (b"content-type", b"text/event-stream; charset=utf-8")
# A proxy in between must not keep events back.
_UNBUFFERED: Final = (b"x-accel-buffering", b"no")


class Keys(Protocol):
    """Finds keys by their text."""

    async def caller(
        self, header: str | None, scopes: tuple[str, ...], now: datetime
    ) -> CallerKey:
        """Return the caller. Raises InvalidKey, MissingScope and Unavailable."""
        ...

    async def check_again(self, header: str | None, now: datetime) -> None:
        """Raise InvalidKey if a remembered key is no longer good."""
        ...


class Gateway:
    """`/v1/*` as an ASGI application."""

    def __init__(self, *, keys: Keys, ledger: Ledger, conninfo: str) -> None:
        self._keys = keys
        self._books = Books(ledger)
        self._routes = RouteBook(conninfo=conninfo, echoes=settings.GATEWAY_ECHO)
        self._admission = Admission(ledger, self._routes)
        self._upstreams = Upstreams()
        self._minutes = Minutes(settings.GATEWAY_REQUESTS_PER_MINUTE)
        self._places = Places(settings.GATEWAY_CONCURRENCY)
        metrics.WAITING.set_function(lambda: self._places.waiting)

    async def close(self) -> None:
        """Close all connections."""
        await self._books.close()
        await self._upstreams.close()
        await self._routes.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; nothing if the client has gone."""
        exchange = Exchange(scope, receive, send)
        try:
            await self._answer(exchange)
        except ClientGone:
            exchange.outcome = "gone"
        except Refusal as refusal:
            await self._refuse(exchange, refusal)
        except DomainError as error:
            await self._refuse(exchange, errors.of_error(error))
        except Exception as error:  # noqa: BLE001 (a failure has OpenAI's shape too)
            # Its text may hold what the client sent: kind and place are logged.
            _LOG.error("a request failed: %s", _traced(error))
            await self._refuse(exchange, _failed())
        finally:
            exchange.close()
            path = scope["path"].removeprefix(PREFIX)
            route = path[1:] if path in _CHECKS else "other"
            metrics.REQUESTS.labels(route, exchange.outcome).inc()

    async def _answer(self, exchange: Exchange) -> None:
        path = exchange.scope["path"].removeprefix(PREFIX)
        method = exchange.scope["method"]
        exchange.check_headers()
        if path in _CHECKS:
            _need(method, "POST")
            await self._serve(exchange, path)
        elif path == "/models" or path.startswith("/models/"):
            _need(method, "GET")
            await self._models(exchange, path.removeprefix("/models").lstrip("/"))
        else:
            raise _no_route(exchange)

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        exchange.outcome = refusal.outcome
        if exchange.has_begun:
            # Too late for a status: a stream ends with what went wrong.
            await exchange.end(b"data: " + encode(refusal.body()) + b"\n\n")
            return
        if 401 < refusal.status < 500 or refusal.status == 400:
            refusal = await self._unless_bad_key(exchange, refusal)
            exchange.outcome = refusal.outcome
        await exchange.refuse(refusal)

    async def _unless_bad_key(self, exchange: Exchange, refusal: Refusal) -> Refusal:
        """A bad key comes before every other fault (CONTRACT G2)."""
        header = exchange.header(b"authorization")
        if refusal.code == "unknown_url":
            return refusal
        try:
            await self._keys.check_again(header, _now())
        except InvalidKey as error:
            return errors.of_error(error)
        except Unavailable:
            return refusal
        return refusal

    async def _caller(self, exchange: Exchange) -> tuple[CallerKey, AccountRoutes]:
        """Return who calls and what they may use, unless they call too often."""
        header = exchange.header(b"authorization")
        caller = await self._keys.caller(header, SCOPE, _now())
        routes = await self._routes.of(caller.account_id)
        allowance = self._minutes.take(caller.id, routes.plan, monotonic())
        if not allowance.allowed:
            # A new plan is not known before a call gets through.
            routes = await self._routes.renewed(caller.account_id, monotonic())
            allowance = self._minutes.take(caller.id, routes.plan, monotonic())
        if not allowance.allowed:
            raise errors.of_allowance(allowance)
        exchange.told += allowance.headers()
        return caller, routes

    async def _serve(self, exchange: Exchange, path: str) -> None:
        caller, routes = await self._caller(exchange)
        raw = await _json_body(exchange)
        asked = _CHECKS[path](_document(raw))
        request = admission.read(exchange, caller, asked, path, raw)
        try:
            await self._places.take(caller.id, routes.plan)
        except TooMany:
            raise errors.too_many_at_once() from None
        try:
            call = await self._admission.admit(request)
            exchange.told += errors.decision_headers(call.decision)
            if asked.stream:
                await self._stream(exchange, call)
            else:
                await self._whole(exchange, call)
        finally:
            self._places.leave(caller.id)

    async def _whole(self, exchange: Exchange, call: Call) -> None:
        try:
            answer = await first_answer(self._upstreams, call)
            body = await whole(call, answer)
        except TookTooLong:
            raise too_late() from None
        except UpstreamError:
            raise broken_answer() from None
        finally:
            await self._books.end(call)
        await exchange.answer(body)

    async def _stream(self, exchange: Exchange, call: Call) -> None:
        relay = None
        metrics.OPEN_STREAMS.inc()
        try:
            answer = await first_answer(self._upstreams, call)
            _check_events(answer)
            call.taken.began = True
            await exchange.begin(200, [_EVENTS, _UNBUFFERED])
            relay = Relay(call, exchange, answer)
            await relay.run()
        except TookTooLong:
            raise too_late() from None
        except UpstreamError:
            raise broken_answer() from None
        finally:
            metrics.OPEN_STREAMS.dec()
            await self._books.end(call)
        await relay.finish()

    async def _models(self, exchange: Exchange, name: str) -> None:
        caller, _ = await self._caller(exchange)
        await self._keys.check_again(exchange.header(b"authorization"), _now())
        routes = await self._routes.renew(caller.account_id)
        names = routes.model_names(caller.project_id)
        if not name:
            data = [_model(one) for one in names]
            await exchange.show({"object": "list", "data": data})
        elif name in names:
            await exchange.show(_model(name))
        else:
            raise unknown_model(name)


def _model(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": _CREATED,
        "owned_by": "policyhub",
    }


def _now() -> datetime:
    return datetime.now(UTC)


def _need(method: str, wanted: str) -> None:
    if method != wanted:
        raise Refusal(
            405,
            f"Use {wanted} here.",
            code="method_not_allowed",
            headers=[(b"allow", wanted.encode("ascii"))],
        )


def _no_route(exchange: Exchange) -> Refusal:
    method = exchange.scope["method"]
    # What it was is the client's word: shown back only as far as it is plain.
    path = "".join(c for c in exchange.scope["path"][:100] if c.isprintable())
    base = settings.POLICYHUB_SITE_URL.rstrip("/") + PREFIX
    return Refusal(
        404,
        f"Unknown request URL: {method} {path}. The base URL of this API is {base}.",
        code="unknown_url",
    )


async def _json_body(exchange: Exchange) -> bytes:
    encoding = exchange.header(b"content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        message = "Send the body without a content encoding."
        raise Refusal(415, message, code="unsupported_encoding")
    kind = (exchange.header(b"content-type") or "application/json").partition(";")[0]
    if kind.strip().lower() != "application/json":
        message = "Send the body as application/json."
        raise Refusal(415, message, code="unsupported_media_type")
    return await exchange.body()


def _document(raw: bytes) -> Any:
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise protocol.invalid(None, "The body is not valid JSON.") from None
    if raw.count(b"{") + raw.count(b"[") > DEPTH_MAX and _is_deep(document):
        message = f"The body is nested more than {DEPTH_MAX} levels deep."
        raise protocol.invalid(None, message)
    return document


def _is_deep(document: Any) -> bool:
    level: list[Any] = [document]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _check_events(answer: Answer) -> None:
    if answer.content_type != "text/event-stream":
        answer.close()
        raise broken_answer()


def _failed() -> Refusal:
    return Refusal(
        500, "The gateway failed.", kind="server_error", code="internal_error"
    )


def _traced(error: BaseException) -> str:
    """Say what kind of error it is and where it came up, and none of its words."""
    places = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(f"{Path(p.filename).name}:{p.lineno}" for p in reversed(places))
    return f"{type(error).__name__} at {where}"


@asynccontextmanager
async def opened(
    *, keys: Keys, ledger: Ledger, conninfo: str
) -> AsyncIterator[Gateway]:
    """Open a gateway; close its connections at the end."""
    gateway = Gateway(keys=keys, ledger=ledger, conninfo=conninfo)
    try:
        yield gateway
    finally:
        await gateway.close()
