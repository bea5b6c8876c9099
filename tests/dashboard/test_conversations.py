"""Conversations are found, shown held, and deleted after asking."""

import re
from datetime import timedelta

import pytest

from accounts.models import Member
from accounts.services import create_bot
from retention.holding import place_hold
from tests.dashboard.test_policy_previews import plain
from usage.conversations import append_message, create_conversation
from usage.models import Conversation, Message

AT = "/app/acme/conversations/"


@pytest.fixture
def talk(account, bot, now):
    made = create_conversation(
        account=account,
        bot=bot,
        user="u 1&x",
        external_id="chat-9",
        title="Refund",
        last_activity_at=now - timedelta(days=3),
        now=now,
    )
    other = create_bot_of(account, now)
    create_conversation(account=account, bot=other, title="Weather", now=now)
    return made


def create_bot_of(account, now):
    from accounts.actors import SYSTEM

    return create_bot(account=account, name="Other", actor=SYSTEM, now=now)


def test_conversations_are_found(browser, talk, bot, now):
    day = f"{now - timedelta(days=3):%Y-%m-%d}"
    for query in (
        f"bot={bot.public_id}",
        "user=u+1%26x",
        "id=chat-9",
        f"to={day}",
        f"from={day}&to={day}",
    ):
        page = plain(browser.get(f"{AT}?{query}"))
        assert "Refund" in page
        assert "Weather" not in page, query
    none = plain(browser.get(f"{AT}?id=nothing"))
    assert "No conversation is like that" in none
    assert 'href="?user=u%201%26x"' in browser.get(AT).content.decode()


def test_the_last_active_is_first_and_none_is_left_out(browser, account, bot, now):
    """Many are imported in one moment; one speaks again while somebody reads on."""
    day = timedelta(days=1)
    talks = [
        create_conversation(
            account=account,
            bot=bot,
            title=f"Talk-{number:02}",
            last_activity_at=now - (1 if number < 30 else 2) * day,
            now=now,
        )
        for number in range(40)
    ]
    append_message(conversation=talks[39], role="user", text="x", now=now)

    def read(address):
        text = browser.get(address).content.decode()
        titles = re.findall(r"Talk-(\d\d)<", text)
        onward = re.search(r'href="(\?[^"]*after=[^"]*)" rel="next"', text)
        return titles, onward and AT + onward[1].replace("&amp;", "&")

    first, onward = read(f"{AT}?bot={bot.public_id}")
    assert first == ["39", *(f"{number:02}" for number in range(29, 5, -1))]
    append_message(conversation=talks[2], role="user", text="x", now=now)
    second, end = read(onward)
    rest = [5, 4, 3, 1, 0, *range(38, 29, -1)]
    assert second == [f"{number:02}" for number in rest]
    assert end is None
    assert read(AT)[0][:2] in (["02", "39"], ["39", "02"])


@pytest.mark.parametrize(
    "query",
    [
        "from=x",
        "to=0001-01-01",
        "to=9999-12-31",
        "user=%00",
        "from=2026-02-31",
        "after=x",
        "after=1_x",
        "after=999999999999999999999_019abd2e-7d3c-7000-8000-000000000000",
        "after=-62135596800000000_019abd2e-7d3c-7000-8000-000000000000",
        "after=253402300799999999_019abd2e-7d3c-7000-8000-000000000000",
    ],
)
def test_odd_filters_do_no_harm(browser, talk, query):
    assert browser.get(f"{AT}?{query}").status_code == 200


def test_a_conversation_is_deleted_with_a_reason(browser, talk, account, now):
    append_message(conversation=talk, role="user", text="x", now=now)
    at = f"{AT}{talk.public_id}/"
    assert "Delete this conversation" in plain(browser.get(at))
    assert browser.post(f"{at}delete/", {"reason": ""}).status_code == 422
    assert browser.post(f"{at}delete/", {"reason": "Asked for"}).url == AT
    assert not Conversation.objects.filter(pk=talk.pk).exists()
    assert not Message.objects.exists()
    change = account.changes.get(action="conversation.deleted")
    assert change.reason == "Asked for"
    assert browser.post(f"{at}delete/", {"reason": "Again"}).status_code == 404


def test_a_held_one_says_so_and_stays(browser, talk, account, actor, now):
    place_hold(account=account, what=talk, reason="Case", actor=actor, now=now)
    assert plain(browser.get(AT)).count("Held") == 1
    at = f"{AT}{talk.public_id}/"
    page = plain(browser.get(at))
    assert "by a legal hold" in page
    assert "Delete this conversation" not in page
    answer = browser.post(f"{at}delete/", {"reason": "x"})
    assert answer.status_code == 409
    assert "A legal hold keeps this" in plain(answer)
    assert Conversation.objects.filter(pk=talk.pk).exists()


def test_readers_delete_nothing(as_role, talk):
    client = as_role(Member.Role.AUDITOR)
    at = f"{AT}{talk.public_id}/"
    assert "Step in" not in plain(client.get(at))
    assert client.post(f"{at}delete/", {"reason": "x"}).status_code == 403
