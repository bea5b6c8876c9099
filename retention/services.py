"""Letting rows go. The promise: nothing younger than its age is ever deleted.

A run takes batches. Each batch is one transaction: it makes sure that the policy still
says so, locks due rows (skipping those that somebody works on), deletes them asking for
their age again, and notes them on the receipt. Counters, rollups and the digests of
conversations are not touched: deleting refunds nothing (CONTRACT E2, E3).

Two guards stand before a run that nobody asked for. The clock: if it is an hour from
where another witness has it, nothing is deleted. The share: what was due the moment a
policy was written or edited must not be over 20 % of the account's rows, else the run
waits until a person confirms it. What comes of age later is what the policy is for.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from django.db import DatabaseError, connection, transaction

from accounts.models import Account
from policies.models import Policy
from retention import cutoff, notices, targets
from retention.jobs import Job, default_jobs, job_of
from retention.models import PruneRun
from retention.receipts import Receipt, close_broken
from retention.selectors import due_of, enforced_policies, has_due, total_of
from usage.rollups import roll_up

log = logging.getLogger(__name__)

BUDGET_ROWS = 20_000
BUDGET_SECONDS = 20.0
TOTAL_SECONDS = 45.0
BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one run may do; None is as much as there is."""

    rows: int | None = BUDGET_ROWS
    seconds: float | None = BUDGET_SECONDS
    batch: int = BATCH


def prune_policy(
    *,
    policy: Policy,
    now: datetime,
    budget_rows: int | None = BUDGET_ROWS,
    budget_seconds: float | None = BUDGET_SECONDS,
    batch: int = BATCH,
    trigger: str = "schedule",
    confirmed: bool = False,
) -> PruneRun | None:
    """Delete what a policy says is due, within the budget; return the receipt.

    None when there was nothing to do: no row is due, or the policy is off, archived
    or in shadow (which only previews). `confirmed` passes the guard of 20 %.
    """
    enforced = policy.rollout_mode == Policy.Rollout.ENFORCE
    if policy.archived_at is not None or not enforced:
        return None
    if policy.type != Policy.Type.RETENTION:
        return None
    job = job_of(policy, now)
    budget = Budget(budget_rows, budget_seconds, batch)
    if not has_due(job):
        notices.settle(policy=policy, now=now)
        return None
    receipt = Receipt(job, trigger, now)
    if not confirmed and _over_guard(job, policy):
        due, _ = due_of(job)
        run = receipt.wait(remaining=due)
        notices.say_paused(policy=policy, due=due, now=now)
    else:
        run = _run(job, receipt, budget)
    if run.state == PruneRun.State.COMPLETED:
        notices.settle(policy=policy, now=now)
    else:
        notices.say_overdue(job=job, oldest=due_of(job)[1], now=now)
    return run


def prune_due(
    *,
    now: datetime,
    trigger: str = "schedule",
    to_the_end: bool = False,
    account: Account | None = None,
    witnesses: Sequence[datetime] = (),
) -> list[PruneRun]:
    """Prune everything that is due, of one account or of all; return the receipts.

    `to_the_end` is a person's word: no budget, no guard of 20 %. `witnesses` are what
    other clocks show; nothing is deleted when one differs by more than an hour.
    """
    for witness in witnesses:
        if cutoff.clock_jumped(witness, now):
            log.error(
                "Nothing is pruned: the clock shows %s, another one %s. Set the clock,"
                " restart the worker, or run `manage.py prune --confirm`.",
                now.isoformat(),
                witness.isoformat(),
            )
            return []
    close_broken(now)
    found = []
    accounts = Account.objects.order_by("id")
    chosen = accounts if account is None else accounts.filter(id=account.id)
    started = monotonic()
    for one in chosen.iterator():
        left = None if to_the_end else TOTAL_SECONDS - (monotonic() - started)
        if left is not None and left <= 0:
            break
        found += _prune_account(one, now, trigger, to_the_end, left)
    return found


def _prune_account(
    account: Account, now: datetime, trigger: str, to_the_end: bool, left: float | None
) -> list[PruneRun]:
    policies = list(enforced_policies(account))
    budget = Budget(None, None) if to_the_end else Budget(seconds=_share(left))
    runs = [
        prune_policy(
            policy=policy,
            now=now,
            budget_rows=budget.rows,
            budget_seconds=budget.seconds,
            trigger=trigger,
            confirmed=to_the_end,
        )
        for policy in policies
    ]
    runs += [
        _run(job, Receipt(job, trigger, now), budget)
        for job in default_jobs(account, policies, now)
        if has_due(job)
    ]
    return [run for run in runs if run is not None]


def _share(left: float | None) -> float | None:
    return None if left is None else min(left, BUDGET_SECONDS)


def _over_guard(job: Job, policy: Policy) -> bool:
    """Say whether an edit made more due at once than anybody should overlook."""
    at_the_edit = cutoff.cutoff(now=policy.updated_at, max_age_days=job.max_age_days)
    backlog, _ = due_of(job, min(job.cutoff, at_the_edit))
    return backlog > 0 and cutoff.over_guard(due=backlog, total=total_of(job))


def _run(job: Job, receipt: Receipt, budget: Budget) -> PruneRun:
    started = monotonic()
    try:
        if job.target_name == targets.USAGE_EVENTS:
            roll_up(now=receipt.now)
        _take_batches(job, receipt, budget, started)
        remaining = due_of(job)[0]
    except DatabaseError:
        # One rule that fails must not keep the others from running.
        log.exception("Pruning %s of %s failed", job.target_name, job.account.slug)
        return receipt.fail(ended=_after(receipt.now, started))
    return receipt.close(remaining=remaining, ended=_after(receipt.now, started))


def _take_batches(job: Job, receipt: Receipt, budget: Budget, started: float) -> None:
    rows = 0
    while _has_time(budget, started):
        size = budget.batch
        if budget.rows is not None:
            size = min(size, budget.rows - rows)
        if size <= 0:
            break
        taken, gone = _prune_batch(job, receipt, size)
        rows += gone
        if taken < size:
            break


def _after(now: datetime, started: float) -> datetime:
    return now + timedelta(seconds=monotonic() - started)


def _has_time(budget: Budget, started: float) -> bool:
    return budget.seconds is None or monotonic() - started < budget.seconds


@transaction.atomic
def _prune_batch(job: Job, receipt: Receipt, size: int) -> tuple[int, int]:
    """Delete one batch; return how many rows were locked and how many deleted."""
    if not _still_says_so(job.policy):
        return 0, 0
    target = job.target
    with connection.cursor() as cursor:
        sql = targets.lock_batch(target, job.within)
        cursor.execute(sql, job.parameters(batch=size))
        locked = [row[0] for row in cursor.fetchall()]
        if not locked:
            return 0, 0
        gone: list[UUID] = locked
        counts = {}
        for table, sql in target.erase:
            cursor.execute(sql, job.parameters(ids=gone))
            if cursor.description is not None:
                gone = sorted(row[0] for row in cursor.fetchall())
            counts[table] = cursor.rowcount
    receipt.add(counts, gone)
    return len(locked), len(gone)


def _still_says_so(policy: Policy | None) -> bool:
    """Hold the policy still for this batch; False if it was edited meanwhile."""
    if policy is None:
        return True
    same = Policy.objects.filter(
        id=policy.id,
        revision=policy.revision,
        rollout_mode=Policy.Rollout.ENFORCE,
        archived_at=None,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM policies_policy WHERE id = %s FOR SHARE", [policy.id]
        )
    return same.exists()
