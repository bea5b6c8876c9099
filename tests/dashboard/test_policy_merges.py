"""Two people edit one policy: nothing typed is lost, and the later one chooses."""

import re

import pytest

from dashboard.policy_merges import parts
from tests.dashboard.conftest import usage_document
from tests.dashboard.test_policy_forms import GOOD, field_of, text_of
from usage import edits


@pytest.fixture
def changed(policy, actor, now):
    """A policy that Bob edited after Alice had opened it."""
    edits.replace_policy(
        policy=policy,
        document=usage_document(name="Changed by Bob", alert_steps=[50]),
        actor=actor,
        now=now,
        expected_revision=1,
        reason="Tighter",
    )
    return policy


@pytest.fixture
def address(changed):
    return f"/app/acme/policies/{changed.public_id}/edit/"


TYPED = {**GOOD, "group_by": ["bot", "user"], "revision": "1", "reason": "Mine"}


def chosen(answer):
    """Which version is taken of each part that differs."""
    tags = re.findall(r'<input type="radio"[^>]+>', text_of(answer))
    return {
        re.search(r'name="take-(\w+)"', tag)[1]: re.search(r'value="(\w+)"', tag)[1]
        for tag in tags
        if "checked" in tag
    }


def hidden(answer):
    """What the page would send again."""
    found = {}
    for name, value in re.findall(
        r'<textarea hidden name="([^"]+)">\n(.*?)</textarea>',
        text_of(answer),
        re.DOTALL,
    ):
        found.setdefault(name, []).append(value)
    return found


def test_a_stale_edit_asks_which_parts_are_to_be(browser, changed, address):
    answer = browser.post(address, TYPED)
    assert answer.status_code == 409
    assert "Changed by Bob" in text_of(answer)
    assert "Tighter" in text_of(answer)
    assert "Loop guard" in text_of(answer)
    # What each version means, in a sentence.
    assert "after 1,500 calls" in text_of(answer)
    assert "after 1,000 tokens" in text_of(answer)
    # Both changed the name; the steps only Bob, the groups only Alice.
    assert chosen(answer)["name"] == "mine"
    assert chosen(answer)["alert_steps"] == "theirs"
    assert chosen(answer)["group_by"] == "mine"
    assert hidden(answer)["group_by"] == ["bot", "user"]
    assert hidden(answer)["limits-0-threshold"] == ["1,500"]
    changed.refresh_from_db()
    assert changed.revision == 2


def test_the_chosen_parts_are_shown_and_then_saved(browser, changed, address):
    page = browser.post(address, TYPED)
    takes = {f"take-{part}": side for part, side in chosen(page).items()}
    sent = {**hidden(page), **takes, "merge": "1", "theirs": "2", "revision": "1"}
    answer = browser.post(address, sent)
    assert answer.status_code == 200
    assert 'value="Loop guard"' in field_of(answer, "name")
    assert 'value="50"' in field_of(answer, "alert_steps")
    assert 'value="2"' in field_of(answer, "revision")
    assert 'value="Mine"' in field_of(answer, "reason")
    assert 'value="1,500"' in field_of(answer, "limits-0-threshold")
    changed.refresh_from_db()
    assert changed.revision == 2


def test_a_third_edit_is_asked_about_again(browser, changed, address, actor, now):
    document = usage_document(name="Changed again")
    edits.replace_policy(
        policy=changed, document=document, actor=actor, now=now, expected_revision=2
    )
    sent = {**TYPED, "merge": "1", "theirs": "2", "take-name": "mine"}
    answer = browser.post(address, sent)
    assert answer.status_code == 409
    assert "Changed again" in text_of(answer)


@pytest.mark.parametrize("revision", ["", "0", "99999999999999", "-1"])
def test_who_names_no_revision_overwrites_nothing(browser, changed, address, revision):
    answer = browser.post(address, {**GOOD, "revision": revision})
    assert answer.status_code == 409
    changed.refresh_from_db()
    assert changed.name == "Changed by Bob"


def test_a_hostile_merge_does_no_harm(browser, changed, address):
    sent = {**TYPED, "merge": "1", "theirs": "2", "take-__class__": "theirs"}
    assert browser.post(address, sent).status_code == 200
    assert browser.post(address, {"merge": "1", "theirs": "2"}).status_code == 422


def test_parts_are_said_in_the_same_order():
    window = {"kind": "calendar", "unit": "day"}
    mine = {"limits": [{"metric": "tokens", "window": window, "threshold": 3}]}
    theirs = {"limits": [{"threshold": 2, "window": window, "metric": "tokens"}]}
    (part,) = parts(before=None, theirs=theirs, mine=mine)
    assert [line for line, _ in part.mine] == [
        "1. metric: tokens",
        "1. threshold: 3",
        "1. window.kind: calendar",
        "1. window.unit: day",
    ]
    assert [line for line, other in part.theirs if other] == ["1. threshold: 2"]
