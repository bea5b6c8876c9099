"""A person pauses one run and resumes it; its policy stays as it is.

The pause stands in the run's row, and each batch looks at it under the row's lock
(`receipts.note`): once a pause is answered, nothing more goes.
"""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.services import append_change
from retention import receipts
from retention.models import PruneRun


class NotUnderWay(Conflict):
    """The run waits for a person's word, or has ended."""

    code = "not_under_way"
    title = "Only a run that is under way can be paused or resumed."


class NotPausable(Conflict):
    """The house's own rules are the plan's promise, and an erasure a user's right."""

    code = "not_pausable"
    title = "Only a run of a policy can be paused."


def pause_run(*, run: PruneRun, actor: Actor, reason: str, now: datetime) -> PruneRun:
    """Let a run delete nothing more until somebody resumes it.

    What is paused stays so. Raises NotPausable, NotUnderWay.
    """
    return _put(run, receipts.put_aside, "run.paused", actor, reason, now)


def resume_run(*, run: PruneRun, actor: Actor, reason: str, now: datetime) -> PruneRun:
    """Let a paused run go on, from the worker's next turn; one that goes on stays so.

    Raises NotPausable, NotUnderWay.
    """
    return _put(run, receipts.take_up, "run.resumed", actor, reason, now)


@transaction.atomic
def _put(
    run: PruneRun,
    change: Callable[[PruneRun], bool],
    action: str,
    actor: Actor,
    reason: str,
    now: datetime,
) -> PruneRun:
    if run.policy_id is None:
        raise NotPausable
    if change(run):
        target = run.public_id
        append_change(
            account=run.account,
            actor=actor,
            action=action,
            target=target,
            reason=reason,
            now=now,
        )
    elif run.state not in (PruneRun.State.RUNNING, PruneRun.State.PAUSED):
        raise NotUnderWay
    return run
