"""One batch of the ledger, written once and without any I/O.

`batch` is a generator: it yields the statements it needs and is sent their rows, so
that an asynchronous and a synchronous driver of a few lines can both run it inside
one transaction. What it promises, it promises to whoever commits that transaction:

- It holds the shared lock of every account in it, so an edit (which takes the
  exclusive one) lies wholly before or wholly after it.
- It locks every counter it may change in ascending order, and reads blocks and
  overdue reservations by later statements.
- It decides each entry in the order of arrival with `policies.decision.decide`; a
  later entry sees what an earlier one took.
- It answers only when everything is written. The driver hands the answers out after
  COMMIT: an acknowledged call is a committed call.

If what it assumed turns out to be old (an account's version, a counter that is gone,
a reservation that is overdue), it raises `Restart`; the driver rolls back and runs it
again.
"""

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from policies.decision import BlockView
from usage import crashpoints, once, statements
from usage.authorizing import authorize
from usage.counters import Counter, from_row, new_counter
from usage.entries import CallIn, EventIn, ExpireIn, Item, Outcome, ReleaseIn
from usage.loading import load, resolve
from usage.recording import record
from usage.releasing import expire, release
from usage.repeats import claim_values
from usage.rulebook import Rulebooks
from usage.statements import Statement
from usage.wanted import (
    account_locks,
    check_versions,
    read_holds,
    reservation_info,
)
from usage.work import Entry, Reserved, Restart, Work, public, stamp, uuids
from usage.writing import as_json, counter_row, write


class Decided(NamedTuple):
    """A batch that only has to be committed.

    `transaction` is its id, if it writes; `witness` a table and the id of a row that it
    writes there, if there is one.
    """

    outcomes: list[Outcome]
    transaction: str | None
    witness: tuple[str, UUID] | None = None


Steps = Generator[list[Statement], list[Any], Decided]

_MOST_EXPIRED = 1_000


def batch(items: Sequence[Item], *, books: Rulebooks, now: datetime) -> Steps:
    """Decide and record everything in `items`. Raises Restart, and NotFound."""
    crashpoints.reach("batch-begun")
    work = Work(now=now, books=books)
    yield from load(work, items)
    resolve(work)
    live = [entry for entry in work.entries if entry.answer is None]
    # Also if nothing is left to do: what was refused from memory may be old news.
    yield from _lock_and_read(work, live)
    crashpoints.reach("batch-locked")
    for entry in live:
        if entry.answer is None:
            _process(work, entry)
    _expire_first(work)
    outcomes = _outcomes(work, items)
    crashpoints.reach("batch-decided")
    yield from write(work)
    crashpoints.reach("batch-written")
    books.remember_blocks(work.covers, work.blocks)
    books.tidy()
    return Decided(outcomes, work.transaction, _witness(work))


def _witness(work: Work) -> tuple[str, UUID] | None:
    """Name a row that is there if, and only if, the batch was committed."""
    for table in ("decisions", "events"):
        for row in work.rows.get(table, ()):
            return table, row["id"]
    return None


def _process(work: Work, entry: Entry) -> None:
    request = entry.request
    if isinstance(request, CallIn):
        authorize(work, entry, request)
    elif isinstance(request, EventIn):
        record(work, entry, request)
    elif isinstance(request, ReleaseIn):
        release(work, entry)
    else:
        expire(work, entry)


def _expire_first(work: Work) -> None:
    """Have overdue holds freed first if they are why a call was refused (B7).

    There is a bound to what one call waits for; beyond it the sweep has to catch up.
    """
    if work.overdue and work.refused_for_holds:
        ending = sum(isinstance(entry.request, ExpireIn) for entry in work.entries)
        if ending < _MOST_EXPIRED:
            raise Overdue(work.overdue)


class Overdue(Restart):
    """Run the batch again behind the expiry of these reservations."""

    def __init__(self, items: Sequence[Item]) -> None:
        super().__init__()
        self.items = items


def _outcomes(work: Work, items: Sequence[Item]) -> list[Outcome]:
    outcomes, entries = [], iter(work.entries)
    for item in items:
        answers = [next(entries).answer for _ in item.requests]
        outcome = Outcome([answer for answer in answers if answer is not None])
        if item.once is not None:
            once.settle(work, item, item.once, outcome)
        outcomes.append(outcome)
    return outcomes


class _Keys:
    """What the live entries need locked or read."""

    def __init__(self, work: Work, entries: Sequence[Entry]) -> None:
        self.open: dict[UUID, Counter] = {}
        self.lock: set[UUID] = set()
        self.read: set[UUID] = set()
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
        self.read -= self.lock

    def _add(self, work: Work, entry: Entry) -> None:
        request = entry.request
        if entry.fate is not None:
            self.sought.update(claim for claim in (entry.claim,) if claim is not None)
            return
        if isinstance(request, CallIn) and not request.reserve:
            self.read.update(place.id for place in entry.places)
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
            self.lock.add(place.id)
            if place.id not in work.books.known_counters and place.id not in self.open:
                self.open[place.id] = new_counter(place, entry.account_id, work.now)
        for held in entry.reserved.holds if entry.reserved else ():
            self.lock.add(UUID(held["counter"]))


def _lock_and_read(work: Work, entries: Sequence[Entry]) -> Any:
    keys = _Keys(work, entries)
    work.covers = keys.covers
    accounts = {entry.account_id for entry in work.entries}
    named = _statements(work, entries, keys, accounts)
    replies = yield list(named.values())
    rows = dict(zip(named, replies, strict=True))
    check_versions(work, rows["versions"])
    work.sequence, work.transaction = rows["sequence"][0]
    _take_counters(work, keys, rows)
    for row in rows.get("reservations", ()):
        reserved = Reserved(*row)
        reserved.amounts = msgspec.json.decode(row[6])
        reserved.holds = read_holds(row[7])
        work.reservations[reserved.id] = reserved
    _take_blocks(work, rows.get("blocks", ()))
    work.claimed = {row[0] for row in rows.get("claims", ())}
    work.event_ids = {row[0]: (row[1], row[2]) for row in rows.get("event_ids", ())}
    work.new_conversations = {row[0] for row in rows.get("seen_new", ())}
    work.seen_conversations = {row[0] for row in rows.get("seen", ())}
    for row_id, account_id, bot_id, external_id in rows.get("conversations", ()):
        work.conversations[account_id, bot_id, public("cnv", row_id)] = row_id
        if external_id is not None:
            work.conversations[account_id, bot_id, external_id] = row_id
    for (account_id, _), info in map(reservation_info, rows["overdue"]):
        work.overdue.append(Item(account_id, [ExpireIn(info)]))
    yield from _read_closed(work, entries)


def _statements(
    work: Work, entries: Sequence[Entry], keys: _Keys, accounts: set[UUID]
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
        add("locked", statements.LOCK_COUNTERS, uuids(list(keys.lock)))
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


def _take_counters(work: Work, keys: _Keys, rows: dict[str, Any]) -> None:
    for name in ("locked", "read"):
        for row in rows.get(name, ()):
            work.counters[row[0]] = from_row(row)
    if len(rows.get("locked", ())) == len(keys.lock):
        work.books.known_counters |= keys.lock
        return
    needed = {key for key in keys.lock if key in keys.open}
    needed |= keys.lock & work.books.known_counters
    gone = needed - work.counters.keys()
    if gone:
        # A counter that was known has been swept away: insert it next time.
        work.books.known_counters -= gone
        raise Restart
    work.books.known_counters |= needed


def _take_blocks(work: Work, rows: Any) -> None:
    for block_id, _, kind, policy_id, cover, enforced, ends_at, reason in rows:
        policy = public("pol", policy_id) if policy_id else None
        view = BlockView(
            public("blk", block_id), policy, kind, enforced, ends_at, reason
        )
        work.blocks.setdefault(cover, []).append(view)


def _read_closed(work: Work, entries: Sequence[Entry]) -> Any:
    """Read the fixed windows of the past that holds and late events belong to (B3).

    Whoever touches one has locked its head, so these locks wait for nobody; and a
    window that was closed while this batch waited for the head is found.
    """
    late = _late_events(work, entries)
    held = _left_behind(work, entries)
    if not late and not held:
        return
    wanted = as_json(list(late.values()))
    for_events, for_holds = yield [
        Statement(statements.CLOSED_COUNTERS, (wanted,), rows=True),
        Statement(statements.LOCK_COUNTERS, (uuids(held),), rows=True),
    ]
    for row in for_holds:
        work.counters[row[0]] = from_row(row)
    heads = {
        (r["policy"], r["limit_key"], r["subject_key"]): r["head"]
        for r in late.values()
    }
    for row in for_events:
        closed = work.counters.setdefault(row[0], from_row(row))
        head_id = heads[closed.policy_id, closed.limit_key, closed.subject_key]
        windows = work.closed.setdefault(head_id, [])
        if closed not in windows:
            windows.append(closed)


def _left_behind(work: Work, entries: Sequence[Entry]) -> list[UUID]:
    """The closed windows of holds whose head has moved on."""
    found = []
    for entry in entries:
        for held in entry.reserved.holds if entry.reserved else ():
            head = work.counters.get(UUID(held["counter"]))
            if head is None or held["start"] is None:
                continue
            if head.window_start != datetime.fromisoformat(held["start"]):
                found.append(UUID(held["closed"]))
    return found


def _late_events(
    work: Work, entries: Sequence[Entry]
) -> dict[tuple[UUID, str | None], dict[str, Any]]:
    late: dict[tuple[UUID, str | None], dict[str, Any]] = {}
    for entry in entries:
        if not isinstance(entry.request, EventIn) or entry.moment is None:
            continue
        for place in entry.places:
            head = work.counters.get(place.id)
            if head is None or head.kind != "fixed" or entry.moment >= work.now:
                continue
            if head.window_start is not None and entry.moment < head.window_start:
                late[place.id, stamp(entry.moment)] = {
                    "head": place.id,
                    "limit_key": head.limit_key,
                    "subject_key": head.subject_key,
                    "policy": head.policy_id,
                    "account": head.account_id,
                    "moment": entry.moment,
                }
    return late
