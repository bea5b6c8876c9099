"""The first steps: four ticks, a key shown once, and an event that turns them green."""

import json
import re

import pytest

from accounts.keys import well_formed
from accounts.models import Account, ApiKey, Bot, Member
from dashboard.snippets import TABS, curl_line, snippets
from policies.services import block_bot
from tests.dashboard.test_pages import INSIDE
from usage import ledger
from usage.entries import CallIn, EventIn
from usage.models import UsageEvent

pytestmark = pytest.mark.django_db
AT = "/app/acme/start/"


def shown(browser, address=AT):
    return browser.get(address).content.decode()


def navigation(browser):
    return shown(browser, "/app/acme/bots/").split("</nav>")[0]


def test_a_new_account_lands_there(browser, settings):
    settings.POLICYHUB_SIGNUP = "open"
    answer = browser.post("/app/new/", {"name": "Fresh", "timezone": "UTC"})
    assert answer.url == "/app/fresh/start/"
    assert "0 of 4 done" in shown(browser, answer.url)


def test_the_four_ticks(browser, account):
    assert browser.post(f"{AT}bot/", {"name": " "}).status_code == 422
    browser.post(f"{AT}bot/", {"name": "Desk"})
    assert "1 of 4 done" in shown(browser)
    page = browser.post(f"{AT}key/").content.decode()
    text = re.search(r'id="code-key"[^>]*>([^<]+)<', page)[1]
    assert well_formed(text)
    key = ApiKey.objects.get()
    assert key.bot == Bot.objects.get()
    assert f"POLICYHUB_KEY={text}" in page
    assert page.count(text) == 2 + len(TABS)
    assert page.count('data-copy="') == 2 + len(TABS)
    assert f"{key.bot.public_id}" in page
    assert "http://testserver" in page
    assert not INSIDE.search(page)
    again = shown(browser)
    assert text not in again
    assert "2 of 4 done" in again
    assert key.last4 in again
    browser.post(f"{AT}simulate/")
    page = shown(browser)
    assert "4 of 4 done" in page
    assert UsageEvent.objects.get().public_id in page
    assert "It was simulated." in page
    assert "every 2s" not in page


def test_the_wait_turns_green_with_the_event_itself(browser, account, bot, now):
    page = shown(browser)
    assert f'hx-get="{AT}event/"' in page
    assert browser.get(f"{AT}event/").status_code == 204
    call = CallIn(bot=bot.public_id, estimate={"tokens": 5})
    ledger.authorize(account=account, call=call, now=now)
    asked = browser.get(f"{AT}event/").content.decode()
    assert "A call was asked for" in asked
    assert f'hx-get="{AT}event/?asked=1"' in asked
    assert browser.get(f"{AT}event/?asked=1").status_code == 204
    event = EventIn(bot=bot.public_id, tokens=1234)
    ledger.record_events(account=account, events=[event], now=now)
    done = browser.get(f"{AT}event/?asked=1").content.decode()
    assert "Support bot used 1,234 tokens." in done
    # The steps before it are told along: no reload is needed to see all four.
    assert 'id="start-lead" hx-swap-oob="true">3 of 4 done.' in done
    assert 'class="tick done" id="tick-3" hx-swap-oob="true"' in done
    assert "hx-swap-oob" not in shown(browser)
    assert "hx-get" not in done


def test_a_simulated_event_is_a_real_one(browser, account, bot, policy, actor, now):
    browser.post(f"{AT}simulate/")
    event = UsageEvent.objects.get()
    assert (event.source, event.user, event.tokens) == ("simulated", "simulated", 420)
    decision = account.decisions.get()
    assert decision.subject["tags"] == {"source": "simulated"}
    assert decision.reservation_id is not None
    block_bot(bot=bot, reason="too loud", actor=actor, now=now)
    answer = browser.post(f"{AT}simulate/", follow=True)
    assert "too loud" in answer.content.decode()
    assert UsageEvent.objects.count() == 1


def test_without_a_bot_nothing_is_made(browser, account):
    for step in ("key", "simulate"):
        answer = browser.post(f"{AT}{step}/", follow=True)
        assert "Register a bot first." in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_it_is_left_and_found_again(browser, account):
    assert "Get started" in navigation(browser)
    assert browser.post(f"{AT}finish/").url == "/app/acme/"
    assert Account.objects.get().started_at is not None
    assert "Get started" not in navigation(browser)
    assert "Skip this" not in shown(browser)


def test_readers_are_not_led_there(as_role):
    client = as_role(Member.Role.AUDITOR)
    assert "Get started" not in navigation(client)
    assert client.get(AT).status_code == 403


def test_a_tab_is_in_the_address(browser, account):
    page = shown(browser, f"{AT}?tab=node")
    assert 'id="tab-node" checked' in page
    assert 'id="tab-curl" checked' in shown(browser, f"{AT}?tab=cobol")


def test_snippets_hold_what_they_are_given():
    made = snippets(site="https://hub.example", bot="bot_1", key="k'1", model="echo")
    assert [each.name for each in made] == list(TABS)
    code = {each.name: each.code for each in made}
    assert "export POLICYHUB_KEY='k'\"'\"'1'" in code["curl"]
    assert 'base_url="https://hub.example" + "/v1"' in code["openai"]
    compile(code["python"], "snippet", "exec")
    compile(code["openai"], "snippet", "exec")
    line = curl_line(site="https://hub.example", body=json.dumps({"bot": "it's"}))
    assert '\'{"bot": "it\'"\'"\'s"}\'' in line
