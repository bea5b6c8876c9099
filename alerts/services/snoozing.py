"""Putting an alert aside until a moment.

Only that one is put aside. Another window, or another step of the same one, opens an
alert of its own (CONTRACT D1), so nothing new hides behind one that sleeps. Nothing has
to happen for it to come back: it is open again when its moment has come.
"""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from accounts.actors import Actor
from accounts.errors import AlertNotOpen, InvalidBody
from accounts.services import append_change
from alerts.models import Alert

LONGEST: Final = timedelta(days=90)


@transaction.atomic
def snooze(*, alert: Alert, until: datetime, actor: Actor, now: datetime) -> Alert:
    """Put an open alert aside until a moment, or until another one than before.

    Raises InvalidBody unless the moment lies within the next 90 days, and AlertNotOpen
    for an alert that is acknowledged or resolved.
    """
    if not now < until <= now + LONGEST:
        detail = "must be a moment within the next 90 days"
        raise InvalidBody(errors=[{"pointer": "/until", "detail": detail}])
    fresh = _open_one(alert)
    label = actor.label or actor.id
    _put(fresh, until, label, action="alert.snoozed", actor=actor, now=now)
    return fresh


@transaction.atomic
def wake(*, alert: Alert, actor: Actor, now: datetime) -> Alert:
    """Bring a snoozed alert back at once; one that is not snoozed stays as it is.

    Raises AlertNotOpen as `snooze` does.
    """
    fresh = _open_one(alert)
    if fresh.snoozed_until is not None and fresh.snoozed_until > now:
        _put(fresh, None, "", action="alert.woken", actor=actor, now=now)
    return fresh


def _open_one(alert: Alert) -> Alert:
    fresh = Alert.objects.select_for_update().get(id=alert.id)
    if fresh.acknowledged_at is not None:
        raise AlertNotOpen("Somebody has acknowledged this alert already.")
    if fresh.state == Alert.State.RESOLVED:
        raise AlertNotOpen("This alert is resolved already.")
    return fresh


def _put(
    alert: Alert,
    until: datetime | None,
    label: str,
    *,
    action: str,
    actor: Actor,
    now: datetime,
) -> None:
    before = alert.snoozed_until
    if before == until:
        return
    alert.snoozed_until, alert.snoozed_by = until, label
    alert.save(update_fields=["snoozed_until", "snoozed_by"])
    change = {"field": "snoozed_until", "before": _text(before), "after": _text(until)}
    append_change(
        account=alert.account,
        actor=actor,
        action=action,
        target=alert.public_id,
        changes=[change],
        now=now,
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
