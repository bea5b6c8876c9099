"""Writes of alerts, and the delivery of what the outbox holds.

An alert and its messages are written by whoever finds the crossing, in that
transaction; here they are handed over. Delivery is at least once: a message is claimed
under a lease, sent outside any transaction and then marked, so a crash between sending
and marking sends it again, with the same Message-ID (CONTRACT D2).
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

from anymail.exceptions import AnymailError
from django.db import connection, transaction
from django.db.models import F

from accounts import ids
from accounts.actors import Actor
from accounts.models import Account
from accounts.services import append_change
from alerts.mail import NobodyToTell, compose
from alerts.models import Alert, Delivery

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
FIRST_BACKOFF = timedelta(seconds=30)
MAX_ATTEMPTS = 8
_ERROR_MAX = 500

_CLAIM = """UPDATE alerts_delivery SET claimed_until = %(until)s WHERE id = (
SELECT id FROM alerts_delivery
WHERE state = 'pending' AND channel = 'email' AND next_attempt_at <= %(now)s
AND (claimed_until IS NULL OR claimed_until <= %(now)s)
ORDER BY next_attempt_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id"""

_RESOLVE = """UPDATE alerts_alert SET state = 'resolved', resolved_at = resets_at
WHERE id IN (SELECT id FROM alerts_alert
WHERE state <> 'resolved' AND resets_at <= %s AND counter = ''
ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)"""


def deliver_due(*, now: datetime, limit: int = 100, budget_seconds: float = 40) -> int:
    """Send the e-mails that are due; return how many were handed over.

    Any number of callers may run at once: each message is claimed by one of them. A
    failed one is tried again after 30 s, 60 s, 120 s … and given up after 8 attempts.
    """
    started = monotonic()
    sent = 0
    for _ in range(limit):
        passed = monotonic() - started
        if passed > budget_seconds:
            break
        moment = now + timedelta(seconds=passed)
        delivery = _claim(moment)
        if delivery is None:
            break
        sent += _deliver(delivery, moment)
    return sent


def _claim(moment: datetime) -> Delivery | None:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"until": moment + LEASE, "now": moment})
        row = cursor.fetchone()
    if row is None:
        return None
    return Delivery.objects.select_related("alert__account", "account").get(id=row[0])


def _deliver(delivery: Delivery, moment: datetime) -> bool:
    try:
        compose(delivery).send()
    # OSError covers sockets and SMTP, ValueError a header or address that no mail
    # can carry.
    except (OSError, AnymailError, ValueError, NobodyToTell) as error:
        _postpone(delivery, moment, error)
        return False
    pending = Delivery.objects.filter(id=delivery.id, state=Delivery.State.PENDING)
    pending.update(
        state=Delivery.State.SENT,
        attempts=F("attempts") + 1,
        sent_at=moment,
        claimed_until=None,
        last_error="",
    )
    return True


def _postpone(delivery: Delivery, moment: datetime, error: Exception) -> None:
    attempts = delivery.attempts + 1
    over = attempts >= MAX_ATTEMPTS
    state = Delivery.State.FAILED if over else Delivery.State.PENDING
    text = f"{type(error).__name__}: {error}".replace("\x00", "")
    # Only the claim that failed says so: not one that outlived its lease.
    claimed = Delivery.objects.filter(
        id=delivery.id,
        state=Delivery.State.PENDING,
        claimed_until=delivery.claimed_until,
    )
    claimed.update(
        state=state,
        attempts=attempts,
        next_attempt_at=moment + FIRST_BACKOFF * 2 ** (attempts - 1),
        claimed_until=None,
        last_error=text[:_ERROR_MAX],
    )
    log.warning("%s failed, attempt %d: %s", delivery.public_id, attempts, text)


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


@transaction.atomic
def resend(*, delivery: Delivery, actor: Actor, now: datetime) -> Delivery:
    """Put a message back into the outbox, due at once, with all its attempts."""
    Delivery.objects.filter(id=delivery.id).update(
        state=Delivery.State.PENDING,
        attempts=0,
        next_attempt_at=now,
        claimed_until=None,
        sent_at=None,
        last_error="",
    )
    append_change(
        account=delivery.account,
        actor=actor,
        action="delivery.resent",
        target=delivery.public_id,
        now=now,
    )
    delivery.refresh_from_db()
    return delivery


def resolve_alert(*, alert_id: UUID, now: datetime) -> bool:
    """Resolve one alert because its cause is over; say whether it was open."""
    open_one = Alert.objects.filter(id=alert_id).exclude(state=Alert.State.RESOLVED)
    return bool(open_one.update(state=Alert.State.RESOLVED, resolved_at=now))


def resolve_due(*, now: datetime, limit: int = 1_000) -> int:
    """Resolve alerts whose time is over and that no counter stands behind.

    Those of a counter are resolved where counters are known, because a rolling window
    ends only when enough has left it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RESOLVE, [now, limit])
        return cursor.rowcount
