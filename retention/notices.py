"""What is told when pruning waits or falls behind: loudly, once (CONTRACT E2)."""

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from alerts.models import Alert
from alerts.services import open_alert
from policies.models import Policy
from retention.jobs import Job

PAUSED = "retention_paused"
OVERDUE = "retention_overdue"
OVERDUE_AFTER = timedelta(hours=24)
_OWNERS = (("email", ""),)


def say_paused(*, policy: Policy, due: int, now: datetime) -> Alert | None:
    """Tell the owners, once for each edit, that a run waits for them."""
    return open_alert(
        account=policy.account,
        kind=PAUSED,
        policy_id=policy.public_id,
        policy_name=policy.name,
        window_start=policy.updated_at,
        message=(
            f"The policy “{policy.name}” would delete {due:,} rows at once, more than"
            " a fifth of what the account has. It waits until somebody confirms it"
            " with `manage.py prune --confirm`."
        ),
        recipients=_OWNERS,
        now=now,
    )


def say_overdue(*, job: Job, oldest: datetime | None, now: datetime) -> Alert | None:
    """Tell the owners that rows should have gone a day ago; once until they have."""
    policy = job.policy
    if policy is None or oldest is None:
        return None
    # Nothing was due under this revision before the policy was written so.
    since = max(oldest + timedelta(days=job.max_age_days), policy.updated_at)
    if now - since < OVERDUE_AFTER or _open(policy).filter(kind=OVERDUE).exists():
        return None
    return open_alert(
        account=policy.account,
        kind=OVERDUE,
        policy_id=policy.public_id,
        policy_name=policy.name,
        window_start=now,
        message=(
            f"Rows that the policy “{policy.name}” should have deleted have been"
            " waiting for more than 24 hours."
        ),
        recipients=_OWNERS,
        now=now,
    )


def settle(*, policy: Policy, now: datetime) -> int:
    """Resolve what was told about a policy that has nothing left to delete."""
    told = _open(policy).filter(kind__in=[PAUSED, OVERDUE])
    return told.update(state=Alert.State.RESOLVED, resolved_at=now)


def _open(policy: Policy) -> QuerySet[Alert]:
    mine = Q(account_id=policy.account_id, policy_id=policy.public_id)
    return Alert.objects.filter(mine).exclude(state=Alert.State.RESOLVED)
