"""`Idempotency-Key` on the lane: recording and releasing what is sent twice, once."""

from collections.abc import Callable, Sequence
from hashlib import blake2b, sha256
from typing import Any, Final
from uuid import UUID

from accounts.errors import DomainError, RequestInFlight
from api.hot import HotRequest, Reply
from api.idempotency_keys import checked_key
from usage.async_ledger import AsyncLedger
from usage.entries import Answer, CallerKey, EventResult, Item, Once

Show = Callable[[Sequence[Answer | EventResult]], Reply]

REPLAYED: Final = (b"idempotent-replayed", b"true")


def idempotency_key(request: HotRequest) -> str | None:
    """Return the header, None without one. Raises InvalidIdempotencyKey."""
    key = request.header(b"idempotency-key")
    return None if key is None else checked_key(key)


async def answer_once(
    request: HotRequest, caller: CallerKey, asked: Sequence[Any], raw: bytes, show: Show
) -> Reply:
    """Put a request to the ledger and show its answers; the first ones if it repeats.

    Raises what `show` raises, RequestInFlight, and IdempotencyMismatch for a key that
    came before with another body.
    """
    key = idempotency_key(request)
    ledger: AsyncLedger = request.state.ledger
    if key is None:
        outcome = await ledger.submit(Item(caller.account_id, asked, caller))
        return show(outcome.answers)
    name = _name(request, caller, key)
    in_flight: set[UUID] = request.state.in_flight
    if name in in_flight:
        raise RequestInFlight
    once = Once(name, _digest(request, raw), lambda answers: _kept(show, answers))
    in_flight.add(name)
    try:
        outcome = await ledger.submit(Item(caller.account_id, asked, caller, once))
    finally:
        in_flight.discard(name)
    if outcome.error is not None:
        raise outcome.error
    if outcome.first is not None:
        first = outcome.first
        return Reply(first.body.encode(), first.status, told=(REPLAYED,))
    return show(outcome.answers)


def _kept(
    show: Show, answers: Sequence[Answer | EventResult]
) -> tuple[int, str] | None:
    """Return what is kept of an answer; nothing of a refusal, which did nothing."""
    try:
        reply = show(answers)
    except DomainError:
        return None
    return reply.status, reply.body.decode()


def _name(request: HotRequest, caller: CallerKey, key: str) -> UUID:
    """Name a request by its account, API key, route and Idempotency-Key."""
    digest = blake2b(caller.account_id.bytes + caller.id.bytes, digest_size=16)
    digest.update(f"{request.scope['path']}\n{key}".encode())
    return UUID(bytes=digest.digest())


def _digest(request: HotRequest, raw: bytes) -> str:
    kind = request.header(b"content-type") or ""
    return sha256(kind.encode() + b"\n" + raw).hexdigest()
