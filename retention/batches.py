"""The batches of a run: choose a stock of due rows, then take it in small bites.

Choosing reads what is due in order, from where the last stock ended, so a run reads
each row once however many batches it takes. A batch is one transaction: it makes sure
that the policy still says so, keeps new legal holds out, locks its share of the stock
(skipping rows that somebody works on), deletes it asking for age and holds again, and
notes it on the receipt.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from django.db import connection, transaction

from policies.models import Policy
from retention import locks, receipts, targets
from retention.jobs import Job
from retention.models import PruneRun
from retention.pace import FULL, GENTLE, Manner, Pace

BUDGET_ROWS = 200_000
BUDGET_SECONDS = 20.0
# What is chosen at once, in batches of the largest size.
_STOCK = 5
# How many characters an id takes in a list: 36 and a comma.
_ID = 37


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one turn may do; None is as much as there is."""

    rows: int | None = BUDGET_ROWS
    seconds: float | None = BUDGET_SECONDS
    batch: int = FULL.most
    manner: Manner = GENTLE


@dataclass(slots=True)
class Turn:
    """What one turn of a run has done so far."""

    job: Job
    run: PruneRun
    budget: Budget
    started: float = field(default_factory=monotonic)
    rows: int = 0
    ran_dry: bool = False

    def size(self, wanted: int) -> int:
        """Return how many rows the next batch may take; 0 when the budget is used."""
        seconds, rows = self.budget.seconds, self.budget.rows
        if seconds is not None and monotonic() - self.started >= seconds:
            return 0
        return wanted if rows is None else min(wanted, rows - self.rows)

    @property
    def ended(self) -> datetime:
        """The moment by the clock that the turn began with."""
        return self.job.now + timedelta(seconds=monotonic() - self.started)


@dataclass(slots=True)
class _Stock:
    """Due rows that were chosen and not tried yet, as text: `id,id,…`, oldest first."""

    job: Job
    most: int
    ids: str = ""
    place: dict[str, str] = field(default_factory=dict)
    ended: bool = False

    def take(self, size: int) -> str:
        """Return the oldest rows as the text of an array; empty if there are none."""
        if not self.ids and not self.ended:
            self._choose()
        taken, self.ids = self.ids[: size * _ID], self.ids[size * _ID :]
        return taken and f"{{{taken.rstrip(',')}}}"

    def _choose(self) -> None:
        job = self.job
        sql = targets.choose(job.target, job.within, onwards=bool(self.place))
        with connection.cursor() as cursor:
            cursor.execute(sql, job.parameters(most=self.most, **self.place))
            ids, at = cursor.fetchone()
        self.ids = ids or ""
        self.ended = len(self.ids) < self.most * _ID - 1
        if self.ids:
            self.place = {"after_id": self.ids[1 - _ID :], "after_at": at}


def take_batches(turn: Turn) -> None:
    """Delete until the budget is used or every row that is due has been tried once."""
    pace = Pace(turn.budget.manner, turn.budget.batch)
    stock = _Stock(turn.job, _STOCK * pace.most)
    while (size := turn.size(pace.size)) > 0:
        if not pace.is_calm():
            continue
        chosen = stock.take(min(size, pace.size))
        if not chosen:
            turn.ran_dry = True
            break
        begun = monotonic()
        gone = _prune_batch(turn.job, turn.run, chosen, turn.budget.manner)
        if gone is None:
            break
        turn.rows += gone
        pace.after_batch(monotonic() - begun, len(chosen) // _ID)


@transaction.atomic
def _prune_batch(job: Job, run: PruneRun, chosen: str, manner: Manner) -> int | None:
    """Delete what may go of some chosen rows; return how many did.

    None if the policy was edited meanwhile, so that nobody says what to delete.
    """
    started = monotonic()
    if not _still_says_so(job.policy):
        return None
    locks.lock_shared(job.account.id)
    with connection.cursor() as cursor:
        if manner.asks:
            # Who waits for nobody need not make others wait for the disk: what a crash
            # undoes is deletion and receipt together, and is done again.
            cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(targets.lock(job.target), job.parameters(ids=chosen))
        locked = cursor.fetchone()[0]
        if locked is None:
            return 0
        cursor.execute(job.target.erase, job.parameters(ids=locked))
        gone, *counts = cursor.fetchone()
    if gone is None:
        return 0
    deleted = dict(zip(job.target.erased, counts, strict=True))
    receipts.note(run, deleted, bytes(gone), took=monotonic() - started)
    return int(counts[0])


def _still_says_so(policy: Policy | None) -> bool:
    """Hold the policy still for this batch; False if it was edited meanwhile."""
    if policy is None:
        return True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT revision = %s AND rollout_mode = 'enforce' AND archived_at IS NULL"
            " FROM policies_policy WHERE id = %s FOR SHARE",
            [policy.revision, policy.id],
        )
        row = cursor.fetchone()
    return bool(row and row[0])
