"""Whom a mail reaches: members, who confirmed, and else the owners (CONTRACT D3).

An address that is no member's is asked once whether it wants this account's mail.
Until it says so, and when mail to it bounced or was complained about, the owners get
what was meant for it.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts import ids
from accounts.actors import Actor
from accounts.errors import Conflict, NotFound
from accounts.models import Account, Member
from accounts.selectors import owner_emails
from accounts.services import append_change
from alerts import confirming
from alerts.models import Alert, Delivery, Recipient, Undeliverable


class NobodyToTell(Exception):
    """The account has no owner whom the message could reach."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The addresses of a message; `instead` says why they are the owners'."""

    addresses: tuple[str, ...]
    instead: str = ""


def resolve(delivery: Delivery) -> Reached:
    """Return whom a message about an alert goes to.

    Raises NobodyToTell if there is nobody.
    """
    address = delivery.recipient
    if not address:
        return Reached(_owners(delivery))
    problem = _problem(delivery.account, address)
    return Reached((), problem) if problem else Reached((address,))


def owners_of(account: Account) -> tuple[str, ...]:
    """Return the owners' addresses that take mail. Raises NobodyToTell."""
    owners = owner_emails(account)
    if not owners:
        raise NobodyToTell("the account has no active owner")
    reachable = tuple(owner for owner in owners if not is_undeliverable(owner))
    if not reachable:
        raise NobodyToTell("mail to every owner of the account bounced")
    return reachable


def _owners(delivery: Delivery) -> tuple[str, ...]:
    """Leave out the owners whom the policy names, for they have a message each."""
    owners = owners_of(delivery.account)
    if delivery.alert_id is None:
        return owners
    siblings = Delivery.objects.filter(alert_id=delivery.alert_id, channel="email")
    siblings = siblings.exclude(recipient="").exclude(state=Delivery.State.REDIRECTED)
    named = {sibling.recipient.lower() for sibling in siblings}
    return tuple(owner for owner in owners if owner.lower() not in named)


def _problem(account: Account, address: str) -> str:
    """Return why no mail of an account goes to an address; empty if it may."""
    if is_undeliverable(address):
        return f"mail to {address} bounced or was complained about"
    if is_member(account, address) or is_confirmed(account, address):
        return ""
    return f"{address} has not confirmed yet"


def is_member(account: Account, address: str) -> bool:
    """Say whether an address is that of an active member."""
    members = Member.objects.filter(account=account, person__is_active=True)
    return members.filter(person__email__iexact=address).exists()


def is_confirmed(account: Account, address: str) -> bool:
    """Say whether an address has said that it wants this account's mail."""
    asked = Recipient.objects.filter(account=account, address__iexact=address)
    return asked.filter(confirmed_at__isnull=False).exists()


def is_undeliverable(address: str) -> bool:
    """Say whether no mail goes to an address any more."""
    return Undeliverable.objects.filter(address__iexact=address).exists()


@transaction.atomic
def redirect(*, delivery: Delivery, reason: str, now: datetime) -> None:
    """Send the owners what was meant for somebody else; once for each alert.

    An address that was never asked is asked now.
    """
    # The constraint says whether the owners have a message of this alert already.
    Delivery.objects.bulk_create(
        [_message(delivery.account, "", now, alert=delivery.alert)],
        ignore_conflicts=True,
    )
    if not is_undeliverable(delivery.recipient):
        _ask(delivery.account, delivery.recipient, now)
    Delivery.objects.filter(id=delivery.id, state=Delivery.State.PENDING).update(
        state=Delivery.State.REDIRECTED,
        claimed_until=None,
        last_error=f"{reason}, so the owners got it",
    )


def _ask(account: Account, address: str, now: datetime) -> None:
    recipient = Recipient(
        id=ids.new_id(now), account=account, address=address, asked_at=now
    )
    Recipient.objects.bulk_create([recipient], ignore_conflicts=True)
    if Recipient.objects.filter(id=recipient.id).exists():
        request = _message(account, address, now)
        request.purpose = Delivery.Purpose.CONFIRMATION
        request.save(force_insert=True)


def _message(
    account: Account, recipient: str, now: datetime, *, alert: Alert | None = None
) -> Delivery:
    return Delivery(
        id=ids.new_id(now),
        account=account,
        alert=alert,
        channel="email",
        recipient=recipient,
        next_attempt_at=now,
        created_at=now,
    )


def recipient_of(token: str, *, stops: bool = False) -> Recipient:
    """Return whom a link was made for, to confirm or to stop. Raises NotFound."""
    wanted = confirming.named_by(token, stops=stops)
    if wanted is None:
        raise NotFound
    found = Recipient.objects.filter(id=wanted).select_related("account").first()
    if found is None:
        raise NotFound
    return found


def confirm(*, recipient: Recipient, now: datetime) -> Recipient:
    """Note that an address wants the mail; the first time stays on record."""
    asked = Recipient.objects.filter(id=recipient.id, confirmed_at=None)
    asked.update(confirmed_at=now)
    recipient.refresh_from_db()
    return recipient


def withdraw(*, recipient: Recipient) -> Recipient:
    """Note that an address wants no more mail; the owners get what is meant for it.

    It is not asked again; the link that it once confirmed by goes on working.
    """
    Recipient.objects.filter(id=recipient.id).update(confirmed_at=None)
    recipient.refresh_from_db()
    return recipient


@transaction.atomic
def send_test(
    *, account: Account, address: str, actor: Actor, now: datetime
) -> Delivery:
    """Put a test mail to one address into the outbox, due at once.

    Raises Conflict for an address that would get no alert either.
    """
    problem = _problem(account, address)
    if problem:
        raise Conflict(f"No mail goes there: {problem}.")
    message = _message(account, address, now)
    message.purpose = Delivery.Purpose.TEST
    message.save(force_insert=True)
    append_change(
        account=account,
        actor=actor,
        action="delivery.tested",
        target=message.public_id,
        now=now,
    )
    return message


def mark_undeliverable(
    *, address: str, reason: str, detail: str = "", now: datetime
) -> None:
    """Send no more mail to an address: it bounced, or somebody complained."""
    marked = Undeliverable(
        address=address, reason=reason[:40], detail=detail, since=now
    )
    Undeliverable.objects.bulk_create([marked], ignore_conflicts=True)


def mark_deliverable(*, marked: Undeliverable) -> None:
    """Try an address again, because somebody says that it works now."""
    Undeliverable.objects.filter(pk=marked.pk).delete()
