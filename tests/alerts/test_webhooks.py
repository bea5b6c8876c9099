"""From an alert to an endpoint: signed, once each, tried again, given up in the end."""

import json
import threading
import time
from datetime import datetime, timedelta

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from accounts.actors import SYSTEM
from accounts.errors import NotFound
from alerts import hooks, services
from alerts.models import Alert, Delivery, Notice, Webhook
from tests.alerts.conftest import NOW
from tests.alerts.sink import PRIVATE, Sink

pytestmark = pytest.mark.django_db


@pytest.fixture
def sink(settings):
    settings.POLICYHUB_PRIVATE_URLS = PRIVATE
    made = Sink()
    yield made
    made.close()


@pytest.fixture
def register(account, sink):
    def one(*types, url=None, now=NOW, **options):
        return services.create_webhook(
            account=account,
            url=url or sink.url,
            types=types,
            actor=SYSTEM,
            now=now,
            **options,
        )

    return one


def run(now=NOW):
    """Do what the worker does, until nothing is left to do at this moment."""
    services.announce_due(now=now)
    services.dispatch_due(now=now)
    return services.post_due(now=now)


def types_of(sink):
    return [json.loads(each.body)["type"] for each in sink.received]


def test_an_alert_reaches_an_endpoint_signed(opened, register, sink):
    now = timezone.now()
    webhook, secret = register("alert.opened")
    alert = opened(used=1000, threshold=1000, metric="tokens", step=100)

    assert run(now) == 1

    (request,) = sink.received
    body = Verifier(secret).verify(request.body, request.headers)
    assert body["type"] == "alert.opened"
    assert datetime.fromisoformat(body["timestamp"]) == NOW
    assert body["data"]["id"] == alert.public_id
    assert (body["data"]["used"], body["data"]["state"]) == (1000, "breached")
    delivery = Delivery.objects.get(channel="webhook")
    assert request.headers["webhook-id"] == delivery.public_id
    assert request.headers["content-type"] == "application/json"
    assert delivery.state == "sent"
    assert delivery.tries[0]["status"] == 200
    assert delivery.tries[0]["answer"] == "thanks"
    webhook.refresh_from_db()
    assert webhook.last_success_at is not None
    with pytest.raises(WebhookVerificationError):
        Verifier("whsec_" + "A" * 44).verify(request.body, request.headers)


def test_an_endpoint_hears_the_state_that_an_alert_opened_in(opened, register, sink):
    register("alert.opened")
    opened(1, kind="forecast", state="warning")
    opened(2, kind="unblock", state="resolved", resolved_at=NOW)
    opened(3, step=50, state="resolved", resolved_at=NOW)
    run()

    told = [json.loads(each.body)["data"] for each in sink.received]
    found = {row["kind"]: (row["state"], bool(row["resolved_at"])) for row in told}
    assert found == {
        "forecast": ("warning", False),
        "unblock": ("resolved", True),
        "limit": ("warning", False),
    }


def test_an_endpoint_hears_of_what_it_wants_once(opened, register, sink):
    webhook, _ = register("policy.triggered", "alert.resolved")
    alert = opened(recipients=[("webhook", webhook.public_id)])
    opened(2, step=80, state="warning")

    run()
    run()
    assert types_of(sink) == ["policy.triggered"]
    services.resolve_alert(alert_id=alert.id, now=NOW)
    run()
    run()

    assert types_of(sink) == ["policy.triggered", "alert.resolved"]
    ids = [each.headers["webhook-id"] for each in sink.received]
    assert len(set(ids)) == 2


def test_an_endpoint_that_only_a_policy_names_hears_of_each_step(
    opened, register, sink
):
    webhook, _ = register()
    named = [("webhook", webhook.public_id)]
    opened(1, named, step=80, state="warning")
    opened(1, named, step=100)

    run()

    assert sorted(types_of(sink)) == ["alert.opened", "policy.triggered"]


def test_a_shadow_alert_triggers_nothing(opened, register, sink):
    register("*")
    opened(enforced=False)

    run()

    assert types_of(sink) == ["alert.opened"]


def test_both_secrets_sign_during_the_overlap(opened, register, sink):
    webhook, old = register("*")
    now = timezone.now()
    webhook, new = services.rotate_secret(
        webhook=webhook, overlap_seconds=60, actor=SYSTEM, now=now
    )
    opened(1)
    run(now)
    opened(2)
    run(now + timedelta(seconds=61))

    first, later = sink.received[0], sink.received[-1]
    for secret in (old, new):
        Verifier(secret).verify(first.body, first.headers)
    assert len(later.headers["webhook-signature"].split()) == 1


def test_a_failed_message_is_tried_eight_times_in_a_day_under_one_id(
    opened, register, sink
):
    register("alert.opened")
    sink.status, sink.answer = 503, b"x" * 5_000
    opened()
    now = NOW
    run(now)
    while (delivery := Delivery.objects.get(channel="webhook")).state == "pending":
        now = delivery.next_attempt_at
        run(now)

    assert delivery.attempts == 8
    assert timedelta(hours=20) < now - NOW < timedelta(hours=28)
    assert len({each.headers["webhook-id"] for each in sink.received}) == 1
    assert len({each.body for each in sink.received}) == 1
    assert delivery.tries[-1]["status"] == 503
    assert len(delivery.tries[-1]["answer"]) == 1_024
    assert Webhook.objects.get().failing_since - NOW < timedelta(seconds=9)

    sink.status = 200
    webhook = Webhook.objects.get()
    assert services.redeliver(webhook=webhook, actor=SYSTEM, now=now) == 1
    run(now)
    assert Delivery.objects.get(channel="webhook").state == "sent"
    assert Webhook.objects.get().failing_since is None


def test_five_days_of_failure_disable_an_endpoint_with_an_alert(
    account, opened, register, sink
):
    webhook, _ = register("alert.opened")
    sink.status = 500
    opened(1)
    run()
    almost = NOW + timedelta(days=5) - timedelta(minutes=1)
    opened(2, now=almost)
    run(almost)
    assert Webhook.objects.get().enabled
    opened(3, now=almost + timedelta(minutes=2))
    run(almost + timedelta(minutes=2))

    webhook.refresh_from_db()
    assert not webhook.enabled
    assert "5 days" in webhook.disabled_reason
    alert = Alert.objects.get(kind="delivery_failing")
    assert webhook.url in alert.message
    mail.outbox.clear()
    services.deliver_due(now=almost + timedelta(minutes=2))
    subjects = [message.subject for message in mail.outbox]
    assert any("endpoint was disabled" in subject for subject in subjects)

    services.update_webhook(
        webhook=webhook, changes={"enabled": True}, actor=SYSTEM, now=NOW
    )
    webhook.refresh_from_db()
    assert (webhook.enabled, webhook.failing_since) == (True, None)
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_who_is_gone_is_left_alone(opened, register, sink):
    webhook, _ = register("alert.opened")
    sink.status = 410
    opened()

    run()

    webhook.refresh_from_db()
    assert (webhook.enabled, Delivery.objects.get(channel="webhook").state) == (
        False,
        "failed",
    )


def test_what_waits_for_a_deleted_or_disabled_endpoint_is_given_up(
    opened, register, sink
):
    webhook, _ = register("alert.opened")
    opened()
    services.announce_due(now=NOW)
    services.dispatch_due(now=NOW)
    services.update_webhook(
        webhook=webhook, changes={"enabled": False}, actor=SYSTEM, now=NOW
    )
    run()
    assert "disabled" in Delivery.objects.get(channel="webhook").last_error
    services.delete_webhook(webhook=webhook, actor=SYSTEM, now=NOW)
    opened(2, recipients=[("webhook", webhook.public_id)])
    run()

    assert sink.received == []
    assert set(
        Delivery.objects.filter(channel="webhook").values_list("state", flat=True)
    ) == {"failed"}


def test_an_endpoint_that_somebody_else_has_just_deleted_is_not_found(register):
    webhook, _ = register()
    services.delete_webhook(webhook=webhook, actor=SYSTEM, now=NOW)

    with pytest.raises(NotFound):
        services.update_webhook(
            webhook=webhook, changes={"enabled": False}, actor=SYSTEM, now=NOW
        )
    with pytest.raises(NotFound):
        services.rotate_secret(webhook=webhook, actor=SYSTEM, now=NOW)
    with pytest.raises(NotFound):
        services.delete_webhook(webhook=webhook, actor=SYSTEM, now=NOW)


def test_a_disabled_endpoint_can_still_be_tested(register, sink):
    webhook, _ = register(enabled=False)
    services.send_test(webhook=webhook, actor=SYSTEM, now=NOW)

    run()

    assert types_of(sink) == ["webhook.test"]


def test_an_url_that_became_private_is_not_called(opened, register, sink, settings):
    register("alert.opened")
    opened()
    settings.POLICYHUB_PRIVATE_URLS = []

    run()

    assert sink.received == []
    assert "may not be called" in Delivery.objects.get(channel="webhook").last_error


def test_a_stranger_hears_nothing(opened, stranger, sink, settings):
    services.create_webhook(
        account=stranger, url=sink.url, types=["*"], actor=SYSTEM, now=NOW
    )
    opened()

    run()

    assert sink.received == []


def test_a_slow_endpoint_delays_itself_alone(opened, register, sink):
    slow = Sink(delay=0.5)
    register("alert.opened", url=slow.url)
    register("alert.opened")
    for number in range(12):
        opened(number)
    services.announce_due(now=NOW)
    services.dispatch_due(now=NOW)
    done = []

    def watch():
        while len(sink.received) < 12:
            time.sleep(0.005)
        done.append(len(slow.received))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    services.post_due(now=NOW)
    watcher.join(60)
    slow.close()

    assert done
    assert done[0] <= 12
    assert len(slow.received) == 12


@pytest.mark.django_db(transaction=True)
def test_many_workers_post_each_message_once(opened, register, sink):
    register("alert.opened")
    for number in range(30):
        opened(number)
    sent = []

    def work():
        try:
            sent.append(run())
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sent.append(run())

    assert sum(sent) == 30
    assert len({each.headers["webhook-id"] for each in sink.received}) == 30
    assert Notice.objects.count() == 60


def test_hooks_are_called_and_their_errors_isolated(opened, monkeypatch):
    heard = []

    def broken(event):
        raise RuntimeError("somebody else's code")

    pair = (("broken", broken), ("good", heard.append))
    monkeypatch.setattr(hooks, "hooks", lambda: pair)
    alert = opened()

    run()
    run()

    assert sorted(event["type"] for event in heard) == [
        "alert.opened",
        "policy.triggered",
    ]
    assert heard[0]["data"]["id"] == alert.public_id
    assert heard[0]["account"] == alert.account.public_id


def test_what_nobody_listens_to_is_not_kept(account, opened):
    opened()
    run()
    told = services.tell(
        account=account, event_type="policy.reset", key="x", data={}, now=NOW
    )

    assert not told
    assert not Notice.objects.exists()


def test_the_same_is_told_once(account, register, sink):
    register("policy.reset")
    for _ in range(2):
        services.tell(
            account=account, event_type="policy.reset", key="x", data={"a": 1}, now=NOW
        )
        run()

    assert types_of(sink) == ["policy.reset"]
    assert services.forget_told(now=NOW + timedelta(days=29)) == 0
    assert services.forget_told(now=NOW + timedelta(days=31)) == 1
