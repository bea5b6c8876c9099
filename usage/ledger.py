"""The one door: every call, event and release goes through here.

What it promises: an answer is given after COMMIT; a reservation is never granted
beyond its limits, whatever runs beside it; an event counts exactly once; whoever
edited a policy, a bot or a key and committed is obeyed by the next call.

This is the door for Django's own connection: pages, Celery, admin, commands and tests.
`usage.async_ledger` is the same door for the lane's event loop.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import OperationalError, connection, transaction

from accounts.errors import Unavailable
from accounts.models import Account
from usage import crashpoints
from usage.batch import Overdue, batch
from usage.drivers import RETRIED, drive
from usage.entries import (
    Answer,
    CallerKey,
    CallIn,
    EventIn,
    EventResult,
    Item,
    Outcome,
    ReleaseIn,
)
from usage.rulebook import Rulebooks
from usage.work import Restart

_ATTEMPTS = 6
_BOOKS = Rulebooks()


def run(items: Sequence[Item], *, now: datetime) -> list[Outcome]:
    """Run one batch on Django's connection, in the caller's transaction if it has one.

    Raises what the batch raises, and Unavailable without a database.
    """
    ahead: list[Item] = []
    # What a caller's transaction has not committed yet must not be remembered.
    books = Rulebooks() if connection.in_atomic_block else _BOOKS
    for _ in range(_ATTEMPTS):
        try:
            with transaction.atomic():
                decided = drive(batch([*ahead, *items], books=books, now=now))
            crashpoints.reach("batch-committed")
            return decided.outcomes[len(ahead) :]
        except Overdue as overdue:
            ahead += overdue.items
        except Restart:
            continue
        except OperationalError as lost:
            if isinstance(lost.__cause__, RETRIED) and not connection.in_atomic_block:
                continue
            raise Unavailable(retry_after=1) from lost
    raise Unavailable(retry_after=1)


def authorize(
    *, account: Account, call: CallIn, now: datetime, key: CallerKey | None = None
) -> Answer:
    """Decide one call from within Django. Raises what made it fail."""
    return _single(Item(account.id, [call], key), now)


def release(
    *,
    account: Account,
    reservation_id: str,
    now: datetime,
    key: CallerKey | None = None,
) -> Answer:
    """Free a reservation from within Django. Raises NotFound."""
    return _single(Item(account.id, [ReleaseIn(reservation_id)], key), now)


def record_events(
    *,
    account: Account,
    events: Sequence[EventIn],
    now: datetime,
    key: CallerKey | None = None,
) -> list[EventResult]:
    """Record events from within Django; each has a result of its own."""
    (outcome,) = run([Item(account.id, list(events), key)], now=now)
    return [answer for answer in outcome.answers if isinstance(answer, EventResult)]


def _single(item: Item, now: datetime) -> Answer:
    (outcome,) = run([item], now=now)
    (answer,) = outcome.answers
    if not isinstance(answer, Answer):
        raise TypeError("an event was answered where a decision was expected")
    if answer.error is not None:
        raise answer.error
    return answer
