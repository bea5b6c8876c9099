"""What holds for every page: queries, security policy, no style or script inside."""

import re
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.services import create_bot
from audit.models import DecisionRecord
from policies.services import block_bot
from tests.dashboard.addresses import facts_pages, plain_pages, writing_pages
from tests.dashboard.conftest import retention_document, usage_document
from usage import edits, ledger
from usage.conversations import append_message, create_conversation
from usage.entries import CallIn

pytestmark = pytest.mark.django_db
MAX_QUERIES = 12
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
# A data block with a type of its own is not run; everything else inside a page is.
INSIDE = re.compile(
    r"<style|\sstyle\s*=|\son\w+\s*=|javascript:"
    r"|<script(?![^>]*\ssrc=)(?![^>]*application/json)",
    re.IGNORECASE,
)


@pytest.fixture
def full(account, actor, bot, policy, keeper, key, crossed, now):
    """An account in use, with several rows of everything."""
    account.stores_text = True
    account.save()
    for number in range(6):
        other = create_bot(account=account, name=f"Bot {number}", actor=actor, now=now)
        block_bot(bot=other, reason="too loud", actor=actor, now=now)
        kinds = (
            usage_document(name=f"Cap {number}", scope={"bot": other.public_id}),
            retention_document(name=f"Keep {number}"),
        )
        for document in kinds:
            edits.create_policy(
                account=account, document=document, actor=actor, now=now
            )
        call = CallIn(bot=other.public_id, estimate={"tokens": 5}, reserve=True)
        ledger.authorize(account=account, call=call, now=now)
        talk = create_conversation(account=account, bot=other, now=now)
        append_message(conversation=talk, role="user", text="Hello <b>", now=now)
    call = CallIn(bot=bot.public_id, estimate={"tokens": 5})
    ledger.authorize(account=account, call=call, now=now)
    return account


@pytest.fixture
def addresses(full, bot, policy, keeper, key):
    """Every page of the account, those of single rows included."""
    at = "/app/acme/"
    alert = full.alerts.get(step=100)
    talk = full.conversations.first()
    decision = DecisionRecord.objects.filter(account=full).first()
    rows = [
        f"{at}policies/{policy.public_id}/",
        f"{at}policies/{policy.public_id}/edit/",
        f"{at}policies/{keeper.public_id}/",
        f"{at}policies/{keeper.public_id}/edit/",
        f"{at}bots/{bot.public_id}/",
        f"{at}bots/{bot.public_id}/edit/",
        f"{at}alerts/{alert.public_id}/",
        f"{at}conversations/{talk.public_id}/",
        f"{at}decisions/{decision.public_id}/",
        f"{at}keys/{key.public_id}/revoke/",
    ]
    return [
        *plain_pages("acme"),
        *facts_pages("acme"),
        *writing_pages("acme"),
        "/app/?all=1",
        *rows,
    ]


def _check(answer):
    header = answer["Content-Security-Policy"]
    assert set(header.split("; ")) == set(POLICY.split("; "))
    text = answer.content.decode()
    assert not INSIDE.search(text)
    assert "{{" not in text
    assert "{%" not in text


def test_every_page_of_a_full_account(browser, addresses):
    for address in addresses:
        with CaptureQueriesContext(connection) as queries:
            answer = browser.get(address)
        assert answer.status_code == 200, address
        assert len(queries) <= MAX_QUERIES, (address, len(queries))
        _check(answer)


def test_every_page_of_an_empty_account(browser):
    pages = [*plain_pages("acme"), *facts_pages("acme"), *writing_pages("acme")]
    for address in pages:
        answer = browser.get(address)
        assert answer.status_code == 200, address
        _check(answer)


@pytest.mark.parametrize(
    "address",
    [
        "/accounts/login/",
        "/accounts/password/reset/",
        "/accounts/password/reset/done/",
        "/accounts/signup/",
        "/accounts/nothing-here/",
    ],
)
def test_pages_outside_of_an_account(address):
    _check(Client().get(address))


@pytest.mark.parametrize(
    "address",
    [
        "/accounts/logout/",
        "/accounts/password/change/",
        "/accounts/email/",
        "/accounts/2fa/",
        "/accounts/sessions/",
    ],
)
def test_pages_of_the_own_log_in(browser, address):
    answer = browser.get(address)
    assert answer.status_code == 200
    _check(answer)


def test_empty_lists_offer_one_next_step(browser):
    for address in ("bots/", "alerts/", "conversations/", "keys/"):
        page = browser.get(f"/app/acme/{address}").content.decode()
        empty = page.split('class="empty"')[1].split("</section>")[0]
        assert empty.count("<a ") == 1


def test_pages_are_not_kept_by_caches(browser):
    assert browser.get("/app/acme/")["Cache-Control"] == "no-store"


def test_times_are_in_the_zone_of_the_account(browser, account, bot):
    account.timezone = "Asia/Tokyo"
    account.save()
    bot.created_at = bot.created_at.replace(
        year=2026, month=3, day=1, hour=20, minute=5, second=0
    )
    bot.save()
    page = browser.get(f"/app/acme/bots/{bot.public_id}/").content.decode()
    assert 'title="2026-03-01 20:05:00 UTC">2 Mar 2026, 05:05</time>' in page


def test_text_of_others_is_shown_as_text(browser, full):
    talk = full.conversations.first()
    page = browser.get(f"/app/acme/conversations/{talk.public_id}/").content.decode()
    assert "Hello &lt;b&gt;" in page


def test_lists_go_on_by_cursor(browser, account, actor, now):
    for number in range(30):
        create_bot(account=account, name=f"Bot {number}", actor=actor, now=now)
    # Empty filters, as a form without a script sends them, are not carried on.
    first = browser.get("/app/acme/bots/?name=&state=").content.decode()
    older = re.search(r'href="(\?after=[^"]+)"', first)[1]
    second = browser.get(f"/app/acme/bots/{older}").content.decode()
    shown = re.findall(r'class="title"[^>]*>(Bot \d+)<', first + second)
    assert sorted(shown) == sorted(f"Bot {number}" for number in range(30))


@pytest.mark.parametrize("query", ["after=x", "after=%00", "type=%00", "state=zz"])
def test_a_filter_that_nobody_gave_out_does_no_harm(browser, query):
    for name in ("policies", "alerts", "bots", "decisions", "conversations"):
        assert browser.get(f"/app/acme/{name}/?{query}").status_code == 200


def test_theme_is_remembered(browser):
    answer = browser.post("/theme/", {"theme": "dark", "next": "/app/acme/"})
    assert answer.url == "/app/acme/"
    assert b'data-theme="dark"' in browser.get("/app/acme/").content


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", ""])
def test_theme_leads_nowhere_else(browser, back):
    answer = browser.post("/theme/", {"theme": "neon", "next": back})
    assert answer.url == "/"
    assert not answer.cookies


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"name": "x" * 3_000_000}},
        {"data": {f"field-{n}": "1" for n in range(2_000)}},
        {"data": "--", "content_type": "multipart/form-data; boundary="},
    ],
)
def test_what_is_too_much_is_told_on_a_page(browser, account, sent):
    data, kind = sent["data"], sent.get("content_type")
    if kind is None:
        data, kind = urlencode(data), "application/x-www-form-urlencoded"
    answer = browser.post("/app/acme/bots/new/", data, content_type=kind)
    assert answer.status_code == 400
    assert "This cannot be read" in answer.content.decode()
    assert not account.bots.exists()
