"""Before a batch locks anything: who calls, which policies apply, what to lock."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from accounts import ids
from accounts.errors import (
    EventInFuture,
    FieldError,
    IdempotencyMismatch,
    InvalidBody,
    InvalidKey,
    NotFound,
    UnknownReference,
)
from accounts.locks import lock_key
from policies.matching import Caller, effective_user
from usage import statements
from usage.conversations_seen import seen_id
from usage.counters import Place, place_of
from usage.entries import (
    Answer,
    CallIn,
    EventIn,
    ExpireIn,
    Item,
    ReleaseIn,
    checked_amounts,
    parts_of,
)
from usage.rulebook import Book, BotInfo, KeyInfo
from usage.statements import Statement
from usage.work import Entry, Restart, Work, public, stamp, uuids

Rows = list[Sequence[Any] | None]
Places = dict[tuple[int, Caller, datetime], list[Place]]
Step = Generator[list[Statement], list[Any], None]

REPLAY_FOR = timedelta(hours=24)
_AHEAD = timedelta(minutes=5)
_FIRST_MOMENT = datetime(1970, 1, 2, tzinfo=UTC)


read_holds = msgspec.json.Decoder(list[dict[str, Any]]).decode


def text_array(values: Iterable[str]) -> str:
    """Return texts as the literal of a `text[]`."""
    quoted = (v.replace("\\", "\\\\").replace('"', '\\"') for v in sorted(set(values)))
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def account_locks(accounts: Iterable[UUID]) -> Statement:
    """Take the shared lock of every account, in ascending order."""
    keys = sorted({lock_key(account) for account in accounts})
    literal = "{" + ",".join(map(str, keys)) + "}"
    return Statement(statements.LOCK_ACCOUNTS, (literal,))


def check_versions(work: Work, rows: Iterable[Sequence[Any]]) -> None:
    """Throw away the books that an edit has made stale. Raises Restart if any was."""
    stale = False
    for account_id, version in rows:
        book = work.books.get(account_id)
        if book is not None and book.version != version:
            work.books.forget(account_id)
            stale = True
    if stale:
        raise Restart


def load(work: Work, items: Sequence[Item]) -> Step:
    """Read what the process does not remember; most batches read nothing here."""
    accounts = {item.account_id for item in items}
    missing = [a for a in accounts if work.books.get(a) is None]
    if missing:
        yield from _open_books(work, missing)
    for item in items:
        book = work.books.get(item.account_id)
        if book is None:
            # Only an account that does not exist has no book now.
            raise NotFound("There is no such account.")
        work.entries += [Entry(item, request, book) for request in item.requests]
    wanted = _Wanted(work)
    if wanted.anything:
        yield from wanted.read(accounts)


def _open_books(work: Work, missing: list[UUID]) -> Step:
    accounts = uuids(missing)
    _, versions, policies, prices = yield [
        account_locks(missing),
        Statement(statements.VERSIONS, (accounts,), rows=True),
        Statement(statements.POLICIES, (accounts,), rows=True),
        Statement(statements.PRICES, (accounts,), rows=True),
    ]
    work.books.open(versions=dict(versions), policies=policies, prices=prices)


class _Wanted:
    """The bots, keys, reservations and replays that a batch has to read first."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.bots: dict[str, tuple[Book, UUID | None]] = {}
        self.keys: dict[UUID, Book] = {}
        self.reservations: set[UUID] = set()
        self.replays: set[str] = set()
        for entry in work.entries:
            self._look_at(entry)

    @property
    def anything(self) -> bool:
        """Whether there is anything to read."""
        return bool(self.bots or self.keys or self.reservations or self.replays)

    def _look_at(self, entry: Entry) -> None:
        request, key = entry.request, entry.item.key
        if key is not None and key.id not in entry.book.keys:
            self.keys[key.id] = entry.book
        if isinstance(request, CallIn | EventIn):
            if request.bot not in entry.book.bots:
                self.bots[request.bot] = (entry.book, decoded("bot", request.bot))
            if isinstance(request, CallIn) and request.idempotency_key:
                self.replays.add(request.idempotency_key)
        if isinstance(request, EventIn | ReleaseIn) and request.reservation:
            entry.reservation_id = decoded("res", request.reservation)
            if entry.reservation_id is not None:
                where = (entry.account_id, entry.reservation_id)
                entry.holds = self.work.books.holds.get(where)
                if entry.holds is None:
                    self.reservations.add(entry.reservation_id)
        if isinstance(request, ExpireIn):
            entry.reservation_id, entry.holds = request.reservation_id, request.holds

    def read(self, accounts: Iterable[UUID]) -> Step:
        """Read all of it under the accounts' locks, in one round trip."""
        known = uuids(list(accounts))
        bot_ids = [bot_id for _, bot_id in self.bots.values() if bot_id is not None]
        rows = yield [
            account_locks(accounts),
            Statement(statements.VERSIONS, (known,), rows=True),
            Statement(
                statements.BOTS,
                (known, uuids(bot_ids), text_array(self.bots)),
                rows=True,
            ),
            Statement(statements.KEYS, (known, uuids(list(self.keys))), rows=True),
            Statement(
                statements.RESERVATIONS,
                (known, uuids(list(self.reservations))),
                rows=True,
            ),
            Statement(statements.REPLAYS, (known, text_array(self.replays)), rows=True),
        ]
        _, versions, bots, keys, reservations, replays = rows
        check_versions(self.work, versions)
        self._remember(bots, keys, reservations, replays)

    def _remember(self, bots: Any, keys: Any, reservations: Any, replays: Any) -> None:
        for row in bots:
            book = self.work.books.get(row[1])
            if book is not None:
                book.add_bots([row])
        for name, (book, _) in self.bots.items():
            book.bots.setdefault(name, None)
        for key_id, account_id, expires_at, revoked_at in keys:
            book = self.keys[key_id]
            if book.account_id == account_id:
                book.keys[key_id] = KeyInfo(key_id, expires_at, revoked_at)
        for key_id, book in self.keys.items():
            book.keys.setdefault(key_id, None)
        found = {(row[1], row[0]): read_holds(row[2]) for row in reservations}
        for entry in self.work.entries:
            if entry.reservation_id in self.reservations:
                where = (entry.account_id, entry.reservation_id)
                entry.holds = found.get(where)
        for account_id, key, digest, answer, created_at in replays:
            if self.work.now - created_at > REPLAY_FOR:
                old = {"account_id": str(account_id), "idempotency_key": key}
                self.work.write("forget_replays", old)
            else:
                body = None if answer is None else msgspec.json.decode(answer)
                first = Answer(body=body, replayed=True)
                self.work.idempotent[account_id, key] = (digest, first)


def decoded(prefix: str, text: str) -> UUID | None:
    """Return the UUID of a public id; None if the text is not one."""
    try:
        return ids.decode_id(prefix, text)
    except ids.InvalidId:
        return None


def resolve(work: Work) -> None:
    """Find each entry's bot, policies and counters; answer those that cannot go on."""
    # A bulk repeats the same few callers, so their places are worked out once.
    places: Places = {}
    for entry in work.entries:
        error = _key_error(entry, work.now)
        if error is not None:
            entry.fail(error)
        elif isinstance(entry.request, CallIn):
            _resolve_call(work, entry, entry.request, places)
        elif isinstance(entry.request, EventIn):
            _resolve_event(work, entry, entry.request, places)


def _key_error(entry: Entry, now: datetime) -> InvalidKey | None:
    key = entry.item.key
    if key is None:
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


def _resolve_caller(entry: Entry, request: CallIn | EventIn) -> bool:
    bot = bot_for(entry, request.bot)
    if bot is None:
        entry.fail(NotFound("There is no such bot."))
        return False
    key = entry.item.key
    entry.bot = bot
    entry.project_id = bot.project_id or (key.project_id if key else None)
    entry.project = public("prj", entry.project_id) if entry.project_id else None
    entry.caller = Caller(
        project=entry.project,
        bot=bot.public_id,
        user=effective_user(request.user, bot.owner),
        model=request.model,
    )
    entry.matches = entry.book.matches(entry.caller)
    if request.conversation is not None:
        _name_conversation(entry, request.conversation)
    return True


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
        first = work.idempotent.get((entry.account_id, request.idempotency_key))
        if first is not None:
            replay(entry, request, first)
            return
    said = request.estimate or {}
    amounts = (said.get(name) for name in ("tokens", "input_tokens", "output_tokens"))
    try:
        parts_of(*amounts)
    except ValueError as problem:
        detail = _problem("/estimate/tokens", str(problem))
        entry.fail(InvalidBody(errors=[detail]))
        return
    if _resolve_caller(entry, request):
        entry.moment = work.now
        entry.places = _places(entry, work.now, places)


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
    if not _resolve_caller(entry, request):
        return
    # Windows are known by their start: one moment must be written in one way.
    moment = (request.occurred_at or work.now).astimezone(UTC)
    entry.moment = moment
    entry.places = _places(entry, moment, places)
    entry.event_id = ids.new_id(work.now)
    name = request.id or request.reservation
    if name is not None:
        entry.client_id = name
        entry.claim = claim_id(entry.account_id, request.source, name)
        entry.content = content_of(request)


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
    if request.reservation is not None and entry.holds is None:
        return reservation_unknown()
    return None


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


def content_of(event: EventIn) -> str:
    """Return a digest of what an event says, to tell a repeat from a reuse."""
    said = asdict(event)
    said["occurred_at"] = stamp(event.occurred_at)
    return blake2b(_encode(said), digest_size=16).hexdigest()
