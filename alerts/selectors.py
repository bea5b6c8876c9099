"""Reads of alerts and of the outbox."""

from datetime import datetime

from django.db.models import Min, Q, QuerySet

from accounts import ids
from accounts.errors import NotFound
from accounts.models import Account
from alerts.models import Alert, Delivery


def alerts(account: Account, state: str | None = None) -> QuerySet[Alert]:
    """Return the alerts, newest first; only those in a state if it is named."""
    found = Alert.objects.filter(account=account)
    if state is not None:
        found = found.filter(state=state)
    return found.order_by("-created_at", "-id")


def open_alerts(account: Account) -> QuerySet[Alert]:
    """Return the alerts that are not resolved, newest first."""
    return alerts(account).exclude(state=Alert.State.RESOLVED)


def alert_of(account: Account, public_id: str) -> Alert:
    """Return one alert. Raises NotFound."""
    try:
        wanted = ids.decode_id(Alert.prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = Alert.objects.filter(account=account, id=wanted).first()
    if found is None:
        raise NotFound
    return found


def deliveries(account: Account, alert: Alert | None = None) -> QuerySet[Delivery]:
    """Return the messages sent or to be sent, newest first."""
    found = Delivery.objects.filter(account=account).select_related("alert")
    if alert is not None:
        found = found.filter(alert=alert)
    return found.order_by("-id")


def delivery_of(account: Account, public_id: str) -> Delivery:
    """Return one delivery with its alert. Raises NotFound."""
    try:
        wanted = ids.decode_id(Delivery.prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = deliveries(account).filter(id=wanted).first()
    if found is None:
        raise NotFound
    return found


def outbox_lag(now: datetime) -> float:
    """Return for how many seconds the oldest due message has been waiting."""
    due = Q(state=Delivery.State.PENDING, next_attempt_at__lte=now)
    oldest = Delivery.objects.filter(due).aggregate(at=Min("next_attempt_at"))["at"]
    return 0.0 if oldest is None else (now - oldest).total_seconds()
