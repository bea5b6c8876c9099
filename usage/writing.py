"""Write what a batch has decided: one statement a table, each table's rows as jsonb."""

from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from usage import statements
from usage.counters import Counter
from usage.statements import Statement
from usage.work import Work, uuids

_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode

# In the order in which they are written: what is referred to comes first.
_TABLES = (
    ("claims", statements.CLAIM_EVENT_IDS),
    ("forget_replays", statements.FORGET_REPLAYS),
    ("reservations", statements.INSERT_RESERVATIONS),
    ("conversations", statements.INSERT_CONVERSATIONS),
    ("touched", statements.TOUCH_CONVERSATIONS),
    ("events", statements.INSERT_EVENTS),
    ("decisions", statements.INSERT_DECISIONS),
    ("noted", statements.NOTE_DECISIONS),
    ("blocks", statements.INSERT_BLOCKS),
    ("prolonged", statements.PROLONG_BLOCKS),
    ("revoked", statements.REVOKE_BOTS),
    ("revoked", statements.REVOKE_KEYS),
    ("revoked", statements.BUMP_VERSIONS),
    ("first_answers", statements.INSERT_FIRST_ANSWERS),
)


_SQL = dict(_TABLES)


def as_json(rows: Sequence[Any]) -> str:
    """Return rows as the one jsonb parameter of a statement."""
    return _encode(rows).decode()


def counter_row(counter: Counter, now: datetime) -> dict[str, Any]:
    """Return a counter as a row to insert."""
    return {
        "id": counter.id,
        "account_id": counter.account_id,
        "policy_id": counter.policy_id,
        "limit_key": counter.limit_key,
        "metric": counter.metric,
        "kind": counter.kind,
        "is_head": counter.is_head,
        "subject": counter.subject,
        "subject_key": counter.subject_key,
        "window_start": counter.window_start,
        "window_end": counter.window_end,
        "used": counter.used,
        "held": counter.held,
        "ring": counter.ring,
        "ring_head": counter.ring_head,
        "fired": counter.fired,
        "created_at": now,
        "updated_at": now,
    }


def changed_row(counter: Counter, now: datetime) -> dict[str, Any]:
    """Return what may change about a counter that has its row."""
    return {
        "id": counter.id,
        "window_start": counter.window_start,
        "window_end": counter.window_end,
        "used": counter.used,
        "held": counter.held,
        "ring": counter.ring,
        "ring_head": counter.ring_head,
        "fired": counter.fired,
        "updated_at": now,
    }


def write_ahead(work: Work) -> Generator[list[Statement], list[Any], None]:
    """Send the rows that nothing will change any more, and wait for nothing."""
    texts, work.texts = work.texts, {}
    written = [
        Statement(_SQL[table], (f"[{','.join(rows)}]",))
        for table, rows in texts.items()
    ]
    if written:
        yield written


def write(work: Work) -> Generator[list[Statement], list[Any], None]:
    """Write everything in one round trip; nothing if there is nothing to write."""
    written: list[Statement] = []
    if work.forgotten_claims:
        forgotten = uuids(work.forgotten_claims)
        written.append(Statement(statements.FORGET_EVENT_IDS, (forgotten,)))
    if work.new_conversations:
        # Only events that failed named them, so the next one is the first (A4).
        unnamed = uuids(list(work.new_conversations))
        written.append(Statement(statements.FORGET_CONVERSATIONS, (unnamed,)))
    written += _counters(work)
    for table, sql in _TABLES:
        rows, texts = work.rows.get(table), work.texts.get(table)
        if rows or texts:
            encoded = as_json(_latest(table, rows)) if rows else "[]"
            if texts:
                encoded = f"[{','.join([*texts, *([encoded[1:-1]] if rows else ())])}]"
            written.append(Statement(sql, (encoded,)))
    ended = [
        {
            "id": reserved.id,
            "state": reserved.state,
            "ended_at": reserved.ended_at,
            "event_id": reserved.event_id,
        }
        for reserved in work.reservations.values()
        if reserved.dirty
    ]
    if ended:
        written.append(Statement(statements.END_RESERVATIONS, (as_json(ended),)))
    alerts = work.rows.get("alerts")
    if alerts:
        deliveries = as_json(work.rows.get("deliveries", []))
        parameters = (as_json(alerts), deliveries)
        written.append(Statement(statements.OPEN_ALERTS, parameters))
    if written:
        yield written


def _counters(work: Work) -> list[Statement]:
    """Heads move before the rows that keep their old windows are inserted."""
    dirty = [counter for counter in work.counters.values() if counter.dirty]
    moved = [c for c in dirty if c.moved]
    # A counter that was just opened has its row already; only closed windows are new.
    closed = [c for c in dirty if c.is_new and not c.is_head and c.kind == "fixed"]
    inserted = {counter.id for counter in closed}
    changed = [c for c in dirty if not c.moved and c.id not in inserted]
    # What was never fired stays so: only a head that moves forgets it.
    plain = [c for c in changed if c.ring is None and not c.fired]
    written = []
    if plain:
        changed = [c for c in changed if c.ring is not None or c.fired]
        written.append(_added(plain, work.now))
    for rows, sql, as_row in (
        (moved, statements.MOVE_HEADS, changed_row),
        (closed, statements.INSERT_CLOSED, counter_row),
        (changed, statements.WRITE_COUNTERS, changed_row),
    ):
        if rows:
            encoded = as_json([as_row(counter, work.now) for counter in rows])
            written.append(Statement(sql, (encoded,)))
    return written


def _added(rows: Sequence[Counter], now: datetime) -> Statement:
    used = ",".join([str(counter.used) for counter in rows])
    held = ",".join([str(counter.held) for counter in rows])
    names = ",".join([str(counter.id) for counter in rows])
    parameters = (f"{{{names}}}", f"{{{used}}}", f"{{{held}}}", now.isoformat())
    return Statement(statements.ADD_TO_COUNTERS, parameters)


def _latest(table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave one row a conversation: an UPDATE … FROM takes any of several."""
    if table != "touched":
        return rows
    latest: dict[Any, dict[str, Any]] = {}
    for row in rows:
        known = latest.get(row["id"])
        if known is None or known["last_activity_at"] < row["last_activity_at"]:
            latest[row["id"]] = row
    return list(latest.values())
