"""What a batch locks and reads in its main round trip, worked out from its entries."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from usage import statements
from usage.counters import Counter, Place, new_counter
from usage.entries import CallIn, EventIn, ExpireIn
from usage.repeats import claim_values
from usage.statements import Statement
from usage.wanted import account_locks
from usage.work import Entry, Work, uuids
from usage.writing import as_json, counter_row


class Keys:
    """What the live entries need locked or read."""

    def __init__(self, work: Work, entries: Sequence[Entry]) -> None:
        # Counters go by their ids as text, which are told apart quicker than UUIDs.
        self.open: dict[str, Counter] = {}
        self.lock: set[str] = set()
        # With their account, those of which it is known where they count.
        self.places: dict[str, tuple[UUID, list[Place]]] = {}
        self.read: set[UUID] = set()
        self.shown: list[Place] = []
        self.reservations: set[UUID] = set()
        self.covers: set[UUID] = set()
        self.claims: dict[UUID, dict[str, Any]] = {}
        self.sought: set[UUID] = set()
        self.seen_new: dict[UUID, UUID] = {}
        self.seen: set[UUID] = set()
        self.conversations: list[dict[str, Any]] = []
        # Entries share their places, which are told apart quicker than their keys.
        self._locked: set[int] = set()
        self._covered: set[int] = set()
        for entry in entries:
            self._add(work, entry)
        self.read -= {places[0].id for _, places in self.places.values()}

    def _add(self, work: Work, entry: Entry) -> None:
        request = entry.request
        if entry.fate is not None:
            self.sought.update(claim for claim in (entry.claim,) if claim is not None)
            return
        if isinstance(request, CallIn) and not request.reserve:
            self.read.update(place.id for place in entry.places)
            self.shown += entry.places
        else:
            self._add_counters(work, entry)
        if entry.reservation_id is not None:
            self.reservations.add(entry.reservation_id)
        if isinstance(request, CallIn):
            if entry.seen is not None:
                self.seen.add(entry.seen)
            self._add_covers(entry)
            if entry.bot is not None:
                self.covers.add(entry.bot.cover)
        elif isinstance(request, EventIn):
            if entry.claim is not None and entry.claim not in self.claims:
                self.claims[entry.claim] = claim_values(work, entry, request)
            if entry.seen is not None and not (entry.conversation or {}).get("id"):
                self.seen_new[entry.seen] = entry.account_id
            self._add_covers(entry)
        if entry.conversation is not None:
            self.conversations.append(entry.conversation)

    def _add_covers(self, entry: Entry) -> None:
        for match in entry.matches:
            if match.cover is not None and id(match) not in self._covered:
                self._covered.add(id(match))
                self.covers.add(match.cover)

    def _add_counters(self, work: Work, entry: Entry) -> None:
        for place in entry.places:
            if id(place) in self._locked:
                continue
            self._locked.add(id(place))
            named = self.places.get(place.name)
            if named is not None:
                named[1].append(place)
                continue
            self.lock.add(place.name)
            self.places[place.name] = (entry.account_id, [place])
            if place.name not in work.books.known_counters:
                self.open[place.name] = new_counter(place, entry.account_id, work.now)
        for held in entry.reserved.holds if entry.reserved else ():
            self.lock.add(held["counter"])


def locking_statements(
    work: Work, entries: Sequence[Entry], keys: Keys, accounts: set[UUID]
) -> dict[str, Statement]:
    """The batch's main round trip, in the order that the module promises."""
    known = uuids(list(accounts))
    now = work.now.isoformat()
    named = {
        "locks": account_locks(accounts),
        "versions": Statement(statements.VERSIONS, (known,), rows=True),
    }

    def add(name: str, sql: str, *parameters: str, rows: bool = True) -> None:
        named[name] = Statement(sql, parameters, rows)

    if keys.claims:
        add("claims", statements.CLAIM_EVENT_IDS, as_json(list(keys.claims.values())))
    if keys.claims or keys.sought:
        sought = uuids([*keys.claims, *keys.sought])
        add("event_ids", statements.READ_EVENT_IDS, sought)
    if keys.seen_new:
        rows = [{"id": s, "account_id": a} for s, a in keys.seen_new.items()]
        add("seen_new", statements.CLAIM_CONVERSATIONS, as_json(rows))
    if keys.open:
        new = [counter_row(counter, work.now) for counter in keys.open.values()]
        add("open", statements.OPEN_COUNTERS, as_json(new), rows=False)
    if keys.lock:
        add(*_locking(keys))
    if keys.reservations:
        held = uuids(list(keys.reservations))
        add("reservations", statements.LOCK_RESERVATIONS, held)
    if keys.read:
        add("read", statements.READ_COUNTERS, uuids(list(keys.read)))
    if keys.covers:
        add("blocks", statements.BLOCKS, known, uuids(list(keys.covers)), now)
    if keys.seen:
        add("seen", statements.SEEN_CONVERSATIONS, uuids(list(keys.seen)))
    if keys.conversations:
        add("conversations", statements.CONVERSATIONS, as_json(keys.conversations))
    ending = [
        entry.request.reservation.id
        for entry in work.entries
        if isinstance(entry.request, ExpireIn)
    ]
    add("overdue", statements.OVERDUE, known, now, uuids(ending))
    writes = any(not getattr(e.request, "dry_run", False) for e in entries)
    add("sequence", statements.WRITING_SEQUENCE if writes else statements.SEQUENCE)
    return named


def _locking(keys: Keys) -> tuple[str, str, str]:
    if keys.reservations:
        # What is held sits on counters that are known by their rows only.
        return "locked", statements.LOCK_COUNTERS, f"{{{','.join(sorted(keys.lock))}}}"
    names = ",".join(sorted(keys.places))
    return "placed", statements.LOCK_PLACED, f"{{{names}}}"
