"""Let calls pass without a database, where every policy that applies says so (C10).

Only what this process has learnt in the last minute counts: the key, the bot, the
rules and the blocks that were in force. Nothing is reserved and nothing counted; the
decision is on disk before it is given, and recorded when the database is back.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg

from accounts import ids
from policies.covers import cover_of_bot
from policies.decision import Decision
from usage import crashpoints, metrics, statements
from usage.answers import decision_body, decision_row
from usage.entries import Answer, CallIn, Item, Outcome
from usage.loading import key_error, resolve_caller
from usage.rulebook import Rulebooks
from usage.spool import Spool, SpoolFull
from usage.work import Entry, Work
from usage.writing import as_json

_LOG = logging.getLogger(__name__)
FRESH_FOR = timedelta(seconds=60)
_DECISION = Decision(
    allowed=True,
    decision="allow",
    reason_code="fail_open",
    message="Allowed: the limits cannot be checked now, and the policies let it pass",
    enforced=False,
    rollout_mode=None,
    policy_id=None,
    retry_at=None,
    policies=(),
    refusals=(),
)


class OpenAnswers:
    """Answers calls that may pass; keeps their decisions until they are recorded."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        metrics.SPOOLED.set(spool.rows)

    @property
    def has_spooled(self) -> bool:
        """Whether decisions wait to be recorded."""
        return self._spool.rows > 0

    async def answer(
        self, items: Sequence[Item], books: Rulebooks, now: datetime
    ) -> dict[int, Outcome]:
        """Return the answers of those that may pass, by their place in `items`."""
        passed: dict[int, Outcome] = {}
        rows = []
        for index, item in enumerate(items):
            found = _open(item, books, now)
            if found is not None:
                answer, row = found
                passed[index] = Outcome([answer])
                rows += [row] if row is not None else []
        if rows:
            try:
                await asyncio.to_thread(self._spool.append, rows)
            except (SpoolFull, OSError):
                return {}
        metrics.FAIL_OPEN.inc(len(passed))
        metrics.SPOOLED.set(self._spool.rows)
        return passed

    async def replay(self, database: psycopg.AsyncConnection[Any]) -> None:
        """Record what was spooled; what is recorded already stays as it is."""
        for rows in self._spool.drain():
            crashpoints.reach("replay-begun")
            for start in range(0, len(rows), 500):
                await _record(database, rows[start : start + 500])
            crashpoints.reach("replay-written")
        crashpoints.reach("replay-done")
        metrics.SPOOLED.set(self._spool.rows)


async def _record(
    database: psycopg.AsyncConnection[Any], rows: Sequence[dict[str, Any]]
) -> None:
    """Write rows; one that the database does not take must not keep the rest back."""
    try:
        async with psycopg.AsyncRawCursor(database) as cursor:
            await cursor.execute(statements.REPLAY_DECISIONS, [as_json(rows)])
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(rows) > 1:
            middle = len(rows) // 2
            await _record(database, rows[:middle])
            await _record(database, rows[middle:])
        else:
            # Its account is gone, for one.
            _LOG.error("a spooled decision cannot be recorded", exc_info=error)
            metrics.UNREPLAYED.inc()
    else:
        metrics.REPLAYED.inc(len(rows))


def _open(
    item: Item, books: Rulebooks, now: datetime
) -> tuple[Answer, dict[str, Any] | None] | None:
    book = books.get(item.account_id)
    request = item.requests[0] if len(item.requests) == 1 else None
    if book is None or not isinstance(request, CallIn) or request.idempotency_key:
        return None
    if now - book.verified_at > FRESH_FOR:
        return None
    entry = Entry(item, request, book)
    known = item.key is not None and item.key.id in book.keys
    if not known or key_error(entry, now) is not None:
        return None
    if not resolve_caller(entry, request) or not _may_pass(entry, books, now):
        return None
    decision_id = ids.new_id(now)
    body = decision_body(entry, _DECISION, decision_id, None, (), now)
    answer = Answer(msgspec.json.encode(body))
    if request.dry_run:
        return answer, None
    work = Work(now=now, books=books)
    row = decision_row(work, entry, request, _DECISION, decision_id, {}, ())
    return answer, row


def _may_pass(entry: Entry, books: Rulebooks, now: datetime) -> bool:
    bot = entry.bot
    if bot is None or bot.state != "active":
        return False
    covers = [match.cover for match in entry.matches] + [cover_of_bot(bot.id)]
    for cover in covers:
        for block in books.blocks.get(cover, ()) if cover is not None else ():
            if block.enforced and (block.ends_at is None or block.ends_at > now):
                return False
    return all(
        match.rule.fail_mode == "open"
        or not match.enforced
        or not match.rule.actions.refuses
        for match in entry.matches
    )
