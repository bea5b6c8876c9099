"""Writes of alerts, endpoints and recipients, and delivery of what the outbox holds.

An alert and its messages are written by whoever finds the crossing, in that
transaction; here they are handed over, at least once, each under an id that stays the
same at every attempt (CONTRACT D2).
"""

from datetime import datetime

from django.db import transaction

from accounts.actors import Actor
from accounts.services import append_change
from alerts.models import Delivery
from alerts.services.endpoints import (
    create_webhook,
    delete_webhook,
    redeliver,
    rotate_secret,
    send_test,
    update_webhook,
)
from alerts.services.mailing import deliver_due
from alerts.services.opening import (
    acknowledge,
    open_alert,
    resolve_alert,
    resolve_counters,
    resolve_due,
    resolve_policy,
)
from alerts.services.posting import post_due
from alerts.services.snoozing import snooze, wake
from alerts.services.telling import (
    announce_due,
    dispatch_due,
    forget_told,
    listeners,
    tell,
)

__all__ = [
    "acknowledge",
    "announce_due",
    "create_webhook",
    "delete_webhook",
    "deliver_due",
    "dispatch_due",
    "forget_told",
    "listeners",
    "open_alert",
    "post_due",
    "redeliver",
    "resend",
    "resolve_alert",
    "resolve_counters",
    "resolve_due",
    "resolve_policy",
    "rotate_secret",
    "send_test",
    "snooze",
    "tell",
    "update_webhook",
    "wake",
]


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
        digest=None,
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
