"""Webhook endpoints: registered, edited, rotated, tested, and asked again.

The signing secret leaves twice: in the answer that makes it, and sealed into the row.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from accounts import ids
from accounts.actors import Actor
from accounts.errors import Conflict, FieldError, InvalidBody, NotFound
from accounts.models import Account
from accounts.outbound import UnsafeUrl, check_url
from accounts.sealing import seal, unseal
from accounts.services import append_change
from accounts.services.records import assign
from alerts import event_types, signing
from alerts.models import Delivery, Notice, Webhook
from alerts.services.opening import resolve_counters
from alerts.services.telling import delivery_of

MOST = 100
OVERLAP_SECONDS = 86_400


@transaction.atomic
def create_webhook(
    *,
    account: Account,
    url: str,
    types: Sequence[str],
    description: str = "",
    enabled: bool = True,
    actor: Actor,
    now: datetime,
) -> tuple[Webhook, str]:
    """Register an endpoint and return it with its secret, which is not shown again.

    Raises InvalidBody for an URL that may not be called or a type that does not
    exist, Conflict beyond 100 endpoints.
    """
    if Webhook.objects.filter(account=account).count() >= MOST:
        raise Conflict(f"An account may have {MOST} endpoints.")
    secret = signing.new_secret()
    webhook = Webhook.objects.create(
        id=ids.new_id(now),
        account=account,
        url=checked_url(url),
        description=description,
        event_types=checked_types(types),
        enabled=enabled,
        disabled_at=None if enabled else now,
        secrets=[{"sealed": seal(secret), "until": None}],
        created_by=actor.label or actor.id,
        created_at=now,
        updated_at=now,
    )
    _append(webhook, "webhook.created", actor=actor, now=now)
    return webhook, secret


@transaction.atomic
def update_webhook(
    *, webhook: Webhook, changes: Mapping[str, Any], actor: Actor, now: datetime
) -> Webhook:
    """Change url, event_types, description or enabled. Raises InvalidBody, NotFound.

    An endpoint that is enabled again starts afresh: its failures are forgotten, and the
    alert about them is resolved.
    """
    webhook = _locked(webhook)
    wanted = dict(changes)
    if "url" in wanted:
        wanted["url"] = checked_url(wanted["url"])
    if "event_types" in wanted:
        wanted["event_types"] = checked_types(wanted["event_types"])
    record = assign(webhook, wanted)
    if not record:
        return webhook
    if "enabled" in {change["field"] for change in record}:
        webhook.disabled_at = None if webhook.enabled else now
        webhook.disabled_reason = ""
        webhook.failing_since = None
        if webhook.enabled:
            _resolve(webhook, now)
    webhook.updated_at = now
    webhook.save()
    _append(webhook, "webhook.updated", actor=actor, now=now, changes=record)
    return webhook


@transaction.atomic
def delete_webhook(*, webhook: Webhook, actor: Actor, now: datetime) -> None:
    """Remove an endpoint; what was still to be sent to it is given up.

    Raises NotFound for one that is gone.
    """
    webhook = _locked(webhook)
    _append(webhook, "webhook.deleted", actor=actor, now=now)
    _resolve(webhook, now)
    _messages(webhook).filter(state=Delivery.State.PENDING).update(
        state=Delivery.State.FAILED, last_error="the endpoint was deleted"
    )
    Webhook.objects.filter(id=webhook.id).delete()


@transaction.atomic
def rotate_secret(
    *,
    webhook: Webhook,
    overlap_seconds: int = OVERLAP_SECONDS,
    actor: Actor,
    now: datetime,
) -> tuple[Webhook, str]:
    """Give an endpoint a new secret; messages bear both signatures for the overlap.

    Raises NotFound for one that is gone.
    """
    webhook = _locked(webhook)
    ends = now + timedelta(seconds=overlap_seconds)
    kept = []
    for held in webhook.secrets:
        until = ends if held["until"] is None else min(_moment(held["until"]), ends)
        if until > now:
            kept.append({**held, "until": until.isoformat()})
    secret = signing.new_secret()
    webhook.secrets = [{"sealed": seal(secret), "until": None}, *kept]
    webhook.updated_at = now
    webhook.save(update_fields=["secrets", "updated_at"])
    _append(webhook, "webhook.secret_rotated", actor=actor, now=now)
    return webhook, secret


def signing_secrets(webhook: Webhook, now: datetime) -> list[str]:
    """Return the secrets that sign now, the newest first. Raises Unopenable."""
    return [
        unseal(held["sealed"])
        for held in webhook.secrets
        if held["until"] is None or _moment(held["until"]) > now
    ]


@transaction.atomic
def send_test(*, webhook: Webhook, actor: Actor, now: datetime) -> Delivery:
    """Put a test message for this endpoint alone into the outbox, due at once."""
    notice = Notice.objects.create(
        id=ids.new_id(now),
        account_id=webhook.account_id,
        type=event_types.WEBHOOK_TEST,
        key=ids.encode_id(Notice.prefix, ids.new_id(now)),
        data={"webhook": webhook.public_id, "requested_by": actor.label or actor.id},
        happened_at=now,
        dispatched_at=now,
    )
    delivery = delivery_of(notice, webhook, now)
    delivery.save(force_insert=True)
    return delivery


@transaction.atomic
def redeliver(
    *,
    webhook: Webhook,
    deliveries: QuerySet[Delivery] | None = None,
    actor: Actor,
    now: datetime,
) -> int:
    """Send messages again, under the ids they had; all that failed if none are named.

    Raises Conflict while the endpoint is disabled. Returns how many.
    """
    if not webhook.enabled:
        raise Conflict("The endpoint is disabled; enable it first.")
    chosen = _messages(webhook)
    if deliveries is None:
        chosen = chosen.filter(state=Delivery.State.FAILED)
    else:
        chosen = chosen.filter(id__in=deliveries.values("id"))
    count = chosen.update(
        state=Delivery.State.PENDING,
        attempts=0,
        next_attempt_at=now,
        claimed_until=None,
        sent_at=None,
        last_error="",
    )
    changes = [{"field": "deliveries", "before": None, "after": count}]
    _append(webhook, "webhook.redelivered", actor=actor, now=now, changes=changes)
    return count


def checked_url(url: str) -> str:
    """Return an URL as it will be called. Raises InvalidBody."""
    try:
        return check_url(url).url
    except UnsafeUrl as error:
        detail = str(error)
        raise InvalidBody(errors=[{"pointer": "/url", "detail": detail}]) from error


def checked_types(types: Sequence[str]) -> list[str]:
    """Return event types, each once. Raises InvalidBody for one that is none."""
    problems: list[FieldError] = []
    for index, name in enumerate(types):
        if name not in event_types.SUBSCRIBABLE and name != event_types.EVERY_TYPE:
            pointer = f"/event_types/{index}"
            problems.append({"pointer": pointer, "detail": "is not an event type"})
    if problems:
        raise InvalidBody(errors=problems)
    if event_types.EVERY_TYPE in types:
        return [event_types.EVERY_TYPE]
    return list(dict.fromkeys(types))


def _locked(webhook: Webhook) -> Webhook:
    """Return the row as it is now. Raises NotFound if somebody has just deleted it."""
    fresh = Webhook.objects.select_for_update(of=("self",)).select_related("account")
    found = fresh.filter(id=webhook.id).first()
    if found is None:
        raise NotFound
    return found


def _messages(webhook: Webhook) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        account_id=webhook.account_id,
        channel="webhook",
        recipient=webhook.public_id,
        notice__isnull=False,
    )


def _resolve(webhook: Webhook, now: datetime) -> None:
    """Resolve what was told of an endpoint's failures."""
    about = [webhook.public_id]
    resolve_counters(account=webhook.account, counters=about, now=now)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _append(
    webhook: Webhook,
    action: str,
    *,
    actor: Actor,
    now: datetime,
    changes: Sequence[Mapping[str, Any]] = (),
) -> None:
    append_change(
        account=webhook.account,
        actor=actor,
        action=action,
        target=webhook.public_id,
        changes=changes,
        now=now,
    )
