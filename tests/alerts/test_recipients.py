"""CONTRACT D3: who gets mail, who is asked first, and the hour's cap."""

import re
from datetime import timedelta

import pytest
from anymail.signals import AnymailTrackingEvent, EventType, tracking
from django.core import mail

from accounts.actors import SYSTEM
from accounts.errors import Conflict
from accounts.models import Member, Person
from accounts.services import add_member
from alerts import services
from alerts.confirming import link_to_confirm
from alerts.mail import compose
from alerts.models import Alert, Delivery, Recipient, Undeliverable
from alerts.services.recipients import (
    confirm,
    mark_deliverable,
    recipient_of,
    send_test,
    withdraw,
)
from tests.alerts.conftest import NOW

pytestmark = pytest.mark.django_db

OPS = [("email", "ops@example.com")]


def sent():
    """Return (first recipient, subject) of what went out since the last time."""
    services.deliver_due(now=NOW)
    found = [(message.to[0], message.subject) for message in mail.outbox]
    mail.outbox.clear()
    return sorted(found)


def test_a_member_needs_no_confirmation(account, opened):
    bob = Person.objects.create_user("bob@example.com")
    add_member(
        account=account, person=bob, role=Member.Role.VIEWER, actor=SYSTEM, now=NOW
    )
    opened(recipients=[("email", "BOB@example.com")])

    assert [to for to, _ in sent()] == ["BOB@example.com"]
    assert not Recipient.objects.exists()


def test_a_test_goes_to_who_would_get_alerts(account, opened):
    said = {"account": account, "actor": SYSTEM, "now": NOW}
    send_test(address="alice@example.com", **said)
    services.deliver_due(now=NOW)
    (message,) = mail.outbox
    assert message.to == ["alice@example.com"]
    assert "A test for the alerts of" in message.subject
    assert "/alerts/" in message.body
    with pytest.raises(Conflict, match="has not confirmed yet"):
        send_test(address="ops@example.com", **said)
    Undeliverable.objects.create(address="alice@example.com", reason="bounced")
    with pytest.raises(Conflict, match="bounced"):
        send_test(address="ALICE@example.com", **said)


def test_a_test_beyond_the_hours_mails_waits(account, settings):
    settings.POLICYHUB_MAILS_PER_HOUR = 1
    for _ in range(2):
        send_test(account=account, address="alice@example.com", actor=SYSTEM, now=NOW)
    services.deliver_due(now=NOW)
    assert len(mail.outbox) == 1
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent", "pending"}


def test_a_stranger_is_asked_once_and_the_owner_gets_it_meanwhile(opened):
    opened(1, OPS)
    opened(2, OPS)
    services.deliver_due(now=NOW)

    requests = [m for m in mail.outbox if m.to == ["ops@example.com"]]
    (request,) = requests
    assert "Do you want alerts of" in request.subject
    owned = [m for m in mail.outbox if m.to == ["alice@example.com"]]
    assert len(owned) == 2
    assert "ops@example.com has not confirmed yet" in owned[0].body
    mail.outbox.clear()

    recipient = Recipient.objects.get()
    # The link says in which second it was made, so another one may differ.
    beginning = link_to_confirm(recipient).partition("/confirm/")[0]
    (token,) = re.findall(rf"{re.escape(beginning)}/confirm/([^\s/]+)/", request.body)
    assert recipient_of(token) == recipient
    confirm(recipient=recipient_of(token), now=NOW)
    opened(3, OPS)
    assert [to for to, _ in sent()] == ["ops@example.com"]


def test_who_confirmed_can_stop_it_and_the_owner_gets_it_then(account, opened):
    Recipient.objects.create(
        account=account, address="ops@example.com", confirmed_at=NOW
    )
    opened(1, [*OPS, ("email", "alice@example.com")])
    services.deliver_due(now=NOW)
    theirs = {message.to[0]: message for message in mail.outbox}
    message = theirs["ops@example.com"]
    link = message.extra_headers["List-Unsubscribe"].strip("<>")
    assert message.extra_headers["List-Unsubscribe-Post"].endswith("=One-Click")
    assert link in message.body
    assert link in message.alternatives[0][0]
    assert "List-Unsubscribe" not in theirs["alice@example.com"].extra_headers
    assert "stop-mail" not in theirs["alice@example.com"].body
    delivery = Delivery.objects.get(recipient="ops@example.com")
    again = compose(delivery, ["ops@example.com"])
    assert (again.body, again.extra_headers) == (message.body, message.extra_headers)

    mail.outbox.clear()
    withdraw(recipient=recipient_of(link.split("/")[-2], stops=True))
    opened(2, OPS)
    services.deliver_due(now=NOW)
    (owned,) = mail.outbox
    assert owned.to == ["alice@example.com"]
    assert "has not confirmed" in owned.body


def test_several_who_did_not_confirm_are_one_mail_to_the_owner(opened):
    opened(1, [*OPS, ("email", "dev@example.com"), ("email", "alice@example.com")])

    assert [to for to, _ in sent()] == [
        "alice@example.com",
        "dev@example.com",
        "ops@example.com",
    ]


def test_confirming_counts_in_one_account_alone(account, stranger, opened):
    Recipient.objects.create(
        account=stranger, address="ops@example.com", confirmed_at=NOW
    )
    opened(1, OPS)

    assert "alice@example.com" in [to for to, _ in sent()]


def test_an_address_that_bounced_gets_nothing_any_more(account, opened):
    Recipient.objects.create(
        account=account, address="ops@example.com", confirmed_at=NOW
    )
    for kind in (EventType.DEFERRED, EventType.DELIVERED, EventType.OPENED):
        event = AnymailTrackingEvent(event_type=kind, recipient="ops@example.com")
        tracking.send(sender=object, event=event, esp_name="test")
    assert not Undeliverable.objects.exists()
    event = AnymailTrackingEvent(
        event_type=EventType.BOUNCED,
        recipient="OPS@example.com",
        timestamp=NOW,
        description="no such user",
    )
    for _ in range(2):
        tracking.send(sender=object, event=event, esp_name="test")

    marked = Undeliverable.objects.get()
    assert (marked.reason, marked.detail) == ("bounced", "no such user")
    opened(1, OPS)
    services.deliver_due(now=NOW)
    (message,) = mail.outbox
    assert message.to == ["alice@example.com"]
    assert "mail to ops@example.com bounced" in message.body
    mail.outbox.clear()
    mark_deliverable(marked=marked)
    opened(2, OPS)
    assert [to for to, _ in sent()] == ["ops@example.com"]


def test_nobody_to_tell_is_said_and_stays_due(account, opened):
    alert = opened()
    account.members.all().delete()
    assert sent() == []
    alert.refresh_from_db()
    assert "nobody could be told" in alert.trouble
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("pending", 0)

    carol = Person.objects.create_user("carol@example.com")
    add_member(
        account=account, person=carol, role=Member.Role.OWNER, actor=SYSTEM, now=NOW
    )
    later = NOW + timedelta(days=3)
    assert services.deliver_due(now=later) == 1
    alert.refresh_from_db()
    assert alert.trouble == ""


def test_the_hour_has_so_many_mails_and_one_digest_carries_the_rest(opened, settings):
    settings.POLICYHUB_MAILS_PER_HOUR = 3
    alerts = [opened(number, message=f"Alert {number}.") for number in range(8)]
    assert len(sent()) == 3
    assert sent() == []
    states = Delivery.objects.filter(purpose="alert").values_list("state", flat=True)
    assert sorted(states) == ["held"] * 5 + ["sent"] * 3

    opened(9, message="Alert 9.")
    services.deliver_due(now=NOW)
    services.deliver_due(now=NOW + timedelta(minutes=59))
    assert mail.outbox == []
    services.deliver_due(now=NOW + timedelta(hours=1))
    (digest,) = mail.outbox
    assert "6 more alerts" in digest.subject
    told = {a.public_id for a in alerts if a.public_id in digest.body}
    assert len(told) == 5
    assert "Alert 9." in digest.body
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}
    mail.outbox.clear()
    opened(10, now=NOW + timedelta(hours=1))
    services.deliver_due(now=NOW + timedelta(hours=1))
    assert len(mail.outbox) == 1


def test_the_only_owner_has_one_digest_however_named(opened, settings):
    settings.POLICYHUB_MAILS_PER_HOUR = 1
    for number in range(5):
        opened(number, (("email", "Alice@example.com" if number % 2 else ""),))
    services.deliver_due(now=NOW)
    mail.outbox.clear()

    services.deliver_due(now=NOW + timedelta(hours=1))

    (digest,) = mail.outbox
    assert "4 more alerts" in digest.subject


def test_a_digest_of_an_address_that_bounced_meanwhile_goes_to_the_owners(
    account, opened, settings
):
    settings.POLICYHUB_MAILS_PER_HOUR = 1
    Recipient.objects.create(
        account=account, address="ops@example.com", confirmed_at=NOW
    )
    for number in range(3):
        opened(number, OPS)
    assert [to for to, _ in sent()] == ["ops@example.com"]
    Undeliverable.objects.create(address="ops@example.com", reason="bounced")
    settings.POLICYHUB_MAILS_PER_HOUR = 20
    services.deliver_due(now=NOW + timedelta(hours=1))
    services.deliver_due(now=NOW + timedelta(hours=1, seconds=1))

    assert [message.to for message in mail.outbox] == [["alice@example.com"]] * 2
    assert not Delivery.objects.filter(state__in=["pending", "held"]).exists()


def test_one_accounts_cap_is_not_anothers(opened, stranger, settings):
    settings.POLICYHUB_MAILS_PER_HOUR = 1
    for number in range(3):
        opened(number)
        opened(number, account=stranger)

    assert [to for to, _ in sent()] == ["alice@example.com", "charlie@example.com"]


def test_a_failed_attempt_takes_no_second_place_in_the_hour(opened, settings):
    settings.POLICYHUB_MAILS_PER_HOUR = 1
    opened()
    settings.EMAIL_BACKEND = "tests.alerts.test_outbox.Flaky"
    services.deliver_due(now=NOW)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    assert services.deliver_due(now=NOW + timedelta(seconds=10)) == 1


@pytest.mark.parametrize("used", [0, 1, 80, 99, 100, 250])
def test_the_gauge_is_made_of_cells_that_add_up(opened, used):
    opened(used=used, threshold=100, metric="tokens")
    services.deliver_due(now=NOW)

    ((html, _),) = mail.outbox[0].alternatives
    assert f"{used} % of the limit is used." in html
    assert f"{used} % of the limit is used." in mail.outbox[0].body
    full = min(used, 100)
    assert (f'width="{full}%"' in html) == (full > 0)
    assert (f'width="{100 - full}%"' in html) == (full < 100)
    for image in ("<img", "<svg", "data:"):
        assert image not in html


def test_alerts_say_what_to_do(opened):
    for kind in ("limit", "block", "revoke", "delivery_failing", "retention_overdue"):
        opened(kind=kind, counter=kind)
    services.deliver_due(now=NOW)

    for message in mail.outbox:
        assert "What to do: " in message.body
        assert Alert.objects.filter(kind="block").exists()
