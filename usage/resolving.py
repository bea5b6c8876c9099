"""Alerts that a person's act ends: a reset, a raised threshold, a policy put aside.

What time ends is in `usage.upkeep`.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from accounts.actors import Actor
from accounts.models import ChangeRecord
from alerts import event_types, wording
from alerts.models import Alert
from alerts.services import resolve_alert, resolve_counters, resolve_policy, tell
from policies.models import Policy
from policies.rules import UsageRule
from policies.selectors import rule_of
from usage.models import Counter
from usage.upkeep import below_their_step

_OF_A_LIMIT = (wording.LIMIT, wording.FORECAST)


def after_reset(
    *,
    policy: Policy,
    counters: Iterable[UUID],
    change: ChangeRecord,
    actor: Actor,
    now: datetime,
) -> None:
    """Resolve what was told of emptied counters, and tell that somebody emptied them.

    Belongs into the reset's transaction.
    """
    emptied = list(counters)
    resolve_counters(account=policy.account, counters=emptied, now=now)
    tell(
        account=policy.account,
        event_type=event_types.POLICY_RESET,
        key=change.public_id,
        data={
            "policy_id": policy.public_id,
            "policy_name": policy.name,
            "account": policy.account.public_id,
            "action": change.action,
            "counters": len(emptied),
            "reason": change.reason,
            "by": actor.label or actor.id,
        },
        now=now,
    )


def after_edit(*, policy: Policy, before: UsageRule | None, now: datetime) -> int:
    """Resolve the alerts that an edit has made untrue; return how many.

    Their limit is gone, or was raised so that less than their step is used. Belongs
    into the edit's transaction.
    """
    if policy.rollout_mode == Policy.Rollout.OFF or policy.archived_at is not None:
        return resolve_policy(
            account=policy.account,
            policy_id=policy.public_id,
            kinds=_OF_A_LIMIT,
            now=now,
        )
    old = {limit.key: limit.threshold for limit in before.limits} if before else {}
    kept = {limit.key: limit.threshold for limit in rule_of(policy).limits}
    eased = [key for key, was in old.items() if kept.get(key, was + 1) > was]
    rows = Counter.objects.filter(policy=policy, limit_key__in=eased)
    counters = {str(counter): counter for counter in rows.values_list("id", flat=True)}
    told = Alert.objects.filter(account=policy.account, counter__in=counters)
    told = told.filter(kind__in=_OF_A_LIMIT).exclude(state=Alert.State.RESOLVED)
    asked = [(each.id, each.step, counters[each.counter]) for each in told]
    over = below_their_step(asked, now)
    return sum(resolve_alert(alert_id=alert, now=now) for alert in over)
