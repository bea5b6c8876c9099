"""The receipt of a run, written with the rows it tells of: a kill leaves it true.

A rule has one open run at a time. Whoever prunes next, after a budget was used up or a
worker died, goes on with it; workers that prune at once share it. Deletions are noted
in the transaction that deletes, so what is on the receipt is what is gone.

The digest is a sum: of the SHA-256 of each id, as numbers, modulo 2**256. Whatever the
batches were and whoever took them, the same rows give the same digest, so who has the
rows of a backup can compute it again; nobody can read an id from it.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet

from accounts import ids
from accounts.models import Account
from retention.jobs import Job
from retention.models import PruneRun

State = PruneRun.State
OPEN = (State.WAITING, State.RUNNING, State.PAUSED)
_OPEN = Q(state__in=OPEN)
_RESUME = PruneRun.Waiting.RESUME
# A rule that failed is tried again on the same receipt for as long.
_SAME_FAILURE = timedelta(days=1)
_MODULUS = 2**256

# Not by the ORM: a small batch would spend a third of its time there.
_LOCK = """SELECT waiting_for = %s AND state = %s, deleted, digest
FROM retention_prunerun WHERE id = %s FOR UPDATE"""
_NOTE = """UPDATE retention_prunerun SET deleted = %s, digest = %s,
worked_seconds = worked_seconds + %s WHERE id = %s"""


def open_run(job: Job) -> PruneRun | None:
    """Return the run of a rule that has not ended."""
    return _open_runs(job.account).filter(**_of(job)).first()


def begin(job: Job, *, trigger: str, **facts: Any) -> PruneRun:
    """Open the run of a rule, or return the one that another worker has opened.

    `facts` are further columns, such as `due` and `total`.
    """
    again = _failed_before(job)
    if again is not None:
        return again
    while True:
        run = PruneRun(
            **_of(job),
            id=ids.new_id(job.now),
            policy_revision=job.revision,
            cutoff=job.cutoff,
            trigger=trigger,
            started_at=job.now,
            worked_at=job.now,
            **facts,
        )
        try:
            with transaction.atomic():
                run.save(force_insert=True)
        except IntegrityError as error:
            if "run_open_once_for_each_rule" not in str(error):
                raise
        else:
            return run
        found = open_run(job)
        if found is not None:
            return found
        # It has ended since: then there is room for another one.


def note(run: PruneRun, counts: Mapping[str, int], gone: bytes, *, took: float) -> bool:
    """Note a batch, in the transaction that deletes it; `gone`: its ids, 16 bytes each.

    The receipt is locked from here to the end of the transaction, for a moment. False
    if a person paused the run meanwhile: then the batch must not be.
    """
    added = digest_of(gone)
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [_RESUME, State.PAUSED, run.id])
        put_aside, known, digest = cursor.fetchone()
        if put_aside:
            return False
        deleted = json.loads(known)
        for table, count in counts.items():
            deleted[table] = deleted.get(table, 0) + count
        digest = f"{(int(digest or '0', 16) + added) % _MODULUS:064x}"
        cursor.execute(_NOTE, [json.dumps(deleted), digest, took, run.id])
    return True


def digest_of(gone: bytes) -> int:
    """Return what some ids of 16 bytes each add to a digest."""
    each = (sha256(gone[at : at + 16]).digest() for at in range(0, len(gone), 16))
    return sum(int.from_bytes(one, "big") for one in each)


def go_on(run: PruneRun, *, now: datetime, **facts: Any) -> bool:
    """Go on with an open run; False if it ended meanwhile, or a person paused it."""
    return _drive(run, state=State.RUNNING, waiting_for="", worked_at=now, **facts)


def wait(run: PruneRun, *, why: str, **facts: Any) -> bool:
    """Say that a run waits for a person, unless its state changed since it was read."""
    return _drive(
        run, Q(state=run.state), state=State.WAITING, waiting_for=why, **facts
    )


def recount(run: PruneRun, *, due: int) -> bool:
    """Note on a run that waits that more rows are due than it said."""
    return _replace(run, Q(state=State.WAITING), due=due, remaining=due)


def confirm(run: PruneRun, *, by: str, now: datetime) -> bool:
    """Note a person's word for an open run."""
    return _drive(run, **_confirmed(by, now))


def confirm_waiting(run: PruneRun, *, by: str, now: datetime) -> bool:
    """Note a person's word for a run that waits; False if it does not any more."""
    return _replace(run, Q(state=State.WAITING), **_confirmed(by, now))


def _confirmed(by: str, now: datetime) -> dict[str, Any]:
    word = {"confirmed_at": now, "confirmed_by": by[:300]}
    return {"state": State.RUNNING, "waiting_for": "", **word}


def put_aside(run: PruneRun) -> bool:
    """Note that a person paused a run that is under way; False if it is not."""
    under_way = Q(state__in=(State.RUNNING, State.PAUSED), waiting_for="")
    return _replace(run, under_way, state=State.PAUSED, waiting_for=_RESUME)


def take_up(run: PruneRun) -> bool:
    """Note that a person resumed a run that one paused; False if none did."""
    return _replace(run, Q(state=State.PAUSED, waiting_for=_RESUME), waiting_for="")


def close(
    run: PruneRun,
    *,
    remaining: int,
    held: int,
    skipped: Mapping[str, int],
    ended: datetime,
) -> bool:
    """End a turn: the run is completed if nothing is left, else it goes on later."""
    done = not remaining
    state = {"state": State.COMPLETED, "waiting_for": ""}
    return _change(
        run,
        **(state if done else {"state": State.PAUSED}),
        remaining=remaining,
        held=held,
        skipped=dict(skipped),
        worked_at=ended,
        finished_at=ended if done else None,
    )


def pause(run: PruneRun, *, ended: datetime) -> bool:
    """End a turn whose time was used before all was done."""
    return _change(run, state=State.PAUSED, worked_at=ended)


def fail(run: PruneRun, *, ended: datetime) -> bool:
    """End a run that broke off. What is on record of it was deleted, no more.

    One that a person paused stays so, lest it be tried again.
    """
    return _drive(run, state=State.FAILED, worked_at=ended, finished_at=ended)


def stop(run: PruneRun, *, why: str, now: datetime) -> bool:
    """End a run whose rule is not what it was any more."""
    skipped = {**run.skipped, why: max(run.remaining, 1)}
    return _change(run, state=State.STOPPED, skipped=skipped, finished_at=now)


def stop_all_but(account: Account, jobs: Sequence[Job], now: datetime) -> int:
    """Stop the account's runs whose policy was edited, archived or switched off."""
    said = {(job.policy and job.policy.id, job.target_name): job for job in jobs}
    stopped = 0
    for run in _open_runs(account):
        job = said.get((run.policy_id, run.target))
        if job is None or job.revision != run.policy_revision:
            stopped += stop(run, why="edited", now=now)
    return stopped


def _of(job: Job) -> dict[str, Any]:
    """Return what tells the runs of a rule from others."""
    return {"account": job.account, "policy": job.policy, "target": job.target_name}


def _open_runs(account: Account) -> QuerySet[PruneRun]:
    runs = PruneRun.objects.filter(account=account, state__in=OPEN, subject="")
    return runs.order_by("-id")


def _failed_before(job: Job) -> PruneRun | None:
    """Open a failed run of the same rule again, so that a fault leaves one receipt."""
    last = PruneRun.objects.filter(**_of(job), subject="").order_by("-id").first()
    if last is None or last.state != State.FAILED:
        return None
    if last.policy_revision != job.revision:
        return None
    if job.now - last.started_at > _SAME_FAILURE:
        return None
    try:
        with transaction.atomic():
            failed = PruneRun.objects.filter(id=last.id, state=State.FAILED)
            failed.update(state=State.RUNNING, finished_at=None, cutoff=job.cutoff)
    except IntegrityError:
        return open_run(job)
    last.refresh_from_db()
    return last


def _change(run: PruneRun, **values: Any) -> bool:
    """Change an open run; False, and nothing, if it has ended."""
    return _replace(run, _OPEN, **values)


def _drive(run: PruneRun, known: Q = _OPEN, **values: Any) -> bool:
    """Change an open run that no person paused; False, and nothing, otherwise."""
    return _replace(run, known & _OPEN & ~Q(waiting_for=_RESUME), **values)


def _replace(run: PruneRun, known: Q, **values: Any) -> bool:
    """Change a run if it is as it is known to be, and read what it is now."""
    changed = bool(PruneRun.objects.filter(known, id=run.id).update(**values))
    run.refresh_from_db()
    return changed
