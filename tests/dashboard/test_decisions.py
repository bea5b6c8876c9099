"""The explorer: facets in the address, a drawer that says why, exports, changes."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Member
from accounts.services import create_bot, create_project
from alerts.services import create_webhook, delete_webhook
from audit.models import DecisionRecord
from dashboard.target_names import target_names
from tests.dashboard.test_pages import INSIDE
from usage import ledger
from usage.entries import CallIn, EventIn

pytestmark = pytest.mark.django_db
AT = "/app/acme/decisions/"
PART = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def asked(account, bot, policy, actor, now):
    """One call that passed, one that was refused, one of another bot."""
    other = create_bot(account=account, name="Crawler", actor=actor, now=now)
    calls = [
        CallIn(bot=bot.public_id, user="u-1", model="small", estimate={"tokens": 5}),
        CallIn(bot=bot.public_id, model="large", estimate={"tokens": 1500}),
        CallIn(bot=other.public_id, estimate={"tokens": 5}),
    ]
    for call in calls:
        ledger.authorize(account=account, call=call, now=now)
    return list(DecisionRecord.objects.order_by("sequence"))


def rows(page):
    return re.findall(r'id="at-(dec_\w+)"', page)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3),
        ("decision=deny", 1),
        ("reason_code=limit_exceeded", 1),
        ("model=large", 1),
        ("user=u-1", 1),
        ("bot={bot}", 2),
        ("policy={policy}", 1),
        ("bot={bot}&decision=allow", 1),
        ("rollout_mode=shadow", 0),
        ("range=1h", 3),
        ("until=2020-01-01T00:00", 0),
        ("since=2020-01-01T00:00", 3),
        ("decision=maybe&reason_code=x&bot=bot_x&since=soon", 3),
    ],
)
def test_facets_are_in_the_address(browser, asked, bot, policy, query, count):
    query = query.format(bot=bot.public_id, policy=policy.public_id)
    page = browser.get(f"{AT}?{query}").content.decode()
    assert len(rows(page)) == count
    assert ("No decision fits these filters" in page) == (count == 0)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("name", ["since", "until"])
def test_the_ends_of_the_calendar_are_no_moments(browser, account, asked, name, zone):
    """In UTC they may lie beyond it."""
    account.timezone = zone
    account.save()
    for moment in ("0001-01-01T00:00", "9999-12-31T23:59"):
        answer = browser.get(f"/app/acme/decisions/?{name}={moment}")
        assert answer.status_code == 200
        assert "format=csv" in answer.content.decode()
        assert f"{name}=" not in answer.context["csv"]


def test_a_key_is_a_facet(browser, asked, key):
    record = asked[0]
    record.key_id = key.public_id
    record.save()
    page = browser.get(f"{AT}?key={key.public_id}").content.decode()
    assert rows(page) == [record.public_id]
    assert 'class="more" open' in page


def test_a_category_is_a_facet(browser, asked):
    record = asked[0]
    record.triggered_categories = ["card", "email"]
    record.save()
    page = browser.get(f"{AT}?category=card").content.decode()
    assert rows(page) == [record.public_id]
    assert "category=card" in page.partition('id="csv"')[2]
    assert rows(browser.get(f"{AT}?category=iban").content.decode()) == []


def test_a_part_has_a_tidy_address(browser, asked):
    query = "decision=deny&bot=&policy=&range="
    answer = browser.get(f"{AT}?{query}", **PART, HTTP_HX_TRIGGER="facets")
    page = answer.content.decode()
    assert answer["HX-Push-Url"] == f"{AT}?decision=deny"
    assert page.lstrip().startswith('<section class="card flush" id="found"')
    back = browser.get(f"{AT}?{query}", **PART, HTTP_HX_HISTORY_RESTORE_REQUEST="true")
    assert b"<html" in back.content


def test_the_tail_asks_once_and_gets_nothing_twice(browser, account, asked, bot, now):
    page = browser.get(f"{AT}?live=1&model=small").content.decode()
    address = re.search(r'hx-get="([^"]+newest=[^"]+)"', page)[1].replace("&amp;", "&")
    assert "model=small" in address
    assert browser.get(address, **PART).status_code == 204
    call = CallIn(bot=bot.public_id, model="small", estimate={"tokens": 5})
    ledger.authorize(account=account, call=call, now=now + timedelta(seconds=1))
    assert len(rows(browser.get(address, **PART).content.decode())) == 2
    assert "every 3s" not in browser.get(AT).content.decode()


def test_the_tail_is_reloaded_by_hand_without_scripts(browser, asked):
    page = browser.get(f"{AT}?live=1&model=small").content.decode()
    by_hand = re.search(r'<noscript><a [^>]*href="([^"]+)"', page)[1]
    again = browser.get(by_hand.replace("&amp;", "&")).content.decode()
    assert rows(again) == rows(page)
    assert 'class="pulse"' in again
    assert "<noscript>" not in browser.get(AT).content.decode()


def test_the_drawer_says_why(browser, account, asked, bot, policy, now):
    event = EventIn(bot=bot.public_id, tokens=200)
    ledger.record_events(account=account, events=[event], now=now)
    call = CallIn(bot=bot.public_id, estimate={"tokens": 900})
    ledger.authorize(account=account, call=call, now=now)
    record = DecisionRecord.objects.order_by("-sequence")[0]
    at = f"{AT}{record.public_id}/"
    part = browser.get(at, **PART).content.decode()
    page = browser.get(at).content.decode()
    assert "<html" not in part
    assert 'id="why-title"' in part
    for text in (part, page):
        assert "Daily cap" in text
        assert "200 of 1,000 tokens" in text
        assert "900 tokens" in text
        assert "100 too many" in text
        assert "Support bot" in text
        assert "Decided" in text
        assert not INSIDE.search(text)


def test_exports_are_the_apis(browser, asked, bot):
    page = browser.get(f"{AT}?bot={bot.public_id}&decision=allow&range=24h")
    links = re.findall(r'href="(/api/v1/audit/export[^"]+)"', page.content.decode())
    assert len(links) == 2
    for link in links:
        answer = browser.get(link.replace("&amp;", "&"))
        assert answer.status_code == 200, answer.content
        text = b"".join(answer.streaming_content).decode()
        assert asked[0].public_id in text
        assert asked[1].public_id not in text
        assert asked[2].public_id not in text


def test_an_owner_of_two_accounts_exports_the_one_they_look_at(browser, asked):
    link = re.search(r'href="(/api/v1/audit/export[^"]+)"', shown(browser))[1]
    assert "account=acme" in link


def shown(browser, address=AT):
    return browser.get(address).content.decode()


def test_changes_show_before_and_after(browser, bot, policy):
    typed = {"name": "Spider", "owner": "ops"}
    browser.post(f"/app/acme/bots/{bot.public_id}/edit/", typed)
    page = shown(browser, f"{AT}changes/?area=bot&actor=person")
    assert "<del>Support bot</del>" in page
    assert "<ins>Spider</ins>" in page
    assert "alice@example.com" in page
    assert "policy.created" not in page
    assert f'<a href="/app/acme/bots/{bot.public_id}/">Spider</a>' in page
    one = shown(browser, f"{AT}changes/?target={policy.public_id}")
    assert "policy.created" in one
    assert "bot.updated" not in one
    assert "No change fits" in shown(browser, f"{AT}changes/?target=pol_x")
    assert "bot.updated" in shown(browser, f"{AT}changes/?area=zz&actor=zz")
    part = browser.get(f"{AT}changes/", **PART).content.decode()
    assert "<html" not in part


def test_what_is_deleted_is_told_and_leads_nowhere(browser, account, bot, actor, now):
    hook, _ = create_webhook(
        account=account, url="https://a.example.com", types=[], actor=actor, now=now
    )
    page = shown(browser, f"{AT}changes/?target={hook.public_id}")
    assert f'href="/app/acme/webhooks/{hook.public_id}/"' in page
    delete_webhook(webhook=hook, actor=actor, now=now)
    page = shown(browser, f"{AT}changes/?target={hook.public_id}")
    assert "webhook.deleted" in page
    assert f'href="/app/acme/webhooks/{hook.public_id}/"' not in page


def test_all_kinds_of_changes_are_named_at_once(account, bot, policy, actor, now):
    project = create_project(account=account, name="Back office", actor=actor, now=now)
    targets = [bot.public_id, policy.public_id, project.public_id]
    targets += [each.public_id for each in account.members.all()]
    with CaptureQueriesContext(connection) as queries:
        names = target_names(account, [*targets, "bot_x", "zzz_1"])
    assert len(queries) == 1
    assert names[project.public_id] == "Back office"
    assert "alice@example.com" in names.values()
    assert set(names) == set(targets)


def test_a_viewer_sees_neither(as_role, asked):
    client = as_role(Member.Role.VIEWER)
    for address in (AT, f"{AT}changes/", f"{AT}{asked[0].public_id}/"):
        assert client.get(address).status_code == 403
