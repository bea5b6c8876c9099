"""How the whole installation does, for those who run it: a row for each part."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Count, Q
from django.urls import reverse
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from accounts import heartbeats
from accounts.models import Account, Bot, Heartbeat
from alerts.models import Alert, Delivery, Undeliverable, Webhook
from alerts.selectors import outbox_lag
from policies.models import Block
from retention.models import PruneRun
from usage.selectors import rolled_up_at

LATE_OUTBOX_SECONDS: Final = 60
_LATE_ROLLUPS: Final = timedelta(minutes=2)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Vital:
    """One part: whether it is well, what is so, and where to look."""

    name: str
    is_well: bool
    text: str
    address: str = ""


def vitals(now: datetime) -> list[Vital]:
    """Return every part, the first to look at first."""
    beats = heartbeats.beats()
    return [
        _beat(_("Worker"), beats.get(heartbeats.WORKER), now),
        _beat(_("Clock"), beats.get(heartbeats.CLOCK), now),
        _outbox(now),
        _webhooks(),
        _addresses(),
        _rollups(now),
        _runs(now),
        _alerts(),
        _blocks(now),
        _database(),
    ]


def _list(model: type, **query: str) -> str:
    meta = model._meta  # type: ignore[attr-defined]  # noqa: SLF001
    at = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    return f"{at}?{'&'.join(f'{k}={v}' for k, v in query.items())}" if query else at


def _beat(name: str, at: datetime | None, now: datetime) -> Vital:
    if at is None:
        return Vital(name, False, _("never seen"), _list(Heartbeat))
    said = _("last sign %(span)s ago") % {"span": timesince(at, now)}
    return Vital(name, now - at < heartbeats.LATE_AFTER, said, _list(Heartbeat))


def _outbox(now: datetime) -> Vital:
    lag = outbox_lag(now)
    state = Delivery.State
    failures = Delivery.objects.filter(state=state.FAILED, created_at__gte=now - _DAY)
    found = {
        "waiting": Delivery.objects.filter(state=state.PENDING).count(),
        "failed": failures.count(),
    }
    text = _(
        "%(waiting)s waiting, the oldest due for %(lag)s s; %(failed)s failed in a day"
    ) % {**found, "lag": round(lag)}
    is_well = lag <= LATE_OUTBOX_SECONDS and not found["failed"]
    return Vital(_("Outbox"), is_well, text, _list(Delivery))


def _webhooks() -> Vital:
    failing = Webhook.objects.filter(enabled=True).exclude(failing_since=None).count()
    text = _("%(count)s endpoints fail now") % {"count": failing}
    return Vital(_("Webhooks"), not failing, text, _list(Webhook))


def _addresses() -> Vital:
    bounced = Undeliverable.objects.count()
    text = _("%(count)s addresses bounced") % {"count": bounced}
    return Vital(_("Addresses"), not bounced, text, _list(Undeliverable))


def _rollups(now: datetime) -> Vital:
    at = rolled_up_at()
    if at is None:
        return Vital(_("Roll-ups"), True, _("nothing recorded yet"))
    said = _("as of %(span)s ago") % {"span": timesince(at, now)}
    return Vital(_("Roll-ups"), now - at < _LATE_ROLLUPS, said)


def _runs(now: datetime) -> Vital:
    state = PruneRun.State
    broken = Q(state__in=[state.FAILED, state.STOPPED], started_at__gte=now - _DAY)
    found = PruneRun.objects.aggregate(
        waiting=Count("id", filter=Q(state=state.WAITING)),
        broken=Count("id", filter=broken),
        done=Count("id", filter=Q(state=state.COMPLETED, started_at__gte=now - _DAY)),
    )
    text = (
        _("%(done)s runs done in a day, %(broken)s broken, %(waiting)s wait for people")
        % found
    )
    is_well = not found["broken"] and not found["waiting"]
    return Vital(_("Retention"), is_well, text, _list(PruneRun))


def _alerts() -> Vital:
    opened = Alert.objects.exclude(state=Alert.State.RESOLVED)
    found = opened.aggregate(
        count=Count("id"), accounts=Count("account", distinct=True)
    )
    text = _("%(count)s open in %(accounts)s accounts") % found
    return Vital(_("Alerts"), True, text, _list(Alert))


def _blocks(now: datetime) -> Vital:
    live = Q(ends_at=None) | Q(ends_at__gt=now)
    count = Block.objects.filter(live, enforced=True, lifted_at=None).count()
    revoked = Bot.objects.filter(state=Bot.State.REVOKED, archived_at=None).count()
    text = _("%(count)s in force; %(revoked)s bots revoked") % {
        "count": count,
        "revoked": revoked,
    }
    return Vital(_("Blocks"), True, text, _list(Block))


def _database() -> Vital:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        (size,) = cursor.fetchone()
    text = _("%(size)s; %(count)s accounts") % {
        "size": size,
        "count": Account.objects.count(),
    }
    return Vital(_("Database"), True, text, _list(Account))
