"""The receipt of a run, written with the rows it tells of: a kill leaves it true.

The digest is a chain: SHA-256 over the digest so far and the ids of the next batch. Who
has the rows of a backup can compute it again; nobody can read an id from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from accounts import ids
from retention.jobs import Job
from retention.models import PruneRun

# A run takes minutes; one that has not ended by then was killed.
BROKEN_AFTER = timedelta(hours=1)


@dataclass(slots=True)
class Receipt:
    """One run's row, made when there is something to say."""

    job: Job
    trigger: str
    now: datetime
    run: PruneRun | None = None
    deleted: dict[str, int] = field(default_factory=dict)
    digest: str = ""

    def add(self, counts: dict[str, int], gone: Sequence[UUID]) -> None:
        """Note a batch, in the transaction that deletes it."""
        for table, count in counts.items():
            self.deleted[table] = self.deleted.get(table, 0) + count
        chained = sha256(self.digest.encode())
        for value in gone:
            chained.update(value.bytes)
        self.digest = chained.hexdigest()
        run = self.run or self._open()
        run.deleted, run.digest = self.deleted, self.digest
        run.save(update_fields=["deleted", "digest"])

    def close(self, *, remaining: int, ended: datetime) -> PruneRun:
        """End the run: completed if nothing is left, else paused."""
        run = self.run or self._open()
        state = PruneRun.State.PAUSED if remaining else PruneRun.State.COMPLETED
        run.state, run.remaining, run.finished_at = state, remaining, ended
        run.save(update_fields=["state", "remaining", "finished_at"])
        return run

    def wait(self, *, remaining: int) -> PruneRun:
        """Say that the run waits for a person: once for each revision, kept current."""
        waiting = (
            PruneRun.objects.filter(
                account=self.job.account,
                policy=self.job.policy,
                policy_revision=_revision(self.job),
                state=PruneRun.State.PAUSED,
                deleted={},
            )
            .order_by("-id")
            .first()
        )
        if waiting is None:
            return self.close(remaining=remaining, ended=self.now)
        waiting.cutoff, waiting.remaining = self.job.cutoff, remaining
        waiting.finished_at = self.now
        waiting.save(update_fields=["cutoff", "remaining", "finished_at"])
        return waiting

    def fail(self, *, ended: datetime) -> PruneRun:
        """End a run that broke off. What is on record of it was deleted, no more."""
        written = self.run and PruneRun.objects.filter(id=self.run.id).first()
        if written is None:
            self.deleted, self.digest = {}, ""
        run = written or self._open()
        run.state, run.finished_at = PruneRun.State.FAILED, ended
        run.save(update_fields=["state", "finished_at"])
        return run

    def _open(self) -> PruneRun:
        self.run = PruneRun.objects.create(
            id=ids.new_id(self.now),
            account=self.job.account,
            policy=self.job.policy,
            policy_revision=_revision(self.job),
            target=self.job.target_name,
            cutoff=self.job.cutoff,
            trigger=self.trigger,
            started_at=self.now,
        )
        return self.run


def close_broken(now: datetime) -> int:
    """Mark the runs that were killed as failed; what they deleted stays on record."""
    running = PruneRun.objects.filter(state=PruneRun.State.RUNNING)
    broken = running.filter(started_at__lt=now - BROKEN_AFTER)
    return broken.update(state=PruneRun.State.FAILED, finished_at=now)


def _revision(job: Job) -> int:
    return 0 if job.policy is None else job.policy.revision
