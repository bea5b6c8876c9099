"""Before a batch locks anything: who calls, which policies apply, what to lock."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import msgspec

from accounts.errors import (
    EventInFuture,
    FieldError,
    IdempotencyMismatch,
    InvalidBody,
    InvalidKey,
    NotFound,
    UnknownReference,
)
from policies.matching import Caller, effective_user
from usage import once, statements
from usage.conversations_seen import seen_id
from usage.counters import Place, place_of
from usage.entries import (
    Answer,
    CallIn,
    EventIn,
    Item,
    ReservationInfo,
    checked_amounts,
    parts_of,
)
from usage.plans import plan_for
from usage.rulebook import BotInfo
from usage.statements import Statement
from usage.wanted import Wanted, account_locks, decoded
from usage.work import Entry, Work, public, stamp, uuids

Places = dict[tuple[int, Caller, datetime], list[Place]]
Step = Generator[list[Statement], list[Any], None]

_AHEAD = timedelta(minutes=5)
_FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)


def load(work: Work, items: Sequence[Item]) -> Step:
    """Read what the process does not remember; most batches read nothing here."""
    accounts = {item.account_id for item in items}
    yield from once.read(work, items, accounts)
    known = {account_id: work.books.get(account_id) for account_id in accounts}
    work.used = {a: book for a, book in known.items() if book is not None}
    missing = [account_id for account_id in accounts if account_id not in work.used]
    if missing:
        yield from _open_books(work, accounts, missing)
    for item in items:
        book = work.used.get(item.account_id)
        if book is None:
            # Only an account that does not exist has no book now.
            raise NotFound("There is no such account.")
        work.entries += [Entry(item, request, book) for request in item.requests]
    wanted = Wanted(work)
    if wanted.anything:
        yield from wanted.read(accounts)


def _open_books(work: Work, accounts: set[UUID], missing: list[UUID]) -> Step:
    # All accounts at once: locks are taken in one order.
    opened = uuids(missing)
    _, versions, policies, prices = yield [
        account_locks(accounts),
        Statement(statements.VERSIONS, (opened,), rows=True),
        Statement(statements.POLICIES, (opened,), rows=True),
        Statement(statements.PRICES, (opened,), rows=True),
    ]
    work.used |= work.books.open(
        versions=dict(versions), policies=policies, prices=prices, now=work.now
    )


def resolve(work: Work) -> None:
    """Find each entry's bot, policies and counters; answer those that cannot go on."""
    # A bulk repeats the same few callers, so their places are worked out once.
    places: Places = {}
    for entry in work.entries:
        error = key_error(entry, work.now)
        if error is not None:
            entry.fail(error)
        elif entry.item.once is not None and once.is_repeat(work, entry.item):
            entry.answer = Answer(replayed=True)
        elif isinstance(entry.request, CallIn):
            _resolve_call(work, entry, entry.request, places)
        elif isinstance(entry.request, EventIn):
            _resolve_event(work, entry, entry.request, places)
        elif entry.reserved is not None:
            _resolve_reserved(entry, entry.reserved)


def key_error(entry: Entry, now: datetime) -> InvalidKey | None:
    """Return the error of a key that may not be used now, as the book knows it."""
    key = entry.item.key
    if key is None or entry.item.admitted:
        return None
    info = entry.book.keys.get(key.id)
    if info is None or info.revoked_at is not None:
        return InvalidKey()
    if info.expires_at is not None and info.expires_at <= now:
        return InvalidKey()
    return None


def bot_for(entry: Entry, name: str) -> BotInfo | None:
    """Return the bot that a caller may name: in its account, project and binding."""
    bot, key = entry.book.bots.get(name), entry.item.key
    if bot is None or key is None:
        return bot
    if key.bot_id is not None and key.bot_id != bot.id:
        return None
    if key.project_id is not None and bot.project_id not in (None, key.project_id):
        return None
    return bot


def resolve_caller(entry: Entry, request: CallIn | EventIn) -> bool:
    """Find the bot, the caller and its policies; False if it was answered instead."""
    bot = bot_for(entry, request.bot)
    if bot is None:
        entry.fail(no_such_bot())
        return False
    key = entry.item.key
    entry.bot = bot
    entry.project_id = bot.project_id or (key.project_id if key else None)
    entry.project = bot.project
    if entry.project is None and entry.project_id is not None:
        entry.project = public("prj", entry.project_id)
    user, model = request.user, request.model
    if entry.reserved is not None and entry.reserved.bot_id == bot.id:
        # A settle need not say again whom and what it was reserved for (B6).
        user, model = user or entry.reserved.user, model or entry.reserved.model
    entry.caller = Caller(
        project=entry.project,
        bot=bot.public_id,
        user=effective_user(user, bot.owner),
        model=model,
    )
    entry.matches = entry.book.matches(entry.caller)
    if request.conversation is not None:
        _name_conversation(entry, request.conversation)
    return True


def _resolve_reserved(entry: Entry, reserved: ReservationInfo) -> None:
    """Find whom a reservation was made for: its end may charge what it holds."""
    name = public("bot", reserved.bot_id)
    entry.bot = entry.book.bots.get(name)
    entry.project_id = reserved.project_id
    entry.project = public("prj", entry.project_id) if entry.project_id else None
    owner = entry.bot.owner if entry.bot else None
    user = effective_user(reserved.user, owner)
    entry.caller = Caller(entry.project, name, user, reserved.model)


def _name_conversation(entry: Entry, name: str) -> None:
    bot = entry.bot
    if bot is None:
        return
    public_id = decoded("cnv", name)
    entry.seen = seen_id(entry.account_id, bot.id, name)
    entry.conversation = {
        "account_id": str(entry.account_id),
        "bot_id": str(bot.id),
        "id": str(public_id) if public_id else None,
        "external_id": None if public_id else name,
    }


def _places(entry: Entry, moment: datetime, known: Places) -> list[Place]:
    if entry.caller is None:
        return []
    key = (id(entry.book), entry.caller, moment)
    found = known.get(key)
    if found is None:
        found = [
            place_of(match, limit, moment)
            for match in entry.matches
            for limit in match.rule.limits
        ]
        known[key] = found
    return found


def _resolve_call(work: Work, entry: Entry, request: CallIn, places: Any) -> None:
    if request.idempotency_key:
        first = work.idempotent.get(entry.replay_name)
        if first is not None:
            replay(entry, request, first)
            return
    said = request.estimate
    if said and "tokens" in said:
        try:
            parts_of(
                said["tokens"], said.get("input_tokens"), said.get("output_tokens")
            )
        except ValueError as problem:
            detail = _problem("/estimate/tokens", str(problem))
            entry.fail(InvalidBody(errors=[detail]))
            return
    if _by_plan(work, entry, request):
        return
    if resolve_caller(entry, request):
        entry.moment = work.now
        entry.places = _places(entry, work.now, places)


def _by_plan(work: Work, entry: Entry, request: CallIn | EventIn) -> bool:
    """Resolve a call or an event of now as others like it; False if that is not so."""
    plan = plan_for(entry.book, request, entry.item.key, work.now)
    if plan is None:
        return False
    entry.plan = plan
    entry.bot = plan.bot
    entry.project_id = plan.bot.project_id
    entry.project = plan.bot.project
    entry.caller = plan.caller
    entry.matches = plan.matches
    entry.places = plan.places
    entry.moment = work.now
    if request.conversation is not None:
        _name_conversation(entry, request.conversation)
    return True


def replay(entry: Entry, request: CallIn, first: tuple[str, Answer]) -> None:
    """Answer a repeated Idempotency-Key with what it was answered first (G5)."""
    digest, answer = first
    if digest == request.request_digest:
        entry.answer = answer
    else:
        entry.fail(IdempotencyMismatch())


def _resolve_event(work: Work, entry: Entry, request: EventIn, places: Any) -> None:
    error = _event_error(work, entry, request)
    if error is not None:
        entry.fail(error)
        return
    name = request.id or request.reservation
    if name is not None:
        entry.client_id = name
        entry.claim = claim_id(entry.account_id, request.source, name)
        entry.content = content_of(request)
        if _is_doomed(entry, request):
            return
    if request.reservation is not None and entry.reserved is None:
        entry.fail(reservation_unknown())
        return
    of_now = request.occurred_at is None and entry.reserved is None
    if of_now and _by_plan(work, entry, request):
        entry.event_id = work.new_id()
        return
    if not resolve_caller(entry, request):
        return
    # Windows are known by their start: one moment must be written in one way.
    moment = (request.occurred_at or work.now).astimezone(UTC)
    entry.moment = moment
    entry.places = _places(entry, moment, places)
    entry.event_id = work.new_id()


def _is_doomed(entry: Entry, request: EventIn) -> bool:
    """Whether what the event names is gone; it may be the repeat of one that counted.

    Only the ids can tell, so it is answered when they have been read.
    """
    if entry.book.bots.get(request.bot) is None:
        entry.fate = no_such_bot()
    elif request.reservation is not None and entry.reserved is None:
        entry.fate = reservation_unknown()
    return entry.fate is not None


def _event_error(work: Work, entry: Entry, request: EventIn) -> Any:
    moment = request.occurred_at
    if moment is not None and moment > work.now + _AHEAD:
        return EventInFuture(errors=[_problem("/occurred_at", EventInFuture.title)])
    if moment is not None and moment < _FIRST_MOMENT:
        detail = "must lie in 1970 or later"
        return InvalidBody(errors=[_problem("/occurred_at", detail)])
    try:
        entry.amounts = checked_amounts(request)
    except ValueError as problem:
        return InvalidBody(errors=[_problem("/tokens", str(problem))])
    return None


def no_such_bot() -> NotFound:
    """Make the error for a bot that is absent, archived or somebody else's (G2)."""
    return NotFound("There is no such bot.")


def reservation_unknown() -> UnknownReference:
    """Make the error for a reservation that is absent or somebody else's."""
    detail = "There is no such reservation."
    return UnknownReference(errors=[_problem("/reservation", detail)])


def _problem(pointer: str, detail: str) -> FieldError:
    return {"pointer": pointer, "detail": detail}


def claim_id(account_id: UUID, source: str, name: str) -> UUID:
    """Return the digest that makes an event id unique (CONTRACT A5)."""
    digest = blake2b(account_id.bytes, digest_size=16)
    digest.update(f"{source}\n{name}".encode("utf-8", "surrogatepass"))
    return UUID(bytes=digest.digest())


_encode: Callable[[Any], bytes] = msgspec.json.Encoder(order="sorted").encode


# What the gateway notes beside an event is not what the event says.
_SAID: Final = tuple(each.name for each in fields(EventIn) if each.name != "gate")
_said: Callable[[EventIn], tuple[Any, ...]] = attrgetter(*_SAID)


def content_of(event: EventIn) -> str:
    """Return a digest of what an event says, to tell a repeat from a reuse."""
    said = dict(zip(_SAID, _said(event), strict=True))
    said["occurred_at"] = stamp(event.occurred_at)
    return blake2b(_encode(said), digest_size=16).hexdigest()
