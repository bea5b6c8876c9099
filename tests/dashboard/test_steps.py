"""What people do on the pages: block, clear, reset, acknowledge, make keys."""

import re

import pytest

from accounts.keys import digest, well_formed
from accounts.models import ApiKey, Bot
from alerts.models import Delivery
from alerts.services import deliver_due
from policies.models import Block, Policy
from usage import ledger
from usage.entries import CallIn

pytestmark = pytest.mark.django_db


def allowed(account, bot, now):
    call = CallIn(bot=bot.public_id, estimate={"tokens": 1})
    return ledger.authorize(account=account, call=call, now=now).body["allowed"]


def page(browser, address):
    return browser.get(address, follow=True).content.decode()


def test_a_bot_is_registered_and_changed(browser, account):
    typed = {"name": "Crawler", "external_id": "crawler-1", "owner": "ops"}
    answer = browser.post("/app/acme/bots/new/", typed)
    bot = Bot.objects.get()
    assert answer.url == f"/app/acme/bots/{bot.public_id}/"
    browser.post(f"{answer.url}edit/", {**typed, "name": "Spider"})
    bot.refresh_from_db()
    assert (bot.name, bot.external_id, bot.owner) == ("Spider", "crawler-1", "ops")


def test_a_taken_id_is_told_beside_its_field(browser, bot):
    bot.external_id = "desk"
    bot.save()
    typed = {"name": "Second", "external_id": "desk"}
    answer = browser.post("/app/acme/bots/new/", typed)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert 'id="id_external_id_error"' in text
    assert 'value="Second"' in text
    assert Bot.objects.count() == 1


def test_a_bot_is_blocked_and_unblocked(browser, account, bot, now):
    at = f"/app/acme/bots/{bot.public_id}/"
    browser.post(f"{at}block/", {"reason": "too loud", "seconds": "3600"})
    assert not allowed(account, bot, now)
    shown = page(browser, at)
    assert "Paused" in shown
    assert "too loud" in shown
    browser.post(f"{at}unblock/", {"reason": "calm again"})
    assert allowed(account, bot, now)
    assert Block.objects.get().lift_reason == "calm again"


def test_a_block_needs_a_reason_and_keeps_its_length(browser, bot):
    at = f"/app/acme/bots/{bot.public_id}/block/"
    answer = browser.post(at, {"reason": " ", "seconds": "86400"})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert '<option value="86400" selected>' in text
    assert 'id="block_reason_error"' in text
    assert not Block.objects.exists()


def test_a_shared_block_is_not_lifted_from_one_bot(browser, account, policy, bot, now):
    policy.scope_bot = None
    policy.document["scope"] = {}
    policy.save()
    ledger.record_events(
        account=account,
        events=[ledger.EventIn(bot=bot.public_id, tokens=1000)],
        now=now,
    )
    at = f"/app/acme/bots/{bot.public_id}/"
    answer = browser.post(f"{at}unblock/", {"reason": "please"}, follow=True)
    assert "covers" in answer.content.decode()
    assert Block.objects.get().lifted_at is None


def test_revoking_asks_for_the_name(browser, bot):
    at = f"/app/acme/bots/{bot.public_id}/"
    answer = browser.post(f"{at}revoke/", {"name": "support", "reason": "leaked"})
    assert answer.status_code == 422
    assert "This is not the name." in answer.content.decode()
    bot.refresh_from_db()
    assert bot.state == "active"
    browser.post(f"{at}revoke/", {"name": bot.name, "reason": "leaked"})
    bot.refresh_from_db()
    assert bot.state == "revoked"
    assert "Revoked" in page(browser, at)
    browser.post(f"{at}restore/", {"reason": "new key"})
    bot.refresh_from_db()
    assert bot.state == "active"


def test_a_crossing_shows_everywhere(browser, account, bot, policy, crossed):
    assert "Triggered" in page(browser, "/app/acme/")
    assert "Paused" in page(browser, "/app/acme/bots/")
    assert "1,000 of 1,000 tokens" in page(browser, "/app/acme/policies/")
    shown = page(browser, f"/app/acme/policies/{policy.public_id}/")
    assert "Clear this block" in shown
    assert "Breached" in page(browser, "/app/acme/alerts/")


def test_a_block_is_cleared(browser, account, bot, policy, crossed, now):
    assert not allowed(account, bot, now)
    block = Block.objects.get()
    at = f"/app/acme/policies/{policy.public_id}/"
    address = f"{at}blocks/{block.public_id}/clear/"
    assert browser.post(address, {"reason": ""}).status_code == 422
    assert browser.post(address, {"reason": "paid for more"}).url == at
    assert allowed(account, bot, now)
    answer = browser.post(address, {"reason": "again"}, follow=True)
    assert "ended already" in answer.content.decode()


def test_counters_are_reset(browser, account, bot, policy, crossed, now):
    at = f"/app/acme/policies/{policy.public_id}/"
    browser.post(f"{at}reset/", {"period": "day", "reason": "a new start"})
    assert allowed(account, bot, now)
    assert "0 of 1,000 tokens" in page(browser, at)
    bad = browser.post(f"{at}reset/", {"period": "century", "reason": "x"})
    assert bad.status_code == 422


def test_a_policy_is_archived_by_name(browser, policy):
    at = f"/app/acme/policies/{policy.public_id}/"
    wrong = browser.post(f"{at}archive/", {"name": "daily", "reason": "done"})
    assert wrong.status_code == 422
    browser.post(f"{at}archive/", {"name": "Daily cap", "reason": "done"})
    assert Policy.objects.get().archived_at is not None
    assert "Archived" in page(browser, at)
    assert browser.get(f"{at}edit/").status_code == 404


def test_an_earlier_revision_comes_back(browser, policy, actor, now):
    at = f"/app/acme/policies/{policy.public_id}/"
    form = browser.get(f"{at}edit/").content.decode()
    assert "Save as revision 2" in form
    browser.post(f"{at}restore/1/")
    assert browser.post(f"{at}restore/99/").status_code == 404
    assert browser.post(f"{at}restore/99999999999999/").status_code == 404


def test_an_alert_shows_its_mail(browser, account, crossed, settings, tmp_path, now):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    assert deliver_due(now=now) > 0
    alert = account.alerts.get(step=100)
    shown = page(browser, f"/app/acme/alerts/{alert.public_id}/")
    assert "[PolicyHub] Limit reached: Daily cap" in shown
    assert "alice@example.com" in shown
    assert "What PolicyHub did" in shown


def test_an_alert_without_files_shows_its_deliveries_alone(browser, account, crossed):
    alert = account.alerts.get(step=100)
    shown = page(browser, f"/app/acme/alerts/{alert.public_id}/")
    assert "Waiting" in shown
    assert "written to the file" not in shown


def test_an_alert_is_acknowledged_once(browser, account, crossed):
    alert = account.alerts.get(step=100)
    at = f"/app/acme/alerts/{alert.public_id}/"
    browser.post(f"{at}ack/")
    alert.refresh_from_db()
    assert alert.acknowledged_by == "alice@example.com"
    assert f'action="{at}ack/"' not in page(browser, at)


def test_a_mail_is_sent_again(browser, account, crossed, now):
    deliver_due(now=now)
    delivery = Delivery.objects.filter(alert__step=100).get()
    browser.post(f"/app/acme/deliveries/{delivery.public_id}/resend/")
    delivery.refresh_from_db()
    assert delivery.state == "pending"


def test_a_key_is_shown_once(browser, account, settings):
    typed = {"name": "CI", "use": "calls", "expires": "2592000"}
    answer = browser.post("/app/acme/keys/new/", typed)
    text = re.search(r'class="secret"[^>]*>([^<]+)<', answer.content.decode())[1]
    key = ApiKey.objects.get()
    assert well_formed(text)
    assert key.digest == digest(text, settings.POLICYHUB_KEY_PEPPER)
    assert "decide" in key.scopes
    assert text not in page(browser, "/app/acme/keys/")
    assert answer["Cache-Control"] == "no-store"


def test_a_key_needs_a_name(browser, account):
    answer = browser.post("/app/acme/keys/new/", {"name": "", "use": "all"})
    assert answer.status_code == 422
    assert not ApiKey.objects.exists()


def test_a_key_is_rotated_and_revoked(browser, key):
    made = browser.post(f"/app/acme/keys/{key.public_id}/rotate/")
    assert "Your new key" in made.content.decode()
    at = f"/app/acme/keys/{key.public_id}/revoke/"
    wrong = browser.post(at, {"name": "nope", "reason": "leaked"})
    assert wrong.status_code == 422
    assert 'value="leaked"' in wrong.content.decode()
    browser.post(at, {"name": key.last4, "reason": "leaked"})
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert "Revoked" in page(browser, "/app/acme/keys/")
    again = browser.post(f"/app/acme/keys/{key.public_id}/rotate/")
    assert again.status_code == 409


def test_log_in_by_e_mail(client, account):
    from tests.dashboard.conftest import PASSWORD

    typed = {"login": "alice@example.com", "password": PASSWORD}
    answer = client.post("/accounts/login/", typed, follow=True)
    assert answer.request["PATH_INFO"] == "/app/acme/"


def test_a_wrong_password_keeps_the_address(client, account):
    typed = {"login": "alice@example.com", "password": "wrong"}
    answer = client.post("/accounts/login/", typed)
    assert 'value="alice@example.com"' in answer.content.decode()
    assert 'role="alert"' in answer.content.decode()
