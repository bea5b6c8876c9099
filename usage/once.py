"""`Idempotency-Key` at the ledger: what was asked twice is done once (CONTRACT G5).

The first answer is written in the transaction of what it answers, so a crash leaves
both or neither. Two batches that meet over one name take turns at its lock; within one
batch the second is told that the first is not answered yet.
"""

from collections.abc import Generator, Iterable, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from accounts.errors import IdempotencyMismatch, InvalidKey, RequestInFlight
from usage import statements
from usage.entries import FirstAnswer, Item, Once, Outcome
from usage.statements import Statement
from usage.wanted import account_locks
from usage.work import Work, uuids

Step = Generator[list[Statement], list[Any], None]

KEPT: Final = timedelta(hours=24)


def read(work: Work, items: Sequence[Item], accounts: Iterable[UUID]) -> Step:
    """Take the names of the items that are to be done once; read first answers.

    Nothing is sent for a batch without any, which is most batches.
    """
    named: dict[UUID, Item] = {}
    for item in items:
        if item.once is None:
            continue
        if item.once.id in named:
            work.second.add(id(item))
        named.setdefault(item.once.id, item)
    if not named:
        return
    locks = sorted({int.from_bytes(n.bytes[:8], "big", signed=True) for n in named})
    since = (work.now - KEPT).isoformat()
    _, _, rows = yield [
        account_locks(accounts),
        Statement(statements.LOCK_NAMES, ("{" + ",".join(map(str, locks)) + "}",)),
        Statement(statements.FIRST_ANSWERS, (uuids(list(named)), since), rows=True),
    ]
    work.first_answers = {row[0]: FirstAnswer(*row[1:]) for row in rows}


def is_repeat(work: Work, item: Item) -> bool:
    """Say whether an item is answered already, or about to be."""
    known = item.once is not None and item.once.id in work.first_answers
    return known or id(item) in work.second


def settle(work: Work, item: Item, once: Once, outcome: Outcome) -> None:
    """Put the first answer in place of a repeat's; keep the answer of a first one."""
    if any(isinstance(answer.error, InvalidKey) for answer in outcome.answers):
        return
    first = work.first_answers.get(once.id)
    if first is None and id(item) in work.second:
        outcome.error = RequestInFlight()
    elif first is None:
        _keep(work, item, once, outcome)
    elif first.request_digest != once.request_digest:
        outcome.error = IdempotencyMismatch()
    else:
        outcome.first = first


def _keep(work: Work, item: Item, once: Once, outcome: Outcome) -> None:
    answered = once.answer(outcome.answers)
    if answered is not None:
        status, body = answered
        row = {
            "id": once.id,
            "account_id": item.account_id,
            "request_digest": once.request_digest,
            "status": status,
            "answer": body,
            "created_at": work.now,
        }
        work.write("first_answers", row)
