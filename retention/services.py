"""Letting rows go. The promise: nothing younger than its age, or held, is ever deleted.

A run takes batches (`retention.batches`); each asks for age and holds again in the
statement that deletes. Counters, rollups and the digests of conversations are not
touched: deleting refunds nothing (CONTRACT E2, E3).

`retention.guard` says what waits for a person first, `retention.pace` how hard a run
may work, `retention.receipts` how it goes on after its budget or its worker ended.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from accounts.models import Account
from policies.models import Policy
from retention import guard, notices, receipts, targets
from retention.batches import (
    BUDGET_ROWS,
    BUDGET_SECONDS,
    Budget,
    Turn,
    take_batches,
)
from retention.jobs import Job, default_jobs, job_of
from retention.models import PruneRun
from retention.pace import FULL, GENTLE, Manner, counting
from retention.selectors import (
    due_of,
    enforced_policies,
    has_due,
    held_of,
    not_ready_of,
    total_of,
)
from usage.rollups import roll_up

log = logging.getLogger(__name__)

TOTAL_SECONDS = 45.0
# A run and the one after it, of what came of age while the first one went on.
_TURNS_TO_THE_END = 3


def prune_policy(
    *,
    policy: Policy,
    now: datetime,
    budget_rows: int | None = BUDGET_ROWS,
    budget_seconds: float | None = BUDGET_SECONDS,
    batch: int = FULL.most,
    trigger: str = "schedule",
    confirmed: bool = False,
    trusted: bool = True,
    manner: Manner = GENTLE,
) -> PruneRun | None:
    """Delete what a policy says is due, within the budget; return the receipt.

    None when there was nothing to do: no row is due, or the policy is off, archived
    or in shadow (which only previews). `confirmed` is a person's word and passes the
    guards; `trusted` says that the clock is where its witnesses have it.
    """
    enforced = policy.rollout_mode == Policy.Rollout.ENFORCE
    if policy.archived_at is not None or not enforced:
        return None
    if policy.type != Policy.Type.RETENTION:
        return None
    budget = Budget(budget_rows, budget_seconds, batch, manner)
    job = job_of(policy, now)
    return _prune(job, budget, trigger=trigger, confirmed=confirmed, trusted=trusted)


def prune_due(
    *,
    now: datetime,
    trigger: str = "schedule",
    to_the_end: bool = False,
    account: Account | None = None,
    witnesses: Sequence[datetime] = (),
    manner: Manner = GENTLE,
) -> list[PruneRun]:
    """Prune everything that is due, of one account or of all; return the receipts.

    `to_the_end` is a person's word: no budget, no guard. `witnesses` are what other
    clocks show; every run waits for a person when one differs by more than an hour.
    """
    trusted = guard.trusted(now, witnesses)
    if not trusted and not to_the_end:
        log.error("The clock shows %s, others %s.", now, [str(w) for w in witnesses])
    found: list[PruneRun] = []
    accounts = Account.objects.order_by("id")
    chosen = accounts if account is None else accounts.filter(id=account.id)
    started = monotonic()
    for one in chosen.iterator():
        left = None if to_the_end else TOTAL_SECONDS - (monotonic() - started)
        if left is not None and left <= 0:
            break
        seconds = None if left is None else min(left, BUDGET_SECONDS)
        rows = None if to_the_end else BUDGET_ROWS
        budget = Budget(rows, seconds, FULL.most, manner)
        found += _prune_account(
            one, now, budget, trigger=trigger, confirmed=to_the_end, trusted=trusted
        )
    return found


def go_on_with(
    run: PruneRun, *, now: datetime, budget_seconds: float | None = BUDGET_SECONDS
) -> PruneRun:
    """Go on with one open run that nothing stands in the way of."""
    for job in jobs_of(run.account, now):
        mine = (job.policy and job.policy.id, job.target_name)
        if mine == (run.policy_id, run.target) and job.revision == run.policy_revision:
            budget = Budget(seconds=budget_seconds)
            return _turn(Turn(job.as_of(run.cutoff), run, budget))
    receipts.stop(run, why="edited", now=now)
    return run


def jobs_of(account: Account, now: datetime) -> list[Job]:
    """Return every rule that deletes rows of an account: its own and the house's."""
    policies = list(enforced_policies(account))
    jobs = [job_of(policy, now) for policy in policies]
    return [*jobs, *default_jobs(account, policies, now)]


def _prune_account(
    account: Account,
    now: datetime,
    budget: Budget,
    *,
    trigger: str,
    confirmed: bool,
    trusted: bool,
) -> list[PruneRun]:
    jobs = jobs_of(account, now)
    receipts.stop_all_but(account, jobs, now)
    notices.settle_others(account=account, jobs=jobs, now=now)
    found: dict[UUID, PruneRun] = {}
    for job in jobs:
        for _ in range(_TURNS_TO_THE_END if confirmed else 1):
            run = _prune(
                job, budget, trigger=trigger, confirmed=confirmed, trusted=trusted
            )
            if run is None:
                break
            found[run.id] = run
            if run.state != PruneRun.State.COMPLETED:
                break
    return list(found.values())


def _prune(
    job: Job, budget: Budget, *, trigger: str, confirmed: bool, trusted: bool
) -> PruneRun | None:
    """Go on with the rule's open run, or begin one if anything is due."""
    run = receipts.open_run(job)
    if run is not None and run.policy_revision != job.revision:
        receipts.stop(run, why="edited", now=job.now)
        run = None
    if run is not None and run.is_put_aside:
        notices.say_overdue(job=job, now=job.now)
        return run
    waits = run is None or run.state == PruneRun.State.WAITING
    if waits and not has_due(job):
        if run is not None:
            receipts.stop(run, why="nothing is due", now=job.now)
        notices.settle(job=job, now=job.now)
        return None
    # A run that is under way waits as well while the clock is not trusted: by a wrong
    # one, legal holds would have ended.
    waits = waits or not (trusted or confirmed)
    if waits:
        with counting(budget.manner):
            run, why = _begin(job, run, trigger, confirmed=confirmed, trusted=trusted)
        if why:
            notices.say_waiting(job=job, run=run, now=job.now)
            notices.say_overdue(job=job, now=job.now)
            return run
    if run is None:
        return None
    if confirmed and run.confirmed_at is None:
        receipts.confirm(run, by=trigger, now=job.now)
    return _turn(Turn(job.as_of(run.cutoff), run, budget))


def _begin(
    job: Job, run: PruneRun | None, trigger: str, *, confirmed: bool, trusted: bool
) -> tuple[PruneRun, str]:
    """Open a run, or look at one that waits again; return it and what it waits for."""
    known = trusted and run is not None and run.confirmed_at is not None
    why = "" if confirmed or known else guard.must_wait(job, trusted=trusted)
    due, _ = due_of(job)
    facts: dict[str, Any] = {"due": due, "remaining": due, "held": held_of(job)}
    facts["total"] = total_of(job)
    if run is None:
        state = PruneRun.State.WAITING if why else PruneRun.State.RUNNING
        given = {"state": state, "waiting_for": why, **facts}
        run = receipts.begin(job, trigger=trigger, **given)
        # It may be another worker's, which was opened a moment ago.
        return run, run.waiting_for
    facts["cutoff"] = job.cutoff
    if why:
        receipts.wait(run, why=why, worked_at=job.now, **facts)
    else:
        receipts.go_on(run, now=job.now, **facts)
    return run, run.waiting_for


def _turn(turn: Turn) -> PruneRun:
    """Delete until the budget is used or nothing is left, and write down which."""
    job, run = turn.job, turn.run
    if not receipts.go_on(run, now=job.now):
        return run
    try:
        if job.target_name == targets.USAGE_EVENTS:
            roll_up(now=job.now)
        take_batches(turn)
        _close(turn)
    except DatabaseError:
        # One rule that fails must not keep the others from running.
        log.exception("Pruning %s of %s failed", job.target_name, job.account.slug)
        receipts.fail(run, ended=turn.ended)
    if run.state == PruneRun.State.COMPLETED:
        notices.say_completed(run=run, now=job.now)
        notices.settle(job=job, now=job.now)
    else:
        notices.say_overdue(job=job, now=job.now)
    return run


def _close(turn: Turn) -> None:
    job = turn.job
    skipped = {}
    with counting(turn.budget.manner):
        remaining = _left(turn)
        held = held_of(job) if turn.ran_dry else turn.run.held
        if remaining and turn.ran_dry:
            unready = not_ready_of(job)
            reasons = {"not rolled up": unready, "in use": remaining - unready}
            skipped = {why: count for why, count in reasons.items() if count > 0}
    receipts.close(
        turn.run, remaining=remaining, held=held, skipped=skipped, ended=turn.ended
    )


def _left(turn: Turn) -> int:
    """Return how many rows are left; about how many while the run is not at its end.

    Counting reads all that is due and all that is dead: the price of many batches, and
    calls feel it. So it is not done after each turn.
    """
    if turn.all_gone:
        return 0
    if not turn.ran_dry:
        turn.run.refresh_from_db(fields=["deleted"])
        gone = turn.run.deleted.get(turn.job.target.erased[0], 0)
        if gone < turn.run.due:
            return turn.run.due - gone
    return due_of(turn.job)[0]
