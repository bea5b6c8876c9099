"""A person's word for a run that waits: typed, so that nobody gives it by accident."""

from datetime import datetime

from django.db import transaction

from accounts.actors import Actor
from accounts.errors import Conflict, InvalidBody
from accounts.services import append_change
from policies.models import Policy
from retention import clocks, receipts
from retention.jobs import job_of
from retention.models import PruneRun
from retention.selectors import due_of
from retention.services import go_on_with

# What one request does of it; the worker does the rest.
AT_ONCE_SECONDS = 5.0


class NotWaiting(Conflict):
    """The run does not wait for anybody."""

    code = "not_waiting"
    title = "The run does not wait for a person."


def confirm_run(
    *, run: PruneRun, typed: str | int, actor: Actor, now: datetime
) -> PruneRun:
    """Let a run go on that waits, and begin with it at once.

    `typed` is the policy's name or the number of rows that are due, as the run says
    it. Raises NotWaiting, also where the policy was edited since the run counted, and
    InvalidBody if something else was typed, or if more rows are due by now.
    """
    if run.state != PruneRun.State.WAITING or _was_edited(run):
        raise NotWaiting
    word, name = str(typed).strip(), run.policy and run.policy.name.strip()
    if word != name:
        _count_again(run, now)
    if word not in (str(run.due), f"{run.due:,}", name):
        detail = f"must be the policy's name, or the number of rows that go: {run.due}"
        raise InvalidBody(errors=[{"pointer": "/confirm", "detail": detail}])
    with transaction.atomic():
        waited_for = run.waiting_for
        who = actor.label or actor.id
        if not receipts.confirm_waiting(run, by=who, now=now):
            raise NotWaiting
        if waited_for == PruneRun.Waiting.CLOCK:
            clocks.remember(now)
        append_change(
            account=run.account,
            actor=actor,
            action="run.confirmed",
            target=run.public_id,
            changes=[{"field": "due", "before": None, "after": run.due}],
            now=now,
        )
    return go_on_with(run, now=now, budget_seconds=AT_ONCE_SECONDS)


def _was_edited(run: PruneRun) -> bool:
    """Say whether the word would be for what the policy says no more."""
    policy = run.policy
    if policy is None:
        return False
    enforced = policy.rollout_mode == Policy.Rollout.ENFORCE
    stands = enforced and policy.archived_at is None
    return not stands or policy.revision != run.policy_revision


def _count_again(run: PruneRun, now: datetime) -> None:
    """Let the run say how many rows would go, if they have become more since."""
    if run.policy is None:
        return
    due, _ = due_of(job_of(run.policy, now).as_of(run.cutoff))
    if due > run.due:
        receipts.recount(run, due=due)
