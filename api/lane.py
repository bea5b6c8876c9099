"""The hot routes: authorize, usage, release, budget. They translate, nothing else.

Served by the lane's event loop beside the ledger; everything else of the API is DRF.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg.conninfo import make_conninfo
from starlette.applications import Starlette
from starlette.routing import Route

from accounts.errors import (
    DomainError,
    FieldError,
    InvalidKey,
    Unavailable,
)
from api import lane_bodies as bodies
from api.errors import (
    PROBLEM_TYPE,
    InternalError,
    InvalidQuery,
    MethodNotAllowed,
    headers,
    problem,
)
from api.hot import REQUEST_ID, ClientGone, HotRequest, HotRoute, Reply
from api.lane_keys import KeyRing
from api.lane_once import REPLAYED, answer_once, idempotency_key
from api.lane_requests import (
    CLOUD_BATCH,
    CLOUD_EVENT,
    JSON,
    body_of,
    event_body,
    flag_of,
    query_of,
)
from api.rate_limits import rate_limit_headers
from api.request_ids import request_id_for
from usage.async_ledger import AsyncLedger
from usage.entries import (
    Answer,
    CallerKey,
    CallIn,
    EventIn,
    EventResult,
    Item,
    ReleaseIn,
)
from usage.failing_open import OpenAnswers
from usage.spool import Spool

_encode = msgspec.json.Encoder().encode
_LOG: Final = logging.getLogger(__name__)
# A decision says right after its id whether the call may go ahead.
_REFUSED: Final = b'"allowed":false'
_HEAD: Final = 64
_TOUCH_SECONDS: Final = 15
_LOOPBACK: Final = ("127.0.0.1", "::1")
_FORWARDED: Final = (b"x-forwarded-for", b"forwarded")

Endpoint = Callable[[HotRequest, CallerKey], Awaitable[Reply]]


def lane_conninfo() -> str:
    """Return how to reach the database, for connections that are not Django's."""
    database = settings.DATABASES["default"]
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password"}
    names |= {"HOST": "host", "PORT": "port"}
    given = {ours: database.get(theirs) for theirs, ours in names.items()}
    # What DATABASE_URL asks for besides (sslmode …) holds here too.
    given |= {k: v for k, v in database["OPTIONS"].items() if k != "pool"}
    given |= {"application_name": "policyhub lane"}
    return make_conninfo(**{name: value for name, value in given.items() if value})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the ledger and the key ring; close them when the server stops."""
    conninfo = lane_conninfo()
    app.state.keys = KeyRing(conninfo=conninfo, pepper=settings.POLICYHUB_KEY_PEPPER)
    app.state.ledger = AsyncLedger(
        conninfo=conninfo,
        clock=bodies.utc_now,
        batch_max=settings.LEDGER_BATCH_MAX,
        queue_max=settings.LEDGER_QUEUE_MAX,
        open_answers=OpenAnswers(Spool(settings.POLICYHUB_STATE_DIR / "spool")),
    )
    app.state.in_flight = set()
    tasks = [
        asyncio.create_task(app.state.ledger.serve()),
        asyncio.create_task(_touch(app.state.keys)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await app.state.keys.close()


async def _touch(ring: KeyRing) -> None:
    while True:
        await asyncio.sleep(_TOUCH_SECONDS)
        with contextlib.suppress(Unavailable):
            await ring.touch(bodies.utc_now())


def _guarded(*scopes: str) -> Callable[[Endpoint], HotRoute]:
    """Check the key before anything else, and answer every error as a problem."""

    def wrap(endpoint: Endpoint) -> HotRoute:
        async def answer(request: HotRequest) -> Reply:
            header = request.header(b"authorization")
            ring: KeyRing = request.state.keys
            try:
                caller = await ring.caller(header, scopes, bodies.utc_now())
                return await endpoint(request, caller)
            except DomainError as error:
                return await refusal(ring, header, request.header(REQUEST_ID), error)
            except ClientGone:
                raise
            except Exception as fault:  # noqa: BLE001 (nothing above says it better)
                return broken(request.header(REQUEST_ID), fault)

        return HotRoute(answer)

    return wrap


async def refusal(
    ring: KeyRing, header: str | None, request_id: str | None, error: DomainError
) -> Reply:
    """A bad key comes before every other fault (CONTRACT G2)."""
    if not isinstance(error, InvalidKey | Unavailable) and error.status < 500:
        try:
            await ring.check_again(header, bodies.utc_now())
        except (InvalidKey, Unavailable) as first:
            return failed(first, request_id)
    return failed(error, request_id)


def failed(error: DomainError, request_id: str | None = None) -> Reply:
    """Answer an error as problem+json (CONTRACT G1)."""
    told = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers(error).items()
    ]
    told.append((REQUEST_ID, request_id_for(request_id).encode()))
    return Reply(_encode(problem(error)), error.status, PROBLEM_TYPE.encode(), (*told,))


def broken(request_id: str | None, fault: BaseException) -> Reply:
    """Tell of a fault of ours, and log it under the same name."""
    reply = failed(InternalError(), request_id)
    named = dict(reply.told)[REQUEST_ID].decode()
    _LOG.error("a hot route broke", exc_info=fault, extra={"request_id": named})
    return reply


def _answered(body: Any, status: int = 200) -> Reply:
    return Reply(_encode(body), status)


@_guarded("decide")
async def authorize(request: HotRequest, caller: CallerKey) -> Reply:
    """`POST /api/v1/authorize`: decide, and hold if the call reserves."""
    query = query_of(request, "dry_run")
    raw = await body_of(request, bodies.MAX_BODY, JSON)
    call = bodies.call_of(
        raw,
        dry_run=flag_of(query, "dry_run"),
        idempotency_key=idempotency_key(request),
    )
    return decided([await _ask(request, caller, call)])


def decided(answers: Sequence[Answer | EventResult]) -> Reply:
    """Answer a call with its decision. Raises the error that it ran into."""
    answer = _single(answers)
    told = [REPLAYED] if answer.replayed else []
    if answer.retry_after is not None:
        told.append((b"retry-after", b"%d" % answer.retry_after))
    raw = answer.raw or b"null"
    if _REFUSED in raw[:_HEAD]:
        told += _rate_limits(raw)
    return Reply(raw, told=(*told,))


def _rate_limits(raw: bytes) -> list[tuple[bytes, bytes]]:
    policies = msgspec.json.decode(raw)["policies"]
    return [
        (name.lower().encode("ascii"), value.encode("ascii"))
        for name, value in rate_limit_headers(policies, bodies.utc_now())
    ]


@_guarded("usage:write")
async def record(request: HotRequest, caller: CallerKey) -> Reply:
    """`POST /api/v1/usage`: one event, a list of them, or CloudEvents."""
    query_of(request)
    given, raw = await event_body(request, bodies.MAX_BULK)
    if given == CLOUD_EVENT:
        return await _record_one(request, caller, bodies.cloud_event_of(raw), raw)
    if given == CLOUD_BATCH:
        parts, read = bodies.raw_cloud_events(raw), bodies.cloud_event_of
    elif bodies.is_batch(raw):
        parts, read = bodies.raw_events(raw), bodies.event_of
    else:
        return await _record_one(request, caller, bodies.event_of(raw), raw)
    return await _record_many(request, caller, parts, read, raw)


@_guarded("decide", "usage:write")
async def release(request: HotRequest, caller: CallerKey) -> Reply:
    """`POST /api/v1/reservations/{id}/release`: free a hold."""
    query_of(request)
    raw = await body_of(request, bodies.MAX_BODY, JSON)
    bodies.check_release(raw)
    asked = [ReleaseIn(request.path_params["id"])]
    return await answer_once(request, caller, asked, raw, _released)


@_guarded("usage:read", "decide")
async def budget(request: HotRequest, caller: CallerKey) -> Reply:
    """`GET /api/v1/budget`: what is left in every matching policy; leaves no trace."""
    query = query_of(request, "bot", "user", "model")
    if not query.get("bot"):
        missing: FieldError = {"pointer": "/bot", "detail": "is required"}
        raise InvalidQuery(errors=[missing])
    call = CallIn(
        bot=query["bot"],
        user=query.get("user") or None,
        model=query.get("model") or None,
        dry_run=True,
    )
    found = (await _ask(request, caller, call)).body or {}
    shown = ("allowed", "reason_code", "message", "retry_after")
    return _answered(
        {
            "data": found["policies"],
            "bot": found["policy_target"],
            "user": found["policy_user"],
            "model": found["model"],
        }
        | {name: found[name] for name in shown}
    )


async def _ask(
    request: HotRequest, caller: CallerKey, asked: CallIn | ReleaseIn
) -> Answer:
    """Put one request to the ledger. Raises the error that it is answered with."""
    ledger: AsyncLedger = request.state.ledger
    outcome = await ledger.submit(Item(caller.account_id, [asked], caller))
    return _single(outcome.answers)


def _single(answers: Sequence[Answer | EventResult]) -> Answer:
    (answer,) = answers
    if isinstance(answer, EventResult):
        raise TypeError("a decision was answered as an event")
    if answer.error is not None:
        raise answer.error
    return answer


def _released(answers: Sequence[Answer | EventResult]) -> Reply:
    return Reply(_single(answers).raw or b"null")


async def _record_one(
    request: HotRequest, caller: CallerKey, event: EventIn, raw: bytes
) -> Reply:
    """One event answers its error as the HTTP status (CONTRACT G)."""
    return await answer_once(request, caller, [event], raw, recorded)


def recorded(answers: Sequence[Answer | EventResult]) -> Reply:
    """Answer a single event. Raises the error that it ran into."""
    (result,) = answers
    if result.error is not None:
        raise result.error
    return _answered({"data": [_result(result)]}, 202)


async def _record_many(
    request: HotRequest,
    caller: CallerKey,
    parts: Sequence[bytes],
    read: Callable[[bytes], EventIn],
    raw: bytes,
) -> Reply:
    """Several events: each has its own result, whatever becomes of the others."""
    results: list[dict[str, Any] | None] = []
    events: list[EventIn] = []
    for part in parts:
        try:
            events.append(read(part))
            results.append(None)
        except DomainError as error:
            unread = EventResult(bodies.id_of(part), "error", error=error)
            results.append(_result(unread))

    def show(answers: Sequence[Answer | EventResult]) -> Reply:
        left = iter(answers)
        data = [_result(next(left)) if each is None else each for each in results]
        return _answered({"data": data}, 202)

    if events:
        return await answer_once(request, caller, events, raw, show)
    # Nothing reaches the ledger, which otherwise asks whether the key still is good.
    await request.state.keys.check_again(
        request.header(b"authorization"), bodies.utc_now()
    )
    return show(())


def _result(result: Answer | EventResult) -> dict[str, Any]:
    if isinstance(result, Answer):
        raise TypeError("an event was answered as a decision")
    if isinstance(result.error, InvalidKey):
        raise result.error
    error = None
    if result.error is not None:
        error = {
            "code": result.error.code,
            "detail": result.error.detail,
            "errors": result.error.errors,
        }
    return {
        "id": result.id,
        "status": result.status,
        "event": result.event_id,
        "error": error,
    }


@HotRoute
async def metrics(request: HotRequest) -> Reply:
    """`GET /metrics`: this process's counters, for Prometheus.

    Open to this machine; from elsewhere, also through a proxy, with a key that may
    read the audit.
    """
    host, _ = request.scope.get("client") or ("", 0)
    passed_on = any(request.header(name) is not None for name in _FORWARDED)
    if host in _LOOPBACK and not passed_on:
        return _exposition()
    return await _read_metrics.answer(request)


def _exposition() -> Reply:
    return Reply(generate_latest(), content_type=CONTENT_TYPE_LATEST.encode())


@_guarded("audit:read")
async def _read_metrics(request: HotRequest, caller: CallerKey) -> Reply:
    return _exposition()


def _only(method: str) -> HotRoute:
    """Answer other methods of a hot route: 405, once the key is good."""

    async def answer(request: HotRequest) -> Reply:
        header, ring = request.header(b"authorization"), request.state.keys
        try:
            await ring.check_again(header, bodies.utc_now())
        except DomainError as error:
            return failed(error)
        refused = failed(MethodNotAllowed())
        return refused._replace(told=(*refused.told, (b"allow", method.encode())))

    return HotRoute(answer)


_RELEASE: Final = "/api/v1/reservations/{id}/release"
routes: list[Route] = [
    Route("/metrics", metrics, methods=["GET"]),
    Route("/api/v1/authorize", authorize, methods=["POST"]),
    Route("/api/v1/usage", record, methods=["POST"]),
    Route(_RELEASE, release, methods=["POST"]),
    Route("/api/v1/budget", budget, methods=["GET"]),
    Route("/api/v1/authorize", _only("POST")),
    Route("/api/v1/usage", _only("POST")),
    Route(_RELEASE, _only("POST")),
    Route("/api/v1/budget", _only("GET")),
]
