"""Endpoints on pages: secrets shown once, faults beside the URL, log, redelivery."""

import re
from datetime import timedelta

import pytest

from accounts.models import Member
from accounts.sealing import unseal
from alerts.models import Delivery, Webhook
from alerts.services import create_webhook, send_test
from alerts.services.endpoints import signing_secrets

pytestmark = pytest.mark.django_db
AT = "/app/acme/webhooks/"
URL = "https://hooks.example.com/policyhub"
PART = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def webhook(account, actor, now):
    made, _ = create_webhook(account=account, url=URL, types=[], actor=actor, now=now)
    return made


@pytest.fixture
def at(webhook):
    return f"{AT}{webhook.public_id}/"


@pytest.fixture
def failed(webhook, actor, now):
    delivery = send_test(webhook=webhook, actor=actor, now=now)
    tried = {"at": "2026-03-01T12:00:00Z", "status": 500, "latency_ms": 31}
    delivery.tries = [{**tried, "error": "answered 500", "answer": "oh <no>"}]
    delivery.state, delivery.attempts = "failed", 8
    delivery.last_error = "answered 500"
    delivery.save()
    return delivery


def shown(browser, address):
    return browser.get(address).content.decode()


def secret_of(answer):
    page = answer.content.decode()
    return re.search(r'id="code-secret"[^>]*>(whsec_[^<]+)<', page)[1]


def test_an_endpoint_is_added_and_its_secret_shown_once(browser, account):
    typed = {"url": URL, "event_types": ["policy.triggered", "bot.blocked"]}
    secret = secret_of(browser.post(f"{AT}new/", typed))
    webhook = Webhook.objects.get()
    assert unseal(webhook.secrets[0]["sealed"]) == secret
    assert webhook.event_types == ["policy.triggered", "bot.blocked"]
    page = shown(browser, f"{AT}{webhook.public_id}/")
    assert secret not in page
    assert "policy.triggered" in page
    assert URL in shown(browser, AT)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example.com/", "must start with https://"),
        ("https://127.0.0.1/", "not public (loopback)"),
        ("https://169.254.169.254/latest", "not public"),
        ("https://hooks.example.com:22/", "must use port 443 or 8443"),
        ("https://internal/", "private network"),
        ("", "required"),
        ("not an url", "must read https://host/path"),
    ],
)
def test_what_may_not_be_called_is_told_beside_the_url(browser, account, url, why):
    answer = browser.post(f"{AT}new/", {"url": url})
    page = answer.content.decode()
    assert answer.status_code == 422
    beside = page.split('id="id_url_error"')[1].split("</ul>")[0]
    assert why in beside
    assert not Webhook.objects.exists()


def test_an_endpoint_is_changed(browser, webhook, at):
    page = shown(browser, f"{at}edit/")
    assert f'value="{URL}"' in page
    typed = {"url": f"{URL}/2", "description": "on call", "everything": "on"}
    assert browser.post(f"{at}edit/", typed).url == at
    webhook.refresh_from_db()
    assert (webhook.url, webhook.event_types) == (f"{URL}/2", ["*"])
    wrong = browser.post(f"{at}edit/", {"url": URL, "event_types": ["webhook.test"]})
    assert wrong.status_code == 422
    assert 'id="id_event_types_error"' in wrong.content.decode()


def test_both_secrets_sign_during_the_overlap(browser, webhook, at, now):
    (old,) = signing_secrets(webhook, now)
    new = secret_of(browser.post(f"{at}rotate/", {"overlap": "3600"}))
    webhook.refresh_from_db()
    assert signing_secrets(webhook, now) == [new, old]
    assert "signs too until" in shown(browser, at)
    browser.post(f"{at}rotate/", {"overlap": "0"})
    webhook.refresh_from_db()
    assert len(signing_secrets(webhook, now + timedelta(minutes=1))) == 1
    assert "signs too until" not in shown(browser, at)
    assert browser.post(f"{at}rotate/", {"overlap": "7"}).status_code == 422


def test_a_test_is_sent_from_the_list(browser, as_role, at):
    assert f'action="{at}test/"' in browser.get(AT).content.decode()
    assert "test/" not in as_role("viewer").get(AT).content.decode()


def test_a_test_is_sent_and_seen_in_the_log(browser, at):
    answer = browser.post(f"{at}test/")
    assert answer.url == f"{at}#log"
    page = shown(browser, at)
    assert "webhook.test" in page
    assert Delivery.objects.get().public_id in page
    assert "requested_by" in page


def test_the_log_shows_every_attempt_and_sends_again(browser, at, failed):
    page = shown(browser, at)
    for text in ("answered 500", "31 ms", "oh &lt;no&gt;", "8 attempts"):
        assert text in page
    part = browser.get(f"{at}?state=sent", **PART).content.decode()
    assert "<html" not in part
    assert "No message fits" in part
    assert failed.public_id in shown(browser, f"{at}?state=failed&type=webhook.test")
    again = f"{at}deliveries/{failed.public_id}/redeliver/"
    for address in (again, f"{at}redeliver/"):
        Delivery.objects.update(state="failed")
        answer = browser.post(address, follow=True)
        assert "1 message goes out again" in answer.content.decode()
        assert Delivery.objects.get().state == "pending"
    answer = browser.post(f"{at}redeliver/", follow=True)
    assert "Nothing had failed" in answer.content.decode()
    assert browser.post(f"{at}deliveries/dlv_x/redeliver/").status_code == 404


def test_a_disabled_endpoint_names_the_next_step(browser, webhook, at, failed, now):
    Webhook.objects.update(failing_since=now)
    assert "it is disabled on" in shown(browser, at)
    assert "Failing" in shown(browser, AT)
    why = "it has failed for 5 days, last: answered 500"
    Webhook.objects.update(enabled=False, disabled_at=now, disabled_reason=why)
    page = shown(browser, at)
    assert why in page
    assert "send again what failed" in page
    refused = browser.post(f"{at}redeliver/", follow=True).content.decode()
    assert "The endpoint is disabled; enable it first." in refused
    browser.post(f"{at}enable/")
    webhook.refresh_from_db()
    assert webhook.enabled
    assert webhook.failing_since is None
    browser.post(f"{at}disable/")
    assert "Nothing is sent here until" in shown(browser, at)


def test_deleting_asks_for_the_host(browser, at, failed):
    assert browser.post(f"{at}delete/", {"name": "hooks"}).status_code == 422
    assert browser.post(f"{at}delete/", {"name": "hooks.example.com"}).url == AT
    assert not Webhook.objects.exists()


def test_a_viewer_reads_and_does_nothing(as_role, at, failed):
    client = as_role(Member.Role.VIEWER)
    page = shown(client, at)
    assert "answered 500" in page
    assert "<form method" not in page.split("<main")[1].replace(
        '<form class="facet-grid', ""
    )
    for step in ("test", "rotate", "enable", "disable", "delete", "edit", "redeliver"):
        assert client.post(f"{at}{step}/").status_code == 403
