"""The batches of a run: take chosen rows (`retention.stock`) in small bites.

A batch is one transaction: it makes sure that the policy still says so, keeps new legal
holds out, locks its share of the stock (skipping rows that somebody works on), deletes
it asking for age and holds again, and notes it on the receipt. At full speed several
workers take batches at once, each on a connection of its own (ADR 0046).
"""

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from retention import locks, receipts, targets
from retention.jobs import Job
from retention.models import PruneRun
from retention.pace import FULL, GENTLE, Manner, Pace
from retention.stock import Stock, rows_in

# The policy is held still, new holds are kept out, and a commit need not wait: one
# statement, because a small batch takes longer for each that it asks.
_BEGIN = """SELECT {so}, pg_advisory_xact_lock_shared(%(space)s, %(key)s), set_config(
'synchronous_commit', coalesce(%(commit)s, current_setting('synchronous_commit')), true
)"""
_SAYS_SO = """(SELECT revision = %(revision)s AND rollout_mode = 'enforce'
AND archived_at IS NULL FROM policies_policy WHERE id = %(policy)s FOR SHARE)"""

BUDGET_ROWS = 200_000
BUDGET_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one turn may do; None is as much as there is."""

    rows: int | None = BUDGET_ROWS
    seconds: float | None = BUDGET_SECONDS
    batch: int = FULL.most
    manner: Manner = GENTLE

    @property
    def most(self) -> int:
        """Return how many rows a batch may take."""
        return min(self.batch, self.manner.most)


@dataclass(slots=True)
class Turn:
    """What one turn of a run has done so far; several workers may share it.

    `tried` counts the rows that were taken from a stock, `rows` those that went or are
    being deleted. `halted` asks every worker to end after its batch.
    """

    job: Job
    run: PruneRun
    budget: Budget
    started: float = field(default_factory=monotonic)
    rows: int = 0
    tried: int = 0
    ran_dry: bool = False
    halted: bool = False
    _lock: Lock = field(default_factory=Lock)

    def claim(self, wanted: int) -> int:
        """Set aside how many rows the next batch may take; 0 if the budget is used."""
        seconds, rows = self.budget.seconds, self.budget.rows
        late = seconds is not None and monotonic() - self.started >= seconds
        if late or self.halted:
            return 0
        with self._lock:
            claimed = wanted if rows is None else max(0, min(wanted, rows - self.rows))
            self.rows += claimed
        return claimed

    def settle(self, claimed: int, *, tried: int = 0, gone: int = 0) -> None:
        """Give back what was set aside for a batch and did not go."""
        with self._lock:
            self.rows -= claimed - gone
            self.tried += tried

    @property
    def all_gone(self) -> bool:
        """Say whether everything that was due has been tried, and went."""
        ready = self.job.target.ready == "TRUE"  # else some of it is not tried at all
        return ready and self.ran_dry and self.rows == self.tried

    @property
    def ended(self) -> datetime:
        """The moment by the clock that the turn began with."""
        return self.job.now + timedelta(seconds=monotonic() - self.started)


def take_batches(turn: Turn) -> None:
    """Delete until the budget is used or every row that is due has been tried once."""
    most = turn.budget.most
    ahead = turn.budget.manner.ahead * most
    stock = Stock(turn.job, ahead)
    stock.choose()
    # Others would not see what a transaction around us has done and not committed.
    able = 1 if connection.in_atomic_block else turn.budget.manner.workers
    workers = min(able, stock.batches(most))
    if workers <= 1:
        _take(turn, stock)
        return
    stock.least = workers * most
    _take_with(workers, turn, stock)
    if turn.ran_dry and turn.rows < turn.tried:
        # What one worker passed over since another was at work on it, as it is with
        # two messages of one conversation.
        turn.ran_dry = False
        _take(turn, Stock(turn.job, ahead))


def _take_with(workers: int, turn: Turn, stock: Stock) -> None:
    """Take batches on several connections; if one fails, all end, and so does this."""
    with ThreadPoolExecutor(workers, "prune") as pool:
        futures = [pool.submit(_take_apart, turn, stock) for _ in range(workers)]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            # Nobody is at work any more, or one failed, or a person broke it off.
            turn.halted = True
    turn.halted = False
    for future in futures:
        future.result()


def _take_apart(turn: Turn, stock: Stock) -> None:
    try:
        _take(turn, stock)
    finally:
        connection.close()  # this thread's, which is its own


def _take(turn: Turn, stock: Stock) -> None:
    pace = Pace(turn.budget.manner, turn.budget.batch)
    while (claimed := turn.claim(pace.size)) > 0:
        if not pace.is_calm():
            turn.settle(claimed)
            continue
        asked = monotonic()
        chosen = stock.take(claimed)
        if not chosen:
            turn.settle(claimed)
            turn.ran_dry = True
            break
        begun = monotonic()
        gone = _prune_batch(turn.job, turn.run, chosen, turn.budget.manner)
        turn.settle(claimed, tried=rows_in(chosen), gone=gone or 0)
        if gone is None:
            break
        took = monotonic() - begun
        pace.after_batch(took, rows_in(chosen), chose=begun - asked)


@transaction.atomic
def _prune_batch(job: Job, run: PruneRun, chosen: str, manner: Manner) -> int | None:
    """Delete what may go of some chosen rows; return how many did.

    None if the policy was edited or the run paused meanwhile: then nobody says what to
    delete.
    """
    started = monotonic()
    with connection.cursor() as cursor:
        if not _begin(cursor, job, manner):
            return None
        cursor.execute(targets.lock(job.target), job.parameters(ids=chosen))
        locked = cursor.fetchone()[0]
        if locked is None:
            return 0
        cursor.execute(job.target.erase, job.parameters(ids=locked))
        gone, *counts = cursor.fetchone()
    if gone is None:
        return 0
    deleted = dict(zip(job.target.erased, counts, strict=True))
    if not receipts.note(run, deleted, bytes(gone), took=monotonic() - started):
        transaction.set_rollback(True)
        return None
    return int(counts[0])


def _begin(cursor: CursorWrapper, job: Job, manner: Manner) -> bool:
    """Keep policy and holds as they are; False if the policy was edited meanwhile."""
    policy = job.policy
    space, key = locks.key_of(job.account.id)
    # Who waits for nobody need not make others wait for the disk: what a crash undoes
    # is deletion and receipt together, and is done again.
    values: dict[str, Any] = {"commit": "off" if manner.asks else None}
    values |= {"space": space, "key": key}
    if policy is not None:
        values |= {"revision": policy.revision, "policy": policy.id}
    so = "TRUE" if policy is None else _SAYS_SO
    cursor.execute(_BEGIN.format(so=so), values)
    return bool(cursor.fetchone()[0])
