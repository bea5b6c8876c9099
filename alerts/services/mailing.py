"""E-mail: claimed, sent outside any transaction, marked; capped by the hour.

Delivery is at least once: a crash between sending and marking sends a message again,
with the same Message-ID (CONTRACT D2). An account has so many mails an hour; what is
beyond goes into one digest for each recipient when the hour is over (D3).
"""

import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.db.models import F

from accounts import ids
from accounts.selectors import owner_emails
from alerts import mail
from alerts.backoff import PATIENCE, wait_after
from alerts.models import Alert, Delivery, MailHour
from alerts.services.recipients import NobodyToTell, Reached, redirect, resolve

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
_SEND_WITHIN = 25.0
_BATCH = 20
_ERROR_MAX = 500
# OSError covers sockets and SMTP, ValueError a header or address no mail can carry.
_FAILURES = (OSError, AnymailError, ValueError)

_CLAIM = """UPDATE alerts_delivery SET claimed_until = %(until)s WHERE id IN (
SELECT id FROM alerts_delivery
WHERE state = 'pending' AND channel = 'email' AND next_attempt_at <= %(now)s
AND (claimed_until IS NULL OR claimed_until <= %(now)s)
ORDER BY next_attempt_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED) RETURNING id"""

# Nobody else can have these instead, and no digest can say them.
_THEIRS_ALONE = (Delivery.Purpose.CONFIRMATION, Delivery.Purpose.TEST)

# The place in the hour and the message that has it, in one statement.
_TAKE = """WITH place AS (INSERT INTO alerts_mailhour (account_id, hour, taken)
VALUES (%(account)s, %(hour)s, 1) ON CONFLICT (account_id, hour)
DO UPDATE SET taken = alerts_mailhour.taken + 1
WHERE alerts_mailhour.taken < %(most)s RETURNING hour)
UPDATE alerts_delivery SET mail_hour = place.hour FROM place WHERE id = %(delivery)s"""


def deliver_due(
    *, now: datetime, limit: int = 1_000, budget_seconds: float = 40
) -> int:
    """Send the e-mails that are due; return how many were handed over.

    Any number of callers may run at once: each message is claimed by one of them. A
    failed one is tried eight times within a day and then given up, visibly.
    """
    started = monotonic()
    sent, left = 0, limit
    while left > 0 and (passed := monotonic() - started) <= budget_seconds:
        claimed = _claim(now + timedelta(seconds=passed), min(_BATCH, left))
        if not claimed:
            break
        left -= len(claimed)
        with _Post() as post:
            sent += _deliver_all(post, claimed, now, started)
    return sent


def _claim(moment: datetime, limit: int) -> list[Delivery]:
    parameters: dict[str, Any] = {
        "until": moment + LEASE,
        "now": moment,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, parameters)
        claimed = [row[0] for row in cursor.fetchall()]
    found = Delivery.objects.filter(id__in=claimed)
    found = found.select_related("alert__account", "account")
    return list(found.order_by("next_attempt_at", "id"))


def _deliver_all(
    post: "_Post", claimed: Sequence[Delivery], now: datetime, started: float
) -> int:
    begun, sent = monotonic(), 0
    for index, delivery in enumerate(claimed):
        if monotonic() - begun > _SEND_WITHIN:
            # A slow server must not outlast the lease: others may have the rest.
            _release(claimed[index:])
            break
        sent += _deliver(post, delivery, now + timedelta(seconds=monotonic() - started))
    return sent


def _release(deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        _ours(delivery).update(claimed_until=None)


def _deliver(post: "_Post", delivery: Delivery, moment: datetime) -> bool:
    try:
        reached = _reached(delivery)
        if reached.instead:
            _redirect(delivery, reached.instead, moment)
            return False
        if not _may_go(delivery, moment):
            return False
        for message in mail.letters(delivery, reached.addresses):
            post.send(message)
    except NobodyToTell as error:
        _wait_for_somebody(delivery, moment, error)
        return False
    except _FAILURES as error:
        post.hang_up()
        _postpone(delivery, moment, error)
        return False
    _mark_sent(delivery, moment)
    return True


def _reached(delivery: Delivery) -> Reached:
    if delivery.purpose in _THEIRS_ALONE:
        return Reached((delivery.recipient,))
    return resolve(delivery)


def _redirect(delivery: Delivery, reason: str, moment: datetime) -> None:
    if delivery.purpose != Delivery.Purpose.DIGEST:
        redirect(delivery=delivery, reason=reason, now=moment)
        return
    # Each of the parts finds whom it goes to now.
    with transaction.atomic():
        _parts(delivery).update(
            state=Delivery.State.PENDING, digest=None, next_attempt_at=moment
        )
        _ours(delivery).update(
            state=Delivery.State.REDIRECTED, claimed_until=None, last_error=reason
        )


def _mark_sent(delivery: Delivery, moment: datetime) -> None:
    sent: dict[str, Any] = {"state": Delivery.State.SENT, "sent_at": moment}
    sent |= {"claimed_until": None, "last_error": ""}
    pending = Delivery.objects.filter(id=delivery.id, state=Delivery.State.PENDING)
    pending.update(attempts=F("attempts") + 1, **sent)
    if delivery.purpose == Delivery.Purpose.DIGEST:
        _parts(delivery).update(**sent)
    if delivery.alert is not None and delivery.alert.trouble:
        Alert.objects.filter(id=delivery.alert.id).update(trouble="")


def _postpone(delivery: Delivery, moment: datetime, error: Exception) -> None:
    attempts = delivery.attempts + 1
    wait = wait_after(attempts, random.random())  # noqa: S311 (jitter is no secret)
    text = f"{type(error).__name__}: {error}".replace("\x00", "")[:_ERROR_MAX]
    changes: dict[str, Any] = {"claimed_until": None, "last_error": text}
    if wait is None:
        changes["state"] = Delivery.State.FAILED
    else:
        changes["next_attempt_at"] = moment + wait
    # Only the claim that failed says so: not one that outlived its lease.
    marked = _ours(delivery).update(attempts=attempts, **changes)
    if marked and wait is None and delivery.purpose == Delivery.Purpose.DIGEST:
        _parts(delivery).update(state=Delivery.State.FAILED, last_error=text)
    log.warning("%s failed, attempt %d: %s", delivery.public_id, attempts, text)


def _wait_for_somebody(delivery: Delivery, moment: datetime, error: Exception) -> None:
    """Keep a message due until there is somebody to have it, and say so."""
    text = f"nobody could be told: {error}"
    _ours(delivery).update(
        next_attempt_at=moment + PATIENCE, claimed_until=None, last_error=text
    )
    if delivery.alert_id is not None:
        Alert.objects.filter(id=delivery.alert_id).update(trouble=text)
    log.warning("%s: %s", delivery.public_id, text)


def _ours(delivery: Delivery) -> Any:
    return Delivery.objects.filter(
        id=delivery.id,
        state=Delivery.State.PENDING,
        claimed_until=delivery.claimed_until,
    )


def _parts(digest: Delivery) -> Any:
    return Delivery.objects.filter(digest_id=digest.id, state=Delivery.State.HELD)


def _may_go(delivery: Delivery, moment: datetime) -> bool:
    """Say whether a message is within its account's hour; else hold it back.

    What was counted once, as before an attempt that failed, is not counted again.
    """
    if delivery.purpose == Delivery.Purpose.DIGEST or delivery.mail_hour is not None:
        return True
    hour = moment.replace(minute=0, second=0, microsecond=0)
    parameters: dict[str, Any] = {"account": delivery.account_id, "hour": hour}
    parameters["most"] = settings.POLICYHUB_MAILS_PER_HOUR
    parameters["delivery"] = delivery.id
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, parameters)
        if cursor.rowcount:
            return True
    _hold(delivery, hour, moment)
    return False


@transaction.atomic
def _hold(delivery: Delivery, hour: datetime, moment: datetime) -> None:
    over = hour + timedelta(hours=1)
    if delivery.purpose in _THEIRS_ALONE:
        _ours(delivery).update(next_attempt_at=over, claimed_until=None)
        return
    # One digest an hour and recipient: whoever makes it holds the hour's row.
    mine = MailHour.objects.select_for_update()
    mine.get(account_id=delivery.account_id, hour=hour)
    digest, _ = Delivery.objects.get_or_create(
        account_id=delivery.account_id,
        channel="email",
        purpose=Delivery.Purpose.DIGEST,
        recipient=_whose_digest(delivery),
        mail_hour=hour,
        state=Delivery.State.PENDING,
        defaults={
            "id": ids.new_id(moment),
            "next_attempt_at": over,
            "created_at": moment,
        },
    )
    _ours(delivery).update(
        state=Delivery.State.HELD,
        digest=digest,
        claimed_until=None,
        last_error="the hour's mails are spent; the digest carries it",
    )


def _whose_digest(delivery: Delivery) -> str:
    """Return whose digest carries a message; the only owner has one, named or not."""
    owners = [owner.lower() for owner in owner_emails(delivery.account)]
    return "" if owners == [delivery.recipient.lower()] else delivery.recipient


class _Post:
    """One connection to the mail server for many messages, renewed after a failure."""

    def __init__(self) -> None:
        self._backend: BaseEmailBackend | None = None

    def __enter__(self) -> "_Post":
        return self

    def __exit__(self, *error: object) -> None:
        self.hang_up()

    def send(self, message: EmailMultiAlternatives) -> None:
        """Hand one message over. Raises what the backend raises."""
        if self._backend is None:
            backend = get_connection()
            backend.open()
            self._backend = backend
        message.connection = self._backend
        message.send()

    def hang_up(self) -> None:
        """End the connection; the next message opens another."""
        backend, self._backend = self._backend, None
        if backend is not None:
            with suppress(*_FAILURES):
                backend.close()
