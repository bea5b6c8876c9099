"""The inbox: who has seen what, why it is empty, who is told and whether it arrives."""

from datetime import timedelta

import pytest

from alerts.models import Alert, Delivery, Recipient, Undeliverable
from alerts.services import deliver_due
from policies.rules import parse
from policies.services import revoke_bot
from tests.dashboard.conftest import usage_document
from usage import edits, ledger
from usage.entries import EventIn

pytestmark = pytest.mark.django_db
AT = "/app/acme/alerts/"
PART = {"HTTP_HX_REQUEST": "true"}


def shown(browser, query=""):
    return browser.get(f"{AT}{query}").content.decode()


def test_an_alert_goes_from_open_to_acknowledged_to_resolved(browser, account, crossed):
    alert = account.alerts.get(step=100)
    page = shown(browser)
    assert alert.public_id in page
    assert "1,000 of 1,000 tokens · 100&nbsp;%" in page
    assert "tokens used" not in page  # it stands beside the picture
    said = shown(browser, f"{alert.public_id}/")
    assert '<p class="lead">1,000 of 1,000 tokens used</p>' in said
    answer = browser.post(f"{AT}{alert.public_id}/ack/", {"back": "list"})
    assert answer.url == AT
    assert alert.public_id not in shown(browser)
    assert alert.public_id in shown(browser, "?state=acknowledged")
    Alert.objects.filter(id=alert.id).update(state="resolved")
    assert alert.public_id not in shown(browser, "?state=acknowledged")
    assert alert.public_id in shown(browser, "?state=resolved")
    assert alert.public_id in shown(browser, "?state=all")


def test_an_alert_says_whom_it_is_about(browser, account, bot, crossed):
    alert = account.alerts.get(step=100)
    subject = [["user", "u-7"], ["bot", bot.public_id], ["model", None]]
    Alert.objects.filter(id=alert.id).update(subject=subject)
    assert f"user u-7, bot {bot.name}, no model" in shown(browser)


def test_filters_are_in_the_address(browser, account, crossed, policy):
    alert = account.alerts.get(step=100).public_id
    for query in ("kind=limit", f"policy={policy.public_id}", "kind=zz&policy=pol_x"):
        assert alert in shown(browser, f"?{query}")
    assert "No alert fits" in shown(browser, "?kind=forecast")
    part = browser.get(f"{AT}?kind=limit&state=open", **PART).content.decode()
    assert "<html" not in part
    assert 'href="?state=resolved&amp;kind=limit"' in part


def test_an_empty_inbox_names_the_nearest_cap(browser, account, bot, policy, now):
    assert "The nearest limit is 0 % of “Daily cap”." in shown(browser)
    event = EventIn(bot=bot.public_id, tokens=620)
    ledger.record_events(account=account, events=[event], now=now)
    page = shown(browser)
    assert "The nearest limit is 62 % of “Daily cap”." in page
    assert f'href="/app/acme/policies/{policy.public_id}/"' in page


def test_an_alert_has_its_picture_and_every_attempt(browser, account, crossed, now):
    deliver_due(now=now)
    alert = account.alerts.get(step=100)
    mail = Delivery.objects.get(alert=alert)
    tried = {"at": "2026-03-01T12:00:00Z", "status": 503, "latency_ms": 17}
    Delivery.objects.create(
        account=account,
        alert=alert,
        channel="webhook",
        recipient="whk_gone",
        state="failed",
        last_error="answered 503",
        tries=[{**tried, "error": "answered 503", "answer": "<b>busy</b>"}],
    )
    page = shown(browser, f"{alert.public_id}/")
    assert mail.public_id in page
    assert "step-mark" in page
    assert f"/decisions/?bot={alert.bot_id}&amp;since=" in page
    assert "What PolicyHub did" in page or "refused" in page
    for text in ("answered 503", "17 ms", "&lt;b&gt;busy&lt;/b&gt;", "whk_gone"):
        assert text in page


def test_recipients_and_their_states(browser, account, actor, policy, now):
    wanted = [f"{name}@example.com" for name in ("ops", "new", "gone", "Alice", "yes")]
    document = usage_document(name="Told", actions={"email": {"to": wanted}})
    edits.create_policy(account=account, document=parse(document), actor=actor, now=now)
    Recipient.objects.create(account=account, address="ops@example.com", asked_at=now)
    Recipient.objects.create(
        account=account, address="yes@example.com", asked_at=now, confirmed_at=now
    )
    Undeliverable.objects.create(address="GONE@example.com", reason="bounced")
    page = shown(browser, "recipients/")
    for word in ("Not confirmed", "Not asked yet", "Bounced", "Confirmed", "Member"):
        assert page.count(f"{word}</span>") == 1, word
    assert page.count("Send test") == 2
    at = f"{AT}recipients/test/"
    answer = browser.post(at, {"address": "YES@example.com"}, follow=True)
    assert "A test to yes@example.com goes out" in answer.content.decode()
    assert Delivery.objects.get().purpose == "test"
    answer = browser.post(at, {"address": "ops@example.com"}, follow=True)
    assert "has not confirmed yet" in answer.content.decode()
    for stranger in ("eve@example.com", "", "x" * 400, "a\x00b"):
        answer = browser.post(at, {"address": stranger}, follow=True)
        assert "Nobody with this address is told." in answer.content.decode()
    deliver_due(now=now + timedelta(minutes=5))
    assert "Sent</span>" in shown(browser, "recipients/")
    assert Delivery.objects.count() == 1


def test_an_alert_without_a_policy_speaks_of_none(browser, account, bot, actor, now):
    revoke_bot(bot=bot, reason="It loops.", actor=actor, now=now)
    page = shown(browser, f"{account.alerts.get(kind='revoke').public_id}/")
    assert "Nobody got a mail about this." in page
    # An address is no word that begins a sentence.
    assert "alice@example.com" in page
    assert "Alice@example.com" not in page
