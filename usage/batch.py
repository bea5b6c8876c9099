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
from usage.counters import counter_at, from_row
from usage.entries import CallIn, EventIn, ExpireIn, Item, Outcome, ReleaseIn
from usage.loading import load, resolve
from usage.locking import Keys, locking_statements
from usage.plain import answer_plainly
from usage.plain_events import record_plainly
from usage.recording import record
from usage.releasing import expire, release
from usage.rulebook import Rulebooks
from usage.statements import Statement
from usage.wanted import (
    check_versions,
    read_holds,
    reservation_info,
)
from usage.work import Entry, Reserved, Restart, Work, public, stamp, uuids
from usage.writing import as_json, write, write_ahead


class Decided(NamedTuple):
    """A batch that only has to be committed.

    `transaction` is its id, if it writes; `witness` a table and the id of a row that it
    writes there, if there is one.
    """

    outcomes: list[Outcome]
    transaction: str | None
    witness: tuple[str, UUID] | None = None


Steps = Generator[list[Statement], list[Any], Decided]

# PostgreSQL writes the rows of so many calls while the next ones are decided; for
# fewer a statement costs more than it gains.
_PART, _LEAST, _PARTS = 8, 4, 8
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
    part = max(_PART, len(live) // _PARTS)
    for number, entry in enumerate(live, 1):
        if entry.answer is None:
            _process(work, entry)
        if number % part == 0 and len(live) - number >= _LEAST:
            yield from write_ahead(work)
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
    if work.witness is not None:
        return work.witness
    for table in ("decisions", "events"):
        for row in work.rows.get(table, ()):
            return table, row["id"]
    return None


def _process(work: Work, entry: Entry) -> None:
    request = entry.request
    if isinstance(request, CallIn):
        if not answer_plainly(work, entry, request):
            authorize(work, entry, request)
    elif isinstance(request, EventIn):
        if not record_plainly(work, entry, request):
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


def _lock_and_read(work: Work, entries: Sequence[Entry]) -> Any:
    keys = Keys(work, entries)
    work.covers = keys.covers
    accounts = {entry.account_id for entry in work.entries}
    named = locking_statements(work, entries, keys, accounts)
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


def _take_counters(work: Work, keys: Keys, rows: dict[str, Any]) -> None:
    for name in ("locked", "read"):
        for row in rows.get(name, ()):
            work.counters[row[0]] = from_row(row)
    if "placed" in rows:
        _take_placed(work, keys, rows["placed"])
    else:
        _take_locked(work, keys, rows)
    for place in keys.shown:
        counter = work.counters.get(place.id)
        if counter is not None:
            work.found[id(place)] = counter


def _take_placed(work: Work, keys: Keys, rows: Sequence[Sequence[Any]]) -> None:
    """Take rows that say only what changes: they come in the order of their ids."""
    if len(rows) != len(keys.places):
        # A counter that was known has been swept away: insert them next time.
        work.books.known_counters -= keys.lock
        raise Restart
    counters, found = work.counters, work.found
    for name, row in zip(sorted(keys.places), rows, strict=True):
        account_id, places = keys.places[name]
        counter = counter_at(places[0], account_id, row)
        counters[places[0].id] = counter
        for place in places:
            found[id(place)] = counter
    work.books.known_counters |= keys.lock


def _take_locked(work: Work, keys: Keys, rows: dict[str, Any]) -> None:
    for _, places in keys.places.values():
        counter = work.counters.get(places[0].id)
        if counter is not None:
            for place in places:
                work.found[id(place)] = counter
    if len(rows.get("locked", ())) == len(keys.lock):
        work.books.known_counters |= keys.lock
        return
    needed = {key for key in keys.lock if key in keys.open}
    needed |= keys.lock & work.books.known_counters
    gone = needed - {str(key) for key in work.counters}
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
        if entry.moment >= work.now:
            continue
        for place in entry.places:
            head = work.counters.get(place.id)
            if head is None or head.kind != "fixed":
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
