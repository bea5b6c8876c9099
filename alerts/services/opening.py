"""Alerts open once, are seen by somebody, and resolve."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from accounts import ids
from accounts.actors import Actor
from accounts.models import Account
from accounts.services import append_change
from alerts.models import Alert, Delivery

_RESOLVE = """UPDATE alerts_alert SET state = 'resolved', resolved_at = resets_at
WHERE id IN (SELECT id FROM alerts_alert
WHERE state <> 'resolved' AND resets_at <= %s
AND (counter = '' OR kind NOT IN ('limit', 'forecast'))
ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)"""


@transaction.atomic
def open_alert(
    *,
    account: Account,
    kind: str,
    policy_id: str,
    window_start: datetime,
    message: str,
    recipients: Sequence[tuple[str, str]],
    now: datetime,
    **facts: Any,
) -> Alert | None:
    """Open an alert with its messages, once; None if it is open or was before.

    `recipients` are (channel, recipient) pairs; an empty recipient is the owners.
    `facts` are further columns of the alert, such as `counter`, `step`, `resets_at`.
    """
    alert = Alert(
        id=ids.new_id(now),
        account=account,
        kind=kind,
        policy_id=policy_id,
        window_start=window_start,
        message=message,
        created_at=now,
        **facts,
    )
    # The constraint says whether this alert is new; whoever comes second writes none.
    Alert.objects.bulk_create([alert], ignore_conflicts=True)
    if not Alert.objects.filter(id=alert.id).exists():
        return None
    Delivery.objects.bulk_create(
        Delivery(
            id=ids.new_id(now),
            account=account,
            alert=alert,
            channel=channel,
            recipient=recipient,
            next_attempt_at=now,
            created_at=now,
        )
        for channel, recipient in dict.fromkeys(recipients)
    )
    return alert


@transaction.atomic
def acknowledge(*, alert: Alert, actor: Actor, now: datetime) -> Alert:
    """Note that somebody has seen an alert; the first one stays on record."""
    fresh = Alert.objects.filter(id=alert.id, acknowledged_at=None)
    if fresh.update(acknowledged_at=now, acknowledged_by=actor.label or actor.id):
        append_change(
            account=alert.account,
            actor=actor,
            action="alert.acknowledged",
            target=alert.public_id,
            now=now,
        )
    alert.refresh_from_db()
    return alert


def resolve_alert(*, alert_id: UUID, now: datetime) -> bool:
    """Resolve one alert because its cause is over; say whether it was open."""
    open_one = Alert.objects.filter(id=alert_id).exclude(state=Alert.State.RESOLVED)
    return bool(open_one.update(state=Alert.State.RESOLVED, resolved_at=now))


def resolve_counters(
    *, account: Account, counters: Iterable[UUID | str], now: datetime
) -> int:
    """Resolve what was told of counters that somebody emptied; return how many.

    A counter may be an endpoint's id, which stands for it in an alert about that.
    Belongs into the transaction of the reset, the clear or the edit.
    """
    named = [str(counter) for counter in counters]
    open_ones = Alert.objects.filter(account=account, counter__in=named)
    open_ones = open_ones.exclude(state=Alert.State.RESOLVED)
    return open_ones.update(state=Alert.State.RESOLVED, resolved_at=now)


def resolve_policy(
    *, account: Account, policy_id: str, kinds: Iterable[str], now: datetime
) -> int:
    """Resolve open alerts of some kinds about a policy; return how many."""
    open_ones = Alert.objects.filter(
        account=account, policy_id=policy_id, kind__in=list(kinds)
    ).exclude(state=Alert.State.RESOLVED)
    return open_ones.update(state=Alert.State.RESOLVED, resolved_at=now)


def resolve_due(*, now: datetime, limit: int = 1_000) -> int:
    """Resolve alerts whose time is over and that no counter stands behind.

    Those of a counter are resolved where counters are known, because a rolling window
    ends only when enough has left it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RESOLVE, [now, limit])
        return cursor.rowcount
