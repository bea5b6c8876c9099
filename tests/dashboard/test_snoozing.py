"""Alerts that are put aside: until when, by whom, and how they come back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.errors import AlertNotOpen, InvalidBody
from accounts.models import Member
from accounts.selectors import changes
from alerts.models import Alert
from alerts.selectors import inbox
from alerts.services import acknowledge, snooze, wake
from dashboard.snoozing import _end
from tests.dashboard.conftest import logged_in
from usage import ledger
from usage.entries import EventIn

pytestmark = pytest.mark.django_db
AT = "/app/acme/alerts/"
HOUR = timedelta(hours=1)


@pytest.fixture
def alert(account, crossed):
    return account.alerts.get(step=100)


def shown(browser, query=""):
    return browser.get(f"{AT}{query}").content.decode()


def test_it_leaves_the_open_list_and_returns_by_itself(browser, account, alert):
    badge = '<span class="count"'
    assert shown(browser).count(badge) == 1
    for name in ("1h", "4h", "tomorrow"):
        assert f'name="span" value="{name}"' in shown(browser)
    answer = browser.post(f"{AT}{alert.public_id}/snooze/", {"span": "4h"})
    assert answer.url == f"{AT}{alert.public_id}/"
    alert.refresh_from_db()
    assert timedelta(hours=3) < alert.snoozed_until - timezone.now() < 4.1 * HOUR
    assert alert.snoozed_by == "alice@example.com"
    assert alert.public_id not in shown(browser)
    assert alert.public_id in shown(browser, "?state=snoozed")
    assert "Snoozed</span>" in shown(browser, "?state=all")
    assert "Bring it back now" in shown(browser, f"{alert.public_id}/")
    Alert.objects.filter(id=alert.id).update(
        snoozed_until=timezone.now() - timedelta(seconds=1)
    )
    assert alert.public_id in shown(browser)
    assert alert.public_id not in shown(browser, "?state=snoozed")


def test_the_overview_and_the_count_leave_it_out(browser, account, alert, now):
    others = account.alerts.exclude(id=alert.id)
    others.update(state="resolved")
    assert alert.public_id in browser.get("/app/acme/").content.decode()
    snooze(alert=alert, until=now + HOUR, actor=SYSTEM, now=now)
    page = browser.get("/app/acme/").content.decode()
    assert alert.public_id not in page
    assert '<span class="count"' not in page


def test_another_window_is_never_hidden(browser, account, bot, alert, now):
    snooze(alert=alert, until=now + 80 * 24 * HOUR, actor=SYSTEM, now=now)
    later = now + timedelta(days=2)
    event = EventIn(bot=bot.public_id, tokens=1000)
    ledger.record_events(account=account, events=[event], now=later)
    fresh = account.alerts.get(step=100, created_at=later)
    assert fresh.id != alert.id
    assert fresh in inbox(account, "open", later)
    assert fresh.public_id in shown(browser)


def test_it_is_brought_back(browser, account, alert, now):
    snooze(alert=alert, until=now + HOUR, actor=SYSTEM, now=now)
    sent = {"back": "list"}
    assert browser.post(f"{AT}{alert.public_id}/wake/", sent).url == AT
    assert alert.public_id in shown(browser)
    kept = [row.action for row in changes(account, target=alert.public_id)]
    assert kept == ["alert.woken", "alert.snoozed"]


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"span": "never"},
        {"span": "custom"},
        {"span": "custom", "until": "soon"},
        {"span": "custom", "until": "2001-01-01T09:00"},
        {"span": "custom", "until": "9000-01-01T09:00"},
        {"span": "custom", "until": "\x00"},
    ],
)
def test_a_moment_that_is_none_comes_back(browser, alert, typed):
    answer = browser.post(f"{AT}{alert.public_id}/snooze/", typed)
    assert answer.status_code == 422
    assert 'class="wrong"' in answer.content.decode()
    alert.refresh_from_db()
    assert alert.snoozed_until is None


def test_a_chosen_moment_is_of_the_accounts_zone(browser, account, alert, now):
    account.timezone = "Asia/Kolkata"
    account.save()
    day = (now + timedelta(days=3)).date()
    typed = {"span": "custom", "until": f"{day}T09:30"}
    browser.post(f"{AT}{alert.public_id}/snooze/", typed)
    alert.refresh_from_db()
    assert alert.snoozed_until == datetime(day.year, day.month, day.day, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        ("2026-03-18T08:00", "UTC", "2026-03-19T09:00"),
        ("2026-03-18T23:30", "Asia/Tokyo", "2026-03-20T09:00"),
        ("2026-10-24T12:00", "Europe/Vienna", "2026-10-25T09:00"),
        ("2026-03-28T12:00", "Europe/Vienna", "2026-03-29T09:00"),
    ],
)
def test_tomorrow_is_a_morning_there(now, zone, expected):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    local = datetime.fromisoformat(expected).replace(tzinfo=ZoneInfo(zone))
    assert _end("tomorrow", moment, zone) == local.astimezone(UTC)


def test_only_open_ones_are_put_aside(account, alert, now):
    for until in (now, now - HOUR, now + timedelta(days=91)):
        with pytest.raises(InvalidBody):
            snooze(alert=alert, until=until, actor=SYSTEM, now=now)
    acknowledge(alert=alert, actor=SYSTEM, now=now)
    resolved = account.alerts.get(step=80)
    Alert.objects.filter(id=resolved.id).update(state="resolved")
    for each in (alert, resolved):
        with pytest.raises(AlertNotOpen):
            snooze(alert=each, until=now + HOUR, actor=SYSTEM, now=now)
        with pytest.raises(AlertNotOpen):
            wake(alert=each, actor=SYSTEM, now=now)


def test_the_same_moment_twice_is_one_change(account, alert, now):
    for _ in range(2):
        snooze(alert=alert, until=now + HOUR, actor=SYSTEM, now=now)
    assert changes(account, target=alert.public_id).count() == 1


@pytest.mark.parametrize("role", [Member.Role.AUDITOR, Member.Role.VIEWER])
def test_readers_put_nothing_aside(role, as_role, alert):
    client = as_role(role)
    assert "/snooze/" not in client.get(AT).content.decode()
    for step in ("snooze", "wake"):
        at = f"{AT}{alert.public_id}/{step}/"
        assert client.post(at, {"span": "1h"}).status_code == 403
    assert 'id="snooze"' not in client.get(f"{AT}{alert.public_id}/").content.decode()


def test_alerts_of_others_are_absent(alert, charlie):
    stranger = logged_in(charlie)
    for slug in ("acme", "globex"):
        at = f"/app/{slug}/alerts/{alert.public_id}/snooze/"
        assert stranger.post(at, {"span": "1h"}).status_code == 404
    alert.refresh_from_db()
    assert alert.snoozed_until is None
