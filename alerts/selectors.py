"""Reads of alerts, of the outbox and of endpoints."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Lower

from accounts import ids
from accounts.errors import NotFound
from accounts.models import Account
from alerts.models import (
    Alert,
    Delivery,
    Notice,
    Recipient,
    Undeliverable,
    Webhook,
)


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


def outbox_of(account: Account, now: datetime) -> dict[str, Any]:
    """Return how an account's messages stand.

    `waiting` are due or will be, `lag` is for how many seconds the oldest due one has
    been waiting, `failed` were given up within a day.
    """
    pending = Delivery.objects.filter(account=account, state=Delivery.State.PENDING)
    due = Q(next_attempt_at__lte=now, claimed_until=None)
    found = pending.aggregate(
        waiting=Count("id"), oldest=Min("next_attempt_at", filter=due)
    )
    lately = Delivery.objects.filter(
        account=account,
        state=Delivery.State.FAILED,
        id__gte=ids.first_id_at(now - timedelta(days=1)),
    )
    oldest = found["oldest"]
    return {
        "waiting": found["waiting"],
        "lag": 0.0 if oldest is None else (now - oldest).total_seconds(),
        "failed": lately.count(),
    }


def webhooks(account: Account) -> QuerySet[Webhook]:
    """Return the endpoints of an account, the oldest first."""
    return Webhook.objects.filter(account=account).order_by("id")


def webhook_of(account: Account, public_id: str) -> Webhook:
    """Return one endpoint. Raises NotFound."""
    try:
        wanted = ids.decode_id(Webhook.prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = webhooks(account).filter(id=wanted).select_related("account").first()
    if found is None:
        raise NotFound
    return found


def unknown_webhooks(account: Account, public_ids: Sequence[str]) -> set[str]:
    """Return those of some ids that name no endpoint of an account."""
    named = set(public_ids)
    known = {each.public_id for each in webhooks(account)} if named else set()
    return named - known


def messages_to(webhook: Webhook) -> QuerySet[Delivery]:
    """Return the messages to an endpoint, newest first: its delivery log."""
    return (
        Delivery.objects.filter(
            account_id=webhook.account_id,
            channel="webhook",
            recipient=webhook.public_id,
            notice__isnull=False,
        )
        .select_related("notice", "alert")
        .order_by("-id")
    )


def message_to(webhook: Webhook, public_id: str) -> Delivery:
    """Return one message to an endpoint. Raises NotFound."""
    try:
        wanted = ids.decode_id(Delivery.prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = messages_to(webhook).filter(id=wanted).first()
    if found is None:
        raise NotFound
    return found


def inbox(account: Account, state: str, now: datetime) -> QuerySet[Alert]:
    """Return the alerts that are open, snoozed, acknowledged, resolved, or all.

    One that somebody has acknowledged is not open any more, and one that is snoozed is
    not until its moment has come; one that is resolved is none of these.
    """
    if state == "all":
        return alerts(account)
    asleep = Q(snoozed_until__gt=now)
    if state == "open":
        return open_alerts(account).filter(~asleep, acknowledged_at=None)
    if state == "snoozed":
        return open_alerts(account).filter(asleep, acknowledged_at=None)
    if state == "acknowledged":
        return open_alerts(account).exclude(acknowledged_at=None)
    return alerts(account, state)


def recipients(account: Account) -> QuerySet[Recipient]:
    """Return the addresses that were asked whether they want mail."""
    return Recipient.objects.filter(account=account).order_by("id")


def undeliverable(addresses: Collection[str]) -> dict[str, Undeliverable]:
    """Return those of some addresses that no mail goes to, by the address in lower."""
    lowered = {address.lower() for address in addresses}
    found = Undeliverable.objects.annotate(lowered=Lower("address"))
    return {row.address.lower(): row for row in found.filter(lowered__in=lowered)}


def last_mails(account: Account, addresses: Collection[str]) -> dict[str, Delivery]:
    """Return the last mail to each of some addresses, as they are spelled."""
    found = Delivery.objects.filter(
        account=account, channel="email", recipient__in=set(addresses)
    )
    rows = found.order_by("recipient", "-id").distinct("recipient")
    return {row.recipient: row for row in rows}


def keys_told(account: Account, event_type: str, since: datetime) -> set[str]:
    """Return the keys of what was told of one type since a moment."""
    told = Notice.objects.filter(account=account, type=event_type)
    return set(told.filter(happened_at__gte=since).values_list("key", flat=True))
