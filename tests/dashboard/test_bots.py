"""The list of bots says how each is, and finds them."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.services import archive_bot, create_bot, create_key, create_project
from policies.services import block_bot, revoke_bot
from tests.dashboard.conftest import logged_in, usage_document
from tests.dashboard.test_policy_previews import plain, used
from usage import edits, ledger
from usage.entries import CallIn, EventIn

AT = "/app/acme/bots/"


@pytest.fixture
def herd(account, actor, now):
    """A bot in each state."""
    made = {
        word: create_bot(account=account, name=f"Bot {word}", actor=actor, now=now)
        for word in ("active", "paused", "throttled", "revoked")
    }
    block_bot(bot=made["paused"], reason="Loud", actor=actor, now=now)
    revoke_bot(bot=made["revoked"], reason="Gone", actor=actor, now=now)
    document = usage_document(
        name="Trickle", group_by=["bot"], actions={"throttle": {}}
    )
    edits.create_policy(account=account, document=document, actor=actor, now=now)
    event = EventIn(bot=made["throttled"].public_id, tokens=1000)
    ledger.record_events(account=account, events=[event], now=now)
    return made


def names(answer):
    """The bots that a page lists."""
    page = answer.content.decode()
    return {
        word
        for word in ("active", "paused", "throttled", "revoked")
        if f"Bot {word}</a>" in page
    }


def test_each_state_is_said_and_found(browser, herd):
    page = plain(browser.get(AT))
    for word in ("Active", "Paused", "Throttled by Trickle", "Revoked"):
        assert word in page
    for word in herd:
        assert names(browser.get(f"{AT}?state={word}")) == {word}
    assert names(browser.get(f"{AT}?state=zz")) == set(herd)
    assert "No bot is like that" in plain(browser.get(f"{AT}?state=disabled"))
    throttled = browser.get(f"{AT}{herd['throttled'].public_id}/")
    assert "Throttled by Trickle" in plain(throttled)


@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        ({}, True),
        ({"group_by": ["user"]}, False),
        ({"scope": {"model": "m-1"}}, False),
        ({"rollout_mode": "shadow"}, False),
        ({"actions": {"warn": {}}}, False),
        (
            {
                "limits": [
                    {
                        "metric": "tokens",
                        "threshold": 1001,
                        "window": {"kind": "lifetime"},
                    }
                ]
            },
            False,
        ),
        (
            {
                "limits": [
                    {
                        "metric": "tokens",
                        "threshold": 1000,
                        "window": {"kind": "rolling", "seconds": 3600},
                    }
                ]
            },
            True,
        ),
        (
            {
                "limits": [
                    {
                        "metric": "tokens",
                        "threshold": 1000,
                        "window": {"kind": "fixed", "seconds": 3600},
                    }
                ]
            },
            True,
        ),
    ],
)
def test_throttled_is_who_has_nothing_left(
    browser, account, actor, bot, now, changes, stops
):
    document = usage_document(**{"actions": {"throttle": {}}, **changes})
    edits.create_policy(account=account, document=document, actor=actor, now=now)
    event = EventIn(bot=bot.public_id, tokens=1000, user="u-1", model="m-1")
    ledger.record_events(account=account, events=[event], now=now)
    page = plain(browser.get(f"{AT}?state=throttled"))
    assert ("Support bot" in page) == stops


def test_bots_are_found_by_text_and_project(browser, account, actor, bot, now):
    project = create_project(account=account, name="Shop", actor=actor, now=now)
    create_bot(
        account=account,
        name="Till",
        external_id="t-1",
        project=project,
        actor=actor,
        now=now,
    )
    assert "Support bot" not in plain(browser.get(f"{AT}?q=T-1"))
    assert "Till" in plain(browser.get(f"{AT}?project={project.public_id}"))
    assert "Till t-1" not in plain(browser.get(f"{AT}?project=none"))
    assert 'value="T-1"' in browser.get(f"{AT}?q=T-1").content.decode()
    for query in ("q=%00", "q=%25_%5C", "project=prj_x", "q=" + "x" * 900):
        assert browser.get(f"{AT}?{query}").status_code == 200


def test_the_last_days_are_drawn(browser, account, bot, now):
    used(account, bot, now, 10, 0, 32)
    answer = browser.get(AT)
    assert "<polyline points=" in answer.content.decode()
    assert "42" in plain(answer)
    seen = (now - timedelta(0)).strftime("%Y-%m-%d %H:00:00 UTC")
    assert seen in answer.content.decode()


def test_the_first_bot_is_shown_how(browser, account):
    page = plain(browser.get(AT))
    assert "curl http" in page
    assert "/api/v1/bots" in page


def test_keys_bound_to_a_bot_are_told_to_those_who_may(
    browser, as_role, account, actor, bot, now
):
    create_key(
        account=account,
        name="Its key",
        scopes=["decide"],
        bot=bot,
        actor=actor,
        now=now,
    )
    at = f"{AT}{bot.public_id}/"
    assert "Its key" in plain(browser.get(at))
    assert "Its key" not in plain(as_role("viewer").get(at))


def test_the_list_reads_little(browser, herd, account, bot, now):
    used(account, bot, now, 10)
    for address in (AT, f"{AT}?state=paused", f"{AT}{bot.public_id}/"):
        with CaptureQueriesContext(connection) as queries:
            browser.get(address)
        told = [q["sql"][:90] for q in queries.captured_queries]
        assert len(queries) <= 12, (address, told)


def test_an_archived_bot_has_its_page_and_no_steps(
    browser, charlie, account, actor, bot, now
):
    """What speaks of it leads there: alerts, decisions, policies, conversations."""
    revoke_bot(bot=bot, reason="Gone", actor=actor, now=now)
    decided = ledger.authorize(
        account=account, call=CallIn(bot=bot.public_id), now=now
    ).body
    archive_bot(bot=bot, actor=actor, now=now, reason="")
    at = f"{AT}{bot.public_id}/"
    page = browser.get(at)
    assert page.status_code == 200
    assert "Archived" in plain(page)
    assert "Step in" not in plain(page)
    assert f"{at}edit/" not in page.content.decode()
    assert browser.get(f"{at}edit/").status_code == 404
    for step in ("block", "unblock", "revoke", "restore", "archive"):
        typed = {"reason": "r", "name": bot.name}
        assert browser.post(f"{at}{step}/", typed).status_code == 404
    assert logged_in(charlie).get(at).status_code == 404
    alert = account.alerts.get(kind="revoke")
    for place in (f"alerts/{alert.public_id}/", f"decisions/{decided['id']}/"):
        told = browser.get(f"/app/acme/{place}").content.decode()
        assert f'href="{at}"' in told
        assert f"{bot.name}</a>" in told
