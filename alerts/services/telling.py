"""From what happened to who is told: notices, and a message to each endpoint.

An alert's row, like a block's, is an outbox itself: whatever opened or resolved it,
`announce_due` finds it and writes the notices. `dispatch_due` gives each notice to the
endpoints that want it and to the hooks. Both may run anywhere at any time, twice, and
after any crash: what a notice is about is its key, and an endpoint is told once of it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from accounts import ids
from accounts.models import Account
from alerts import bodies, event_types, hooks, wording
from alerts.models import Alert, Delivery, MailHour, Notice, Webhook

LEASE = timedelta(seconds=60)
KEPT_DAYS = 30

_TO_ANNOUNCE = """SELECT id FROM alerts_alert
WHERE announced = 0 OR (announced = 1 AND state = 'resolved')
ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"""

_CLAIM = """UPDATE alerts_notice SET claimed_until = %(until)s WHERE id IN (
SELECT id FROM alerts_notice WHERE dispatched_at IS NULL
AND (claimed_until IS NULL OR claimed_until <= %(now)s)
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED) RETURNING id"""


def tell(
    *,
    account: Account,
    event_type: str,
    key: str,
    data: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Tell endpoints and hooks that something happened; say whether anybody listens.

    `key` names what happened among all of its type: told again, it is told once. In a
    transaction, it is told if and when that commits.
    """
    if not _listened_to(account.id, event_type):
        return False
    _write([_notice(account.id, event_type, key, dict(data), now)])
    return True


def listeners(event_type: str) -> list[Account]:
    """Return the accounts in which an endpoint wants to hear of a type."""
    wanted = Q(event_types__contains=[event_type])
    wanted |= Q(event_types__contains=[event_types.EVERY_TYPE])
    hearing = Webhook.objects.filter(wanted, account=OuterRef("pk"), enabled=True)
    return list(Account.objects.filter(Exists(hearing)))


@transaction.atomic
def announce_due(*, now: datetime, limit: int = 500) -> int:
    """Write the notices of alerts that opened or resolved; return of how many."""
    with connection.cursor() as cursor:
        cursor.execute(_TO_ANNOUNCE, [limit])
        found = [row[0] for row in cursor.fetchall()]
    if not found:
        return 0
    alerts = list(Alert.objects.filter(id__in=found).select_related("account"))
    alerts.sort(key=lambda alert: alert.id)
    named = _named(found)
    heard = {alert.account_id: _is_heard(alert.account_id) for alert in alerts}
    notices: list[Notice] = []
    for alert in alerts:
        mine = named.get(alert.id, [])
        if heard[alert.account_id] or mine:
            notices += _notices_of(alert, named=bool(mine), now=now)
    _write(notices)
    _join(notices, named)
    for state, announced in (
        (Q(state=Alert.State.RESOLVED), Alert.Announced.RESOLVED),
        (~Q(state=Alert.State.RESOLVED), Alert.Announced.OPENED),
    ):
        Alert.objects.filter(state, id__in=found).update(announced=announced)
    return len(alerts)


def _named(alerts: Sequence[UUID]) -> dict[UUID, list[Delivery]]:
    """Return the messages to endpoints that a policy names, by alert."""
    named: dict[UUID, list[Delivery]] = defaultdict(list)
    rows = Delivery.objects.filter(
        alert_id__in=alerts, channel="webhook", notice__isnull=True
    )
    for row in rows:
        if row.alert_id is not None:
            named[row.alert_id].append(row)
    return named


def _notices_of(alert: Alert, *, named: bool, now: datetime) -> list[Notice]:
    data, key = bodies.of_alert(alert), str(alert.id)
    told = []
    if alert.announced == Alert.Announced.NOTHING:
        opened = {**data, "state": _first_state(alert)}
        if opened["state"] != Alert.State.RESOLVED:
            opened["resolved_at"] = None
        told.append((event_types.ALERT_OPENED, opened, alert.created_at))
        if _is_trigger(alert) and (alert.enforced or named):
            told.append((event_types.POLICY_TRIGGERED, opened, alert.created_at))
    if alert.state == Alert.State.RESOLVED:
        at = alert.resolved_at or now
        told.append((event_types.ALERT_RESOLVED, data, at))
    return [
        _notice(alert.account_id, event_type, key, body, at, alert=alert)
        for event_type, body, at in told
    ]


def _is_trigger(alert: Alert) -> bool:
    return alert.kind == "limit" and alert.step == 100


def _first_state(alert: Alert) -> str:
    if alert.kind == wording.UNBLOCK:
        return Alert.State.RESOLVED
    early = alert.kind == wording.LIMIT and alert.step < 100
    warned = early or alert.kind == wording.FORECAST
    return Alert.State.WARNING if warned else Alert.State.BREACHED


def _join(notices: Sequence[Notice], named: Mapping[UUID, list[Delivery]]) -> None:
    """Give the messages that a policy wrote to endpoints what they are to say."""
    by_alert = {(n.alert_id, n.type): n for n in notices}
    joined = []
    for alert_id, deliveries in named.items():
        notice = by_alert.get((alert_id, event_types.POLICY_TRIGGERED))
        notice = notice or by_alert.get((alert_id, event_types.ALERT_OPENED))
        for delivery in deliveries:
            if notice is not None:
                delivery.notice = notice
                delivery.purpose = Delivery.Purpose.NOTICE
                joined.append(delivery)
    Delivery.objects.bulk_update(joined, ["notice", "purpose"])


def _notice(
    account_id: UUID,
    event_type: str,
    key: str,
    data: dict[str, Any],
    at: datetime,
    *,
    alert: Alert | None = None,
) -> Notice:
    return Notice(
        id=ids.new_id(at),
        account_id=account_id,
        type=event_type,
        key=key,
        data=data,
        alert=alert,
        happened_at=at,
    )


def _write(notices: Sequence[Notice]) -> None:
    Notice.objects.bulk_create(notices, ignore_conflicts=True)


def dispatch_due(*, now: datetime, limit: int = 200) -> int:
    """Give notices to endpoints and hooks; return how many notices were given."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"until": now + LEASE, "now": now, "limit": limit})
        claimed = [row[0] for row in cursor.fetchall()]
    if not claimed:
        return 0
    found = Notice.objects.filter(id__in=claimed).select_related("account")
    notices = list(found.order_by("id"))
    _fan_out(notices, now)
    if hooks.hooks():
        for notice in notices:
            hooks.call({**body_of(notice), "account": notice.account.public_id})
    done = Notice.objects.filter(id__in=claimed, dispatched_at=None)
    return done.update(dispatched_at=now, claimed_until=None)


def body_of(notice: Notice) -> dict[str, Any]:
    """Return what an endpoint is sent, and its id, which hooks get as well."""
    return {
        "id": notice.public_id,
        "type": notice.type,
        "timestamp": bodies.moment(notice.happened_at),
        "data": notice.data,
    }


def _fan_out(notices: Sequence[Notice], now: datetime) -> None:
    accounts = {notice.account_id for notice in notices}
    endpoints: dict[UUID, list[Webhook]] = defaultdict(list)
    for webhook in Webhook.objects.filter(account_id__in=accounts, enabled=True):
        endpoints[webhook.account_id].append(webhook)
    Delivery.objects.bulk_create(
        (
            delivery_of(notice, webhook, now)
            for notice in notices
            for webhook in endpoints[notice.account_id]
            if wants(webhook, notice.type)
        ),
        # Whom the policy names, and whom a run before a crash has told, has his.
        ignore_conflicts=True,
    )


def wants(webhook: Webhook, event_type: str) -> bool:
    """Say whether an endpoint subscribes to a type."""
    if event_type == event_types.WEBHOOK_TEST:
        return False
    types = webhook.event_types
    return event_type in types or event_types.EVERY_TYPE in types


def delivery_of(notice: Notice, webhook: Webhook, now: datetime) -> Delivery:
    """Return a message to one endpoint, due at once; it is not written yet."""
    return Delivery(
        id=ids.new_id(now),
        account_id=notice.account_id,
        alert_id=notice.alert_id,
        notice=notice,
        purpose=Delivery.Purpose.NOTICE,
        channel="webhook",
        recipient=webhook.public_id,
        next_attempt_at=now,
        created_at=now,
    )


def forget_told(*, now: datetime, batch: int = 5_000) -> int:
    """Forget notices after 30 days, and after one those nobody wanted."""
    told = Notice.objects.filter(dispatched_at__isnull=False)
    unheard = ~Exists(Delivery.objects.filter(notice=OuterRef("pk")))
    old = Q(happened_at__lt=now - timedelta(days=KEPT_DAYS))
    day_old = Q(happened_at__lt=now - timedelta(days=1))
    gone = list(
        told.filter(old | (day_old & Q(unheard))).values_list("id", flat=True)[:batch]
    )
    Notice.objects.filter(id__in=gone).delete()
    MailHour.objects.filter(hour__lt=now - timedelta(days=2)).delete()
    return len(gone)


def _is_heard(account_id: UUID) -> bool:
    if hooks.hooks():
        return True
    return Webhook.objects.filter(account_id=account_id, enabled=True).exists()


def _listened_to(account_id: UUID, event_type: str) -> bool:
    if hooks.hooks():
        return True
    enabled = Webhook.objects.filter(account_id=account_id, enabled=True)
    return any(wants(webhook, event_type) for webhook in enabled)
