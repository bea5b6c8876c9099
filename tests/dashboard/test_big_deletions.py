"""Much is let go of at once only after somebody has typed the rule's name."""

from datetime import timedelta

import pytest

from policies.models import Policy
from retention.cutoff import wants_word
from tests.dashboard.conftest import retention_document
from tests.dashboard.test_policy_previews import plain
from usage import edits
from usage.conversations import create_conversation

NEW = "/app/acme/policies/new/retention/"
ASKED = "2 of 13 conversations would go at once."


@pytest.fixture
def talks(account, bot, now):
    """Two old conversations of thirteen: over 10 %, and not over 20."""
    for days in (90, 60, *[1] * 11):
        at = now - timedelta(days=days)
        create_conversation(account=account, bot=bot, last_activity_at=at, now=at)


@pytest.fixture
def paused(account, actor, talks, now):
    document = retention_document(rollout_mode="shadow")
    return edits.create_policy(account=account, document=document, actor=actor, now=now)


def draft(**changes):
    typed = {"name": "Keep 30", "target": "conversations", "max_age_days": "30"}
    return {**typed, "rollout_mode": "enforce", **changes}


@pytest.mark.parametrize(
    ("due", "total", "asked"),
    [
        (0, 0, False),
        (10, 100, False),
        (11, 100, True),
        (20, 100, True),
        (21, 100, False),  # its run waits for a person
        (1_000, 100_000, False),
        (1_001, 100_000, True),
    ],
)
def test_when_a_name_is_asked_for(due, total, asked):
    assert wants_word(due=due, total=total) is asked


def test_a_new_rule_is_confirmed_by_its_name(browser, talks):
    assert "Type the policy" not in plain(browser.get(NEW))
    answer = browser.post(NEW, draft())
    assert answer.status_code == 422
    assert f"{ASKED} They cannot be brought back." in plain(answer)
    assert 'value="Keep 30"' in answer.content.decode()
    answer = browser.post(NEW, draft(confirm="<b>Keep</b>\x00"))
    assert "This is not the name." in plain(answer)
    assert "&lt;b&gt;Keep" in answer.content.decode()
    assert not Policy.objects.exists()
    assert browser.post(NEW, draft(confirm=" Keep 30 ")).status_code == 302
    assert Policy.objects.get().rollout_mode == "enforce"


def test_what_deletes_little_or_nothing_is_not_confirmed(browser, talks):
    for changes in ({"rollout_mode": "shadow"}, {"max_age_days": "80"}):
        assert browser.post(NEW, draft(**changes)).status_code == 302
    policy = Policy.objects.get(rollout_mode="enforce")
    at = f"/app/acme/policies/{policy.public_id}/edit/"
    # Nobody is asked again for what it deletes already, but for what it will.
    renamed = draft(max_age_days="80", name="Other", revision="1")
    assert browser.post(at, renamed).status_code == 302
    assert browser.post(at, draft(revision="2")).status_code == 422
    assert browser.post(at, draft(revision="2", confirm="Other")).status_code == 302


@pytest.mark.parametrize(
    ("step", "sent"),
    [
        ("policies/{0}/mode/", {"mode": "enforce", "revision": "1"}),
        ("retention/policies/{0}/resume/", {}),
        ("policies/{0}/restore/1/", {}),
    ],
)
def test_it_is_resumed_by_its_name(browser, account, actor, talks, now, step, sent):
    first = "shadow" if "restore" not in step else "enforce"
    document = retention_document(rollout_mode=first)
    policy = edits.create_policy(
        account=account, document=document, actor=actor, now=now
    )
    if first == "enforce":
        edits.switch_policy(
            policy=policy, mode="off", actor=actor, now=now, expected_revision=1
        )
    at = "/app/acme/" + step.format(policy.public_id)
    sent = {**sent, "reason": "It is time."}
    answer = browser.post(at, sent)
    assert answer.status_code == 422
    assert ASKED in plain(answer)
    assert "It is time." in answer.content.decode()
    assert browser.post(at, {**sent, "confirm": policy.name}).status_code == 302
    policy.refresh_from_db()
    assert policy.rollout_mode == "enforce"


def test_of_several_it_is_left_and_named(browser, paused):
    sent = {"policy": f"{paused.public_id}.1", "mode": "enforce", "reason": "Go."}
    answer = browser.post("/app/acme/policies/mode/", sent, follow=True)
    assert f"{ASKED} Resume it on its own page" in plain(answer)
    paused.refresh_from_db()
    assert paused.rollout_mode == "shadow"
