"""One batch in memory: its entries, what it locked and what it will write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from accounts import ids
from accounts.errors import DomainError
from policies.decision import BlockView
from policies.matching import Caller
from usage.counters import BIG, Counter, Place, is_full
from usage.entries import (
    Answer,
    EventIn,
    EventResult,
    FirstAnswer,
    Item,
    Request,
    ReservationInfo,
)
from usage.plans import Plan
from usage.rulebook import Book, BotInfo, Match, Rulebooks

# The account, the API key and its Idempotency-Key.
ReplayName = tuple[UUID, UUID | None, str]


class Restart(Exception):
    """What the batch assumed is not so: roll back and run it again."""


@dataclass(slots=True)
class Reserved:
    """A reservation row under its lock."""

    id: UUID
    account_id: UUID
    bot_id: UUID
    user: str | None
    model: str | None
    state: str
    amounts: dict[str, int]
    holds: list[dict[str, Any]]
    ttl_seconds: int
    expires_at: datetime
    dispatched: bool
    event_id: UUID | None
    dirty: bool = False
    ended_at: datetime | None = None


@dataclass(slots=True)
class Entry:
    """One request of one item, from its resolution to its answer."""

    item: Item
    request: Request
    book: Book
    bot: BotInfo | None = None
    caller: Caller | None = None
    project_id: UUID | None = None
    project: str | None = None
    matches: tuple[Match, ...] = ()
    places: list[Place] = field(default_factory=list)
    moment: datetime | None = None
    reservation_id: UUID | None = None
    reserved: ReservationInfo | None = None
    claim: UUID | None = None
    client_id: str = ""
    content: str = ""
    event_id: UUID | None = None
    seen: UUID | None = None
    conversation: dict[str, Any] | None = None
    amounts: dict[str, int | None] = field(default_factory=dict)
    # How an event is answered, unless its id shows that it was recorded before (A5).
    fate: DomainError | None = None
    answer: Answer | EventResult | None = None
    plan: Plan | None = None

    @property
    def account_id(self) -> UUID:
        """The account that the entry belongs to."""
        return self.item.account_id

    @property
    def replay_name(self) -> ReplayName:
        """By what a repeated reservation is known."""
        key = self.item.key
        name = getattr(self.request, "idempotency_key", None) or ""
        return self.item.account_id, key.id if key else None, name

    def fail(self, error: DomainError) -> None:
        """Answer with an error and take no further part."""
        if isinstance(self.request, EventIn):
            name = self.request.id or self.request.reservation
            self.answer = EventResult(name, "error", error=error)
        else:
            self.answer = Answer(error=error)


@dataclass(slots=True)
class Work:
    """Everything one batch knows and changes. Nothing of it outlives the batch."""

    now: datetime
    books: Rulebooks
    # The books that the batch decides by. Another thread may open newer ones meanwhile.
    used: dict[UUID, Book] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    counters: dict[UUID, Counter] = field(default_factory=dict)
    closed: dict[UUID, list[Counter]] = field(default_factory=dict)
    reservations: dict[UUID, Reserved] = field(default_factory=dict)
    blocks: dict[UUID, list[BlockView]] = field(default_factory=dict)
    claimed: set[UUID] = field(default_factory=set)
    event_ids: dict[UUID, tuple[UUID, str]] = field(default_factory=dict)
    new_conversations: set[UUID] = field(default_factory=set)
    seen_conversations: set[UUID] = field(default_factory=set)
    conversations: dict[tuple[UUID, UUID, str], UUID] = field(default_factory=dict)
    overdue: list[Item] = field(default_factory=list)
    idempotent: dict[ReplayName, tuple[str, Answer]] = field(default_factory=dict)
    first_answers: dict[UUID, FirstAnswer] = field(default_factory=dict)
    second: set[int] = field(default_factory=set)
    forgotten_claims: list[UUID] = field(default_factory=list)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    # Rows that are JSON already.
    texts: dict[str, list[str]] = field(default_factory=dict)
    sequence: int = 0
    refused_for_holds: bool = False
    transaction: str | None = None
    covers: set[UUID] = field(default_factory=set)
    # A table and the id of a row in it, which is there if the batch was committed.
    witness: tuple[str, UUID] | None = None
    # The counters of this batch once more, by the place that they were looked up for.
    found: dict[int, Counter] = field(default_factory=dict)
    _ids: Iterator[UUID] = field(init=False)

    def __post_init__(self) -> None:
        self._ids = ids.ids_of(self.now)

    def new_id(self) -> UUID:
        """Return a new id of now, greater than those before it."""
        return next(self._ids)

    def next_sequence(self) -> int:
        """Return the next number of the ledger's order."""
        self.sequence += 1
        return self.sequence

    def is_full(self, entry: Entry, amounts: Mapping[str, int | None]) -> bool:
        """Say whether counters of an entry have no room left for big amounts."""
        if all(amount is None or amount <= BIG for amount in amounts.values()):
            return False
        keys = {place.id for place in entry.places}
        for held in entry.reserved.holds if entry.reserved else ():
            keys |= {UUID(held["counter"]), UUID(held["closed"] or held["counter"])}
        found = [self.counters[key] for key in keys if key in self.counters]
        found += [row for key in keys for row in self.closed.get(key, ())]
        return any(is_full(counter) for counter in found)

    def write(self, table: str, row: dict[str, Any]) -> None:
        """Add a row to what is written when the batch has decided everything."""
        self.rows.setdefault(table, []).append(row)

    def write_text(self, table: str, row: str) -> None:
        """Add a row that is JSON already."""
        self.texts.setdefault(table, []).append(row)


@lru_cache(maxsize=4_096)
def stamp(moment: datetime | None) -> str | None:
    """Return a moment as RFC 3339 in UTC; a batch shows the same few many times."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@lru_cache(maxsize=8_192)
def public(prefix: str, value: UUID) -> str:
    """Return a public id; remembered, because the same ones come again and again."""
    return ids.encode_id(prefix, value)


def uuids(values: Sequence[UUID]) -> str:
    """Return ids, ascending and once each, as the literal of a `uuid[]`."""
    # As texts they sort in the same order, and much quicker.
    return "{" + ",".join(sorted({str(value) for value in values})) + "}"
