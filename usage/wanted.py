"""What a batch reads before it locks anything, and remembers: bots, keys, holds."""

from collections.abc import Generator, Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from accounts import ids
from accounts.locks import lock_key
from usage import statements
from usage.answers import replayed_body
from usage.entries import (
    Answer,
    CallIn,
    EventIn,
    ExpireIn,
    ReleaseIn,
    ReservationInfo,
)
from usage.rulebook import Book, KeyInfo
from usage.statements import Statement
from usage.work import Entry, Restart, Work, public, uuids

Step = Generator[list[Statement], list[Any], None]

REPLAY_FOR = timedelta(hours=24)

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
        book = work.used.get(account_id)
        if book is not None and book.version != version:
            work.books.forget(book)
            stale = True
        elif book is not None:
            book.verified_at = work.now
    if stale:
        raise Restart


def reservation_info(row: Sequence[Any]) -> tuple[tuple[UUID, UUID], ReservationInfo]:
    """Read a row of `statements.RESERVATIONS`; return its account and id with it."""
    row_id, account_id, bot_id, project_id, user, model, holds = row
    info = ReservationInfo(row_id, bot_id, project_id, user, model, read_holds(holds))
    return (account_id, row_id), info


class Wanted:
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
        if isinstance(request, (CallIn, EventIn)):
            if request.bot not in entry.book.bots:
                self.bots[request.bot] = (entry.book, decoded("bot", request.bot))
            if isinstance(request, CallIn) and request.idempotency_key:
                self.replays.add(request.idempotency_key)
        if isinstance(request, (EventIn, ReleaseIn)) and request.reservation:
            entry.reservation_id = decoded("res", request.reservation)
            if entry.reservation_id is not None:
                where = (entry.account_id, entry.reservation_id)
                entry.reserved = self.work.books.reservations.get(where)
                if entry.reserved is None:
                    self.reservations.add(entry.reservation_id)
        if isinstance(request, ExpireIn):
            entry.reserved = request.reservation
            entry.reservation_id = request.reservation.id
        if entry.reserved is not None:
            bot = public("bot", entry.reserved.bot_id)
            if bot not in entry.book.bots:
                self.bots[bot] = (entry.book, entry.reserved.bot_id)

    def read(self, accounts: Iterable[UUID]) -> Step:
        """Read all of it under the accounts' locks, in one round trip."""
        known = uuids(list(accounts))
        reserved = uuids(list(self.reservations))
        bot_ids = [bot_id for _, bot_id in self.bots.values() if bot_id is not None]
        rows = yield [
            account_locks(accounts),
            Statement(statements.VERSIONS, (known,), rows=True),
            Statement(
                statements.BOTS,
                (known, uuids(bot_ids), text_array(self.bots), reserved),
                rows=True,
            ),
            Statement(statements.KEYS, (known, uuids(list(self.keys))), rows=True),
            Statement(statements.RESERVATIONS, (known, reserved), rows=True),
            Statement(statements.REPLAYS, (known, text_array(self.replays)), rows=True),
        ]
        _, versions, bots, keys, reservations, replays = rows
        check_versions(self.work, versions)
        self._remember(bots, keys, reservations, replays)

    def _remember(self, bots: Any, keys: Any, reservations: Any, replays: Any) -> None:
        for row in bots:
            book = self.work.used.get(row[1])
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
        found = dict(map(reservation_info, reservations))
        for entry in self.work.entries:
            if entry.reservation_id in self.reservations:
                entry.reserved = found.get((entry.account_id, entry.reservation_id))
        for account_id, key_id, key, digest, answer, created_at in replays:
            if self.work.now - created_at > REPLAY_FOR:
                old = {"account_id": account_id, "key_id": key_id}
                old |= {"idempotency_key": key}
                self.work.write("forget_replays", old)
            else:
                raw = None if answer is None else replayed_body(answer.encode())
                first = Answer(raw, replayed=True)
                self.work.idempotent[account_id, key_id, key] = (digest, first)


def decoded(prefix: str, text: str) -> UUID | None:
    """Return the UUID of a public id; None if the text is not one."""
    try:
        return ids.decode_id(prefix, text)
    except ids.InvalidId:
        return None
