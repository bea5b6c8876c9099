"""Pausing and resuming: one policy, several at once, and what was edited meanwhile."""

import re

import pytest

from accounts.models import Member
from accounts.selectors import changes
from policies.models import Block, Policy
from tests.dashboard.conftest import logged_in, retention_document, usage_document
from usage import edits

pytestmark = pytest.mark.django_db
AT = "/app/acme/policies/"
WHY = "the night shift is stopped"
OPENED = re.compile(r'<div id="mode">\s*<details class="ask" open>')


@pytest.fixture
def several(account, actor, now):
    """Three policies: two that act, one that is only evaluated."""
    documents = (
        usage_document(name="Hourly"),
        retention_document(name="Keep"),
        usage_document(name="Watched", rollout_mode="shadow"),
    )
    return [
        edits.create_policy(account=account, document=each, actor=actor, now=now)
        for each in documents
    ]


def sent(rows, mode, reason=WHY):
    seen = [f"{each.public_id}.{each.revision}" for each in rows]
    return {"policy": seen, "mode": mode, "reason": reason}


def modes():
    return dict(Policy.objects.values_list("name", "rollout_mode"))


def rename(policy, actor, now):
    edits.replace_policy(
        policy=policy,
        document={**policy.document, "name": f"{policy.name} 2"},
        actor=actor,
        now=now,
        expected_revision=None,
    )


def test_several_are_switched_with_one_confirmation(browser, account, several):
    page = browser.get(AT).content.decode()
    assert page.count('type="checkbox" name="policy"') == 3
    chosen = [("policy", each.public_id) for each in several]
    asked = browser.get(f"{AT}mode/", {"policy": dict(chosen), "mode": "shadow"})
    assert "No policy is chosen" in asked.content.decode()
    query = "&".join(f"policy={value}" for _, value in chosen)
    asked = browser.get(f"{AT}mode/?{query}&mode=shadow").content.decode()
    assert "Switch 3 policies: Evaluate only (shadow)" in asked
    assert "as it is" in asked
    hidden = re.findall(r'name="policy" value="([^"]+)"', asked)
    assert sorted(hidden) == sorted(sent(several, "shadow")["policy"])
    typed = {"policy": hidden, "mode": "shadow", "reason": WHY}
    answer = browser.post(f"{AT}mode/", typed, follow=True)
    told = answer.content.decode()
    assert "2 policies are switched: Evaluate only (shadow)." in told
    assert "So already: Watched." in told
    assert set(modes().values()) == {"shadow"}
    for policy in several[:2]:
        policy.refresh_from_db()
        assert policy.revision == 2
        assert policy.revisions.get(number=2).reason == WHY
        assert changes(account, target=policy.public_id).first().reason == WHY
    several[2].refresh_from_db()
    assert several[2].revision == 1


def test_what_somebody_edited_meanwhile_is_named_and_left(browser, several, actor, now):
    typed = sent(several[:2], "off")
    rename(several[0], actor, now)
    answer = browser.post(f"{AT}mode/", typed)
    told = answer.content.decode()
    assert answer.status_code == 409
    assert "has edited them since: Hourly 2." in told
    assert "1 policy is switched: Off." in told
    assert modes() == {"Hourly 2": "enforce", "Keep": "off", "Watched": "shadow"}
    # What is shown now is what the next confirmation has seen.
    assert f'value="{several[0].public_id}.2"' in told
    assert WHY in told
    again = {**sent([], "off"), "policy": [f"{several[0].public_id}.2"]}
    assert browser.post(f"{AT}mode/", again).status_code == 302
    assert modes()["Hourly 2"] == "off"


def test_what_is_archived_meanwhile_is_counted(browser, several, actor, now):
    typed = sent(several[:2], "off")
    edits.archive_policy(policy=several[0], actor=actor, now=now)
    told = browser.post(f"{AT}mode/", typed, follow=True).content.decode()
    assert "1 of those chosen is not there any more." in told
    assert "1 policy is switched: Off." in told
    assert modes()["Hourly"] == "enforce"


def test_resuming_what_deletes_is_said(browser, several, actor, now):
    keep = several[1]
    edits.switch_policy(
        policy=keep, mode="off", actor=actor, now=now, expected_revision=1
    )
    at = f"{AT}mode/?policy={keep.public_id}&mode="
    assert "they delete what is due" in browser.get(f"{at}enforce").content.decode()
    assert "they delete what is due" not in browser.get(f"{at}off").content.decode()


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"policy": "pol_x.1", "mode": "off", "reason": WHY},
        {"policy": "\x00", "mode": "off", "reason": WHY},
    ],
)
def test_nothing_chosen_changes_nothing(browser, several, typed):
    before = modes()
    assert browser.post(f"{AT}mode/", typed).status_code == 422
    assert modes() == before


def test_a_switch_wants_its_reason_and_a_mode_there_is(browser, several):
    before = modes()
    for typed in (
        sent(several, "off", reason=" "),
        sent(several, "gone"),
        {**sent(several, "off"), "policy": [each.public_id for each in several]},
    ):
        answer = browser.post(f"{AT}mode/", typed)
        assert answer.status_code in (409, 422)
        assert modes() == before


def test_policies_of_others_are_as_absent_as_none(several, charlie):
    stranger = logged_in(charlie)
    foreign = sent(several, "off")
    absent = {**foreign, "policy": [f"pol_{'0' * 26}.1"]}
    at = "/app/globex/policies/mode/"
    answers = [stranger.post(at, typed) for typed in (foreign, absent)]
    assert [each.status_code for each in answers] == [422, 422]
    assert b"Hourly" not in answers[0].content
    assert modes()["Hourly"] == "enforce"


def test_a_policy_is_paused_and_resumed_from_its_page(
    browser, account, bot, policy, crossed
):
    at = f"{AT}{policy.public_id}/"
    shown = browser.get(f"{at}?ask=mode").content.decode()
    assert "Pause this policy" in shown
    assert OPENED.search(shown)
    assert 'name="mode" value="enforce"' not in shown
    typed = {"mode": "off", "reason": WHY, "revision": "1"}
    assert browser.post(f"{at}mode/", typed).url == at
    policy.refresh_from_db()
    assert (policy.rollout_mode, policy.revision) == ("off", 2)
    kept = changes(account, target=policy.public_id)
    assert kept.get(action="policy.updated").reason == WHY
    assert Block.objects.get().lifted_at is not None
    assert "Resume this policy" in browser.get(at).content.decode()
    # Who still sees revision 1 does not undo what was done since.
    late = browser.post(f"{at}mode/", {**typed, "mode": "enforce"}, follow=True)
    assert 'role="alert"' in late.content.decode()
    policy.refresh_from_db()
    assert policy.rollout_mode == "off"
    browser.post(f"{at}mode/", {**typed, "mode": "enforce", "revision": "2"})
    policy.refresh_from_db()
    assert policy.rollout_mode == "enforce"


@pytest.mark.parametrize(
    "typed", [{"mode": "off"}, {"mode": "enforce", "reason": WHY}, {"reason": WHY}]
)
def test_a_pause_that_is_not_right_comes_back(browser, policy, typed):
    answer = browser.post(f"{AT}{policy.public_id}/mode/", typed)
    assert answer.status_code == 422
    assert OPENED.search(answer.content.decode())
    policy.refresh_from_db()
    assert policy.revision == 1


@pytest.mark.parametrize("role", [Member.Role.AUDITOR, Member.Role.VIEWER])
def test_readers_are_offered_no_switch(role, as_role, policy):
    client = as_role(role)
    assert "tickbox" not in client.get(AT).content.decode()
    shown = client.get(f"{AT}{policy.public_id}/").content.decode()
    assert "?ask=mode" not in shown
    assert 'id="mode"' not in shown
    assert client.post(f"{AT}mode/", sent([policy], "off")).status_code == 403
    assert client.post(f"{AT}{policy.public_id}/mode/").status_code == 403


def test_a_revision_comes_back_with_a_reason_or_without(
    browser, account, policy, actor, now
):
    at = f"{AT}{policy.public_id}/"
    rename(policy, actor, now)
    assert "Bring revision 1 back" in browser.get(at).content.decode()
    assert browser.post(f"{at}restore/1/", {"reason": "x" * 501}).status_code == 422
    browser.post(f"{at}restore/1/", {"reason": "better so"})
    browser.post(f"{at}restore/2/")
    kept = [each.reason for each in changes(account, target=policy.public_id)[:2]]
    assert kept == ["revision 2 restored", "revision 1 restored: better so"]
