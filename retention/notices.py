"""What is told when pruning waits or falls behind: loudly, once (CONTRACT E2)."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import Account
from alerts.bodies import moment
from alerts.event_types import RETENTION_RUN_COMPLETED
from alerts.models import Alert
from alerts.services import open_alert, tell
from retention.jobs import Job
from retention.models import PruneRun
from retention.selectors import OVERDUE_AFTER, has_due_since

PAUSED = "retention_paused"
OVERDUE = "retention_overdue"
_OWNERS = (("email", ""),)
_WHY = {
    PruneRun.Waiting.SHARE: (
        "would delete {due:,} of {total:,} rows at once, more than a fifth of what the"
        " account has"
    ),
    PruneRun.Waiting.CLOCK: (
        "would delete {due:,} rows, but the clock is over an hour from where it should"
        " be"
    ),
}


def say_waiting(*, job: Job, run: PruneRun, now: datetime) -> Alert | None:
    """Tell the owners, once for each run, that it waits for them."""
    if run.is_put_aside:
        return None
    why = _WHY[PruneRun.Waiting(run.waiting_for)].format(due=run.due, total=run.total)
    return open_alert(
        account=job.account,
        kind=PAUSED,
        **_of(job),
        window_start=run.started_at,
        message=(
            f"{_named(job)} {why}. The run {run.public_id} waits until somebody"
            " confirms it, on the page of retention, through the API or with"
            " `manage.py prune --confirm`."
        ),
        recipients=_OWNERS,
        now=now,
    )


def say_overdue(*, job: Job, now: datetime) -> Alert | None:
    """Tell the owners that rows should have gone a day ago; once until they have."""
    since = now - OVERDUE_AFTER
    # Nothing was due under this revision before the policy was written so.
    if job.policy is not None and job.policy.updated_at > since:
        return None
    if _open(job).filter(kind=OVERDUE).exists() or not has_due_since(job, since):
        return None
    return open_alert(
        account=job.account,
        kind=OVERDUE,
        **_of(job),
        window_start=now,
        message=(
            f"Rows that {_named(job, inside=True)} should have deleted have been"
            " waiting for more than 24 hours."
        ),
        recipients=_OWNERS,
        now=now,
    )


def say_completed(*, run: PruneRun, now: datetime) -> bool:
    """Tell the endpoints that want to know of a run that ended; once for each."""
    return tell(
        account=run.account,
        event_type=RETENTION_RUN_COMPLETED,
        key=str(run.id),
        data={
            "id": run.public_id,
            "account": run.account.public_id,
            "policy_id": None if run.policy is None else run.policy.public_id,
            "policy_revision": run.policy_revision,
            "target": run.target,
            "state": run.state,
            "deleted": run.deleted,
            "held": run.held,
            "finished_at": moment(run.finished_at),
        },
        now=now,
    )


def settle(*, job: Job, now: datetime) -> int:
    """Resolve what was told about a rule that has nothing left to delete."""
    told = _open(job).filter(kind__in=[PAUSED, OVERDUE])
    return told.update(state=Alert.State.RESOLVED, resolved_at=now)


def settle_others(*, account: Account, jobs: Sequence[Job], now: datetime) -> int:
    """Resolve what was told of runs that wait no more and of rules that are no more."""
    told = Alert.objects.filter(account=account).exclude(state=Alert.State.RESOLVED)
    waiting = PruneRun.objects.filter(account=account, state=PruneRun.State.WAITING)
    paused = Q(kind=PAUSED) & ~Q(window_start__in=waiting.values("started_at"))
    rules = {_of(job)["policy_id"] for job in jobs}
    overdue = Q(kind=OVERDUE) & ~Q(policy_id__in=rules)
    ended = told.filter(paused | overdue)
    return ended.update(state=Alert.State.RESOLVED, resolved_at=now)


def _of(job: Job) -> dict[str, str]:
    """Return what tells the alerts of a rule from others."""
    if job.policy is None:
        return {"policy_id": "", "policy_name": f"House rule: {job.target_name}"}
    return {"policy_id": job.policy.public_id, "policy_name": job.policy.name}


def _named(job: Job, *, inside: bool = False) -> str:
    if job.policy is not None:
        return f"{'the' if inside else 'The'} policy “{job.policy.name}”"
    return f"{'the' if inside else 'The'} house's rule for {job.target_name}"


def _open(job: Job) -> QuerySet[Alert]:
    facts = _of(job)
    mine = Q(account=job.account, policy_id=facts["policy_id"])
    if job.policy is None:
        mine &= Q(policy_name=facts["policy_name"])
    return Alert.objects.filter(mine).exclude(state=Alert.State.RESOLVED)
