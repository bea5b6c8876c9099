"""The outbox: one alert a crossing, claimed once, sent at least once (CONTRACT D)."""

import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.test import override_settings

from accounts.actors import SYSTEM
from accounts.errors import NotFound
from accounts.models import ChangeRecord, Member, Person
from accounts.services import add_member
from alerts import selectors, services, tasks
from alerts.backoff import WAITS
from alerts.models import Alert, Delivery
from tests.alerts.conftest import NOW

pytestmark = pytest.mark.django_db


class Flaky(BaseEmailBackend):
    """A mail server that is away."""

    def send_messages(self, messages):
        raise ConnectionRefusedError("nobody listens")


AWAY = override_settings(EMAIL_BACKEND="tests.alerts.test_outbox.Flaky")


def test_an_alert_is_opened_once(opened):
    assert opened() is not None
    assert opened() is None
    assert Alert.objects.count() == 1
    assert Delivery.objects.count() == 1


def test_a_due_message_is_sent_once(opened):
    opened()

    assert services.deliver_due(now=NOW) == 1
    assert services.deliver_due(now=NOW) == 0

    sent = Delivery.objects.get()
    assert sent.state == "sent"
    assert sent.sent_at is not None
    assert len(mail.outbox) == 1


def test_owners_get_one_mail_together(account, opened):
    bob = Person.objects.create_user("bob@example.com")
    add_member(
        account=account, person=bob, role=Member.Role.OWNER, actor=SYSTEM, now=NOW
    )
    opened()

    services.deliver_due(now=NOW)

    (message,) = mail.outbox
    assert sorted(message.to) == ["alice@example.com", "bob@example.com"]


def test_an_account_without_owners_fails_loudly(account, opened):
    account.members.all().delete()
    opened()

    assert services.deliver_due(now=NOW) == 0
    assert "no active owner" in Delivery.objects.get().last_error


@AWAY
def test_a_failed_message_backs_off_and_is_given_up_after_eight_attempts(opened):
    opened()
    now, waits = NOW, []
    for _ in range(8):
        assert services.deliver_due(now=now) == 0
        delivery = Delivery.objects.get()
        waits.append(round((delivery.next_attempt_at - now).total_seconds()))
        now = delivery.next_attempt_at + timedelta(seconds=1)

    for wait, usual in zip(waits, WAITS, strict=False):
        assert 0.9 * usual - 1 <= wait <= 1.1 * usual + 1
    assert sum(WAITS) == pytest.approx(86_400, rel=0.02)
    assert delivery.state == "failed"
    assert delivery.attempts == 8
    assert "nobody listens" in delivery.last_error


@AWAY
def test_a_failed_message_does_not_hold_up_the_others(opened):
    opened(1)
    opened(2)

    services.deliver_due(now=NOW)

    assert [d.attempts for d in Delivery.objects.all()] == [1, 1]


def test_the_message_id_is_the_same_at_every_attempt(opened):
    opened()
    with AWAY:
        services.deliver_due(now=NOW)
    services.deliver_due(now=NOW + timedelta(minutes=1))

    delivery = Delivery.objects.get()
    (message,) = mail.outbox
    assert message.message()["Message-ID"] == f"<{delivery.public_id}@policyhub>"


def test_a_claimed_message_is_left_alone_until_its_lease_ends(opened):
    opened()
    Delivery.objects.update(claimed_until=NOW + timedelta(seconds=60))

    assert services.deliver_due(now=NOW + timedelta(seconds=59)) == 0
    assert services.deliver_due(now=NOW + timedelta(seconds=60)) == 1


def test_webhooks_are_no_mail(opened):
    opened(recipients=[("webhook", "whk_1")])

    assert services.deliver_due(now=NOW) == 0
    assert Delivery.objects.get().state == "pending"


def test_the_lag_is_the_age_of_the_oldest_due_message(opened):
    assert selectors.outbox_lag(NOW) == 0
    opened()

    assert selectors.outbox_lag(NOW + timedelta(seconds=42)) == 42


def test_a_message_can_be_sent_again(opened):
    opened()
    services.deliver_due(now=NOW)

    services.resend(delivery=Delivery.objects.get(), actor=SYSTEM, now=NOW)

    assert services.deliver_due(now=NOW) == 1
    first, second = (message.message()["Message-ID"] for message in mail.outbox)
    assert first == second
    assert ChangeRecord.objects.filter(action="delivery.resent").count() == 1


def test_the_first_acknowledgement_stays(opened):
    alert = opened()

    services.acknowledge(alert=alert, actor=SYSTEM, now=NOW)
    later = services.acknowledge(
        alert=alert, actor=SYSTEM, now=NOW + timedelta(hours=1)
    )

    assert later.acknowledged_at == NOW
    assert ChangeRecord.objects.filter(action="alert.acknowledged").count() == 1


def test_alerts_without_a_counter_resolve_when_their_time_is_over(opened):
    over = opened(counter="", resets_at=NOW)
    opened(counter="", policy_id="pol_2", resets_at=NOW + timedelta(seconds=1))
    opened(counter="c", resets_at=NOW)

    assert services.resolve_due(now=NOW) == 1
    over.refresh_from_db()
    assert (over.state, over.resolved_at) == ("resolved", NOW)


def test_a_foreign_alert_looks_absent(opened, stranger):
    alert = opened()

    with pytest.raises(NotFound):
        selectors.alert_of(stranger, alert.public_id)
    with pytest.raises(NotFound):
        selectors.alert_of(alert.account, "alr_nonsense")
    with pytest.raises(NotFound):
        selectors.delivery_of(stranger, Delivery.objects.get().public_id)
    assert selectors.alert_of(alert.account, alert.public_id) == alert
    assert not selectors.alerts(stranger).exists()
    assert not selectors.deliveries(stranger).exists()


def test_alerts_are_listed_newest_first(opened):
    first = opened(1)
    second = opened(2, now=NOW + timedelta(seconds=1), state="warning")

    assert list(selectors.alerts(first.account)) == [second, first]
    assert list(selectors.alerts(first.account, "warning")) == [second]
    assert list(selectors.deliveries(first.account, first)) == list(
        first.deliveries.all()
    )


def test_the_task_sends_what_is_due(opened):
    opened(now=NOW - timedelta(days=365))

    assert tasks.deliver_due() == 1
    assert tasks.resolve_due() == 0


@pytest.mark.django_db(transaction=True)
def test_many_workers_send_each_message_once(opened, settings):
    settings.POLICYHUB_MAILS_PER_HOUR = 24
    for number in range(24):
        opened(number)
    sent = []

    def work():
        try:
            sent.append(services.deliver_due(now=NOW))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(sent) == 24
    names = [message.extra_headers["Message-ID"] for message in mail.outbox]
    assert len(names) == len(set(names)) == 24
    assert set(Delivery.objects.values_list("attempts", "state")) == {(1, "sent")}


@pytest.mark.django_db(transaction=True)
def test_two_writers_of_one_crossing_open_one_alert(opened):
    barrier = threading.Barrier(4)
    made = []

    def work():
        try:
            barrier.wait()
            made.append(opened())
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len([alert for alert in made if alert is not None]) == 1
    assert Delivery.objects.count() == 1
