"""Messages to endpoints: claimed, sent many at a time, marked.

A message is claimed under a lease, sent outside any transaction and then marked, so a
crash between sending and marking sends it again under the same webhook-id (CONTRACT
D2). Eight tries within a day; an endpoint that has failed for five days is disabled,
and its account's owners are told.
"""

import asyncio
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import aiohttp
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, transaction
from django.db.models import Q

from accounts import ids, outbound
from accounts.sealing import Unopenable
from alerts import event_types
from alerts.backoff import wait_after
from alerts.bodies import moment
from alerts.models import Delivery, Webhook
from alerts.services.endpoints import signing_secrets
from alerts.services.opening import open_alert
from alerts.services.telling import body_of, tell
from alerts.signing import signed_headers

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
DISABLED_AFTER = timedelta(days=5)
IN_FLIGHT = 64
IN_FLIGHT_EACH = 8
_AGENT = "PolicyHub-Webhooks/1"
_ERROR_MAX = 500
_TRIES_KEPT = 20

_CLAIM = """UPDATE alerts_delivery SET claimed_until = %(until)s WHERE id IN (
SELECT id FROM alerts_delivery
WHERE state = 'pending' AND channel = 'webhook' AND notice_id IS NOT NULL
AND next_attempt_at <= %(now)s
AND (claimed_until IS NULL OR claimed_until <= %(now)s)
AND recipient <> ALL(%(busy)s)
ORDER BY next_attempt_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED) RETURNING id"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try; an `error` means that it did not arrive."""

    status: int | None = None
    latency_ms: int = 0
    answer: str = ""
    error: str = ""

    @property
    def arrived(self) -> bool:
        """Whether the endpoint took the message."""
        return not self.error


@dataclass(frozen=True, slots=True)
class Message:
    """A claimed message with all that is needed to send it without the database."""

    delivery: Delivery
    url: str
    body: str
    secrets: Sequence[str]
    refusal: str = ""


def post_due(*, now: datetime, limit: int = 1_000, budget_seconds: float = 40) -> int:
    """Send the messages to endpoints that are due; return how many arrived.

    Any number of callers may run at once: each message is claimed by one of them. At
    most 64 are under way, and about 8 to one endpoint, so a slow one delays itself.
    """
    started = monotonic()

    def clock() -> datetime:
        return now + timedelta(seconds=monotonic() - started)

    pump = async_to_sync(_pump)
    return pump(clock, limit, now + timedelta(seconds=budget_seconds))


async def _pump(clock: Callable[[], datetime], limit: int, until: datetime) -> int:
    claim, settle = sync_to_async(_claim), sync_to_async(_settle)
    flying: dict[asyncio.Task[Outcome], Message] = {}
    left, arrived, client = limit, 0, None
    try:
        while True:
            room = min(IN_FLIGHT - len(flying), IN_FLIGHT_EACH, left)
            claimed: list[Message] = []
            if room > 0 and clock() < until:
                claimed = await claim(clock(), room, _busy(flying.values()))
            client = client or (outbound.session(limit=IN_FLIGHT) if claimed else None)
            for message in claimed:
                left -= 1
                task = asyncio.create_task(_send(client, message, clock()))
                flying[task] = message
            if not flying:
                return arrived
            # While there is more to claim, nobody waits for whom is slow.
            wait = 0.0 if len(claimed) == IN_FLIGHT_EACH else None
            done, _ = await asyncio.wait(
                flying,
                timeout=wait if wait is not None else 0.5,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                arrived += await settle(flying.pop(task), _outcome(task), clock())
    finally:
        if client is not None:
            await client.close()


def _outcome(task: asyncio.Task[Outcome]) -> Outcome:
    """Return what came of a try; what nobody thought of is a failure like others."""
    surprise = task.exception()
    if surprise is None:
        return task.result()
    log.error("a message failed unexpectedly", exc_info=surprise)
    return Outcome(error=f"{type(surprise).__name__}: {surprise}"[:_ERROR_MAX])


def _busy(messages: Any) -> list[str]:
    counts = Counter(message.delivery.recipient for message in messages)
    return [name for name, count in counts.items() if count >= IN_FLIGHT_EACH]


def _claim(now: datetime, limit: int, busy: Sequence[str]) -> list[Message]:
    parameters: dict[str, Any] = {"until": now + LEASE, "now": now}
    parameters |= {"limit": limit, "busy": list(busy)}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, parameters)
        claimed = [row[0] for row in cursor.fetchall()]
    if not claimed:
        return []
    found = Delivery.objects.filter(id__in=claimed).select_related("notice", "account")
    deliveries = list(found)
    wanted = Q(id__in=[_webhook_id(delivery) for delivery in deliveries])
    webhooks = {hook.public_id: hook for hook in Webhook.objects.filter(wanted)}
    return [_message(d, webhooks.get(d.recipient), now) for d in deliveries]


def _webhook_id(delivery: Delivery) -> Any:
    try:
        return ids.decode_id(Webhook.prefix, delivery.recipient)
    except ids.InvalidId:
        return None


def _message(delivery: Delivery, webhook: Webhook | None, now: datetime) -> Message:
    notice = delivery.notice
    if webhook is None or notice is None or webhook.account_id != delivery.account_id:
        return Message(delivery, "", "", (), "there is no such endpoint any more")
    if not webhook.enabled and notice.type != event_types.WEBHOOK_TEST:
        return Message(delivery, "", "", (), "the endpoint is disabled")
    try:
        secrets = signing_secrets(webhook, now)
    except Unopenable as error:
        return Message(delivery, "", "", (), f"the signing secret is {error}")
    body = {key: value for key, value in body_of(notice).items() if key != "id"}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Message(delivery, webhook.url, text, secrets)


async def _send(
    client: aiohttp.ClientSession | None, message: Message, now: datetime
) -> Outcome:
    if message.refusal or client is None:
        return Outcome(error=message.refusal)
    headers = signed_headers(
        message_id=message.delivery.message_id,
        body=message.body,
        at=now,
        signing=message.secrets,
    )
    headers |= {"Content-Type": "application/json", "User-Agent": _AGENT}
    started = monotonic()
    try:
        answer = await outbound.post(
            client, message.url, body=message.body.encode(), headers=headers
        )
    except (outbound.UnsafeUrl, OSError, aiohttp.ClientError, ValueError) as error:
        passed = round((monotonic() - started) * 1_000)
        return Outcome(latency_ms=passed, error=_said(error)[:_ERROR_MAX])
    taken = 200 <= answer.status < 300
    return Outcome(
        status=answer.status,
        latency_ms=answer.latency_ms,
        answer=answer.snippet,
        error="" if taken else f"answered {answer.status}",
    )


def _said(error: Exception) -> str:
    """Return an error as whoever runs the endpoint understands it."""
    if isinstance(error, TimeoutError):
        return f"no answer within {outbound.TOTAL_SECONDS:g} s"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was cut before the answer"
    if isinstance(error, outbound.UnsafeUrl):
        return f"the URL may not be called: it {error}"
    return f"{type(error).__name__}: {error}"


def _settle(message: Message, outcome: Outcome, now: datetime) -> int:
    """Mark what came of a message; return 1 if it arrived."""
    delivery = message.delivery
    attempts = delivery.attempts + (0 if message.refusal else 1)
    changes: dict[str, Any] = {
        "attempts": attempts,
        "claimed_until": None,
        "last_error": outcome.error,
        "tries": [*delivery.tries, _try(outcome, now)][-_TRIES_KEPT:],
    }
    wait = wait_after(attempts, random.random())  # noqa: S311 (jitter is no secret)
    if outcome.arrived:
        changes |= {"state": Delivery.State.SENT, "sent_at": now}
    elif message.refusal or outcome.status == 410 or wait is None:
        changes["state"] = Delivery.State.FAILED
    else:
        changes["next_attempt_at"] = now + wait
    mine = Q(state=Delivery.State.PENDING)
    if not outcome.arrived:
        # Only the claim that failed says so: not one that outlived its lease.
        mine &= Q(claimed_until=delivery.claimed_until)
    marked = Delivery.objects.filter(mine, id=delivery.id).update(**changes)
    if not message.refusal:
        _note(delivery, outcome, now)
    if not outcome.arrived:
        log.warning("%s: %s", delivery.public_id, outcome.error)
    return int(bool(marked) and outcome.arrived)


def _try(outcome: Outcome, now: datetime) -> dict[str, Any]:
    return {
        "at": moment(now),
        "status": outcome.status,
        "latency_ms": outcome.latency_ms,
        "error": outcome.error,
        "answer": outcome.answer,
    }


def _note(delivery: Delivery, outcome: Outcome, now: datetime) -> None:
    """Remember on the endpoint that it works, or since when it fails."""
    mine = Webhook.objects.filter(id=_webhook_id(delivery))
    if outcome.arrived:
        mine.update(failing_since=None, last_success_at=now)
        return
    mine.filter(failing_since=None).update(failing_since=now)
    if outcome.status == 410:
        _disable(mine.first(), "it answered 410 Gone", now)
        return
    webhook = mine.filter(failing_since__lte=now - DISABLED_AFTER).first()
    _disable(webhook, f"it has failed for 5 days, last: {outcome.error}", now)


@transaction.atomic
def _disable(webhook: Webhook | None, reason: str, now: datetime) -> None:
    if webhook is None:
        return
    live = Webhook.objects.filter(id=webhook.id, enabled=True)
    if not live.update(
        enabled=False, disabled_at=now, disabled_reason=reason[:_ERROR_MAX]
    ):
        return
    account, name = webhook.account, webhook.public_id
    message = f"The webhook endpoint {webhook.url} was disabled: {reason}."
    open_alert(
        account=account,
        kind="delivery_failing",
        policy_id="",
        counter=name,
        window_start=webhook.failing_since or now,
        message=message,
        recipients=[("email", "")],
        now=now,
    )
    data = {"account": account.public_id, "webhook": name}
    data |= {"url": webhook.url, "reason": reason}
    tell(
        account=account,
        event_type=event_types.WEBHOOK_DISABLED,
        key=f"{name} {moment(now)}",
        data=data,
        now=now,
    )
