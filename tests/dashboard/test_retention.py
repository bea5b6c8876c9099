"""Retention: what is due, what waits for a person, receipts, holds and erasures."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Member
from policies.models import Policy
from retention import services
from retention.holding import place_hold
from retention.models import LegalHold, PruneRun
from retention.selectors import runs
from tests.dashboard.conftest import retention_document
from tests.dashboard.test_policy_previews import plain
from usage import edits
from usage.conversations import create_conversation
from usage.models import Conversation

AT = "/app/acme/retention/"


@pytest.fixture
def talks(account, bot, now):
    """Nine old conversations and one young one; the oldest is of user u-1."""
    ages = [100, *[40] * 8, 1]
    return [
        create_conversation(
            account=account,
            bot=bot,
            user="u-1" if days == 100 else "u-2",
            last_activity_at=now - timedelta(days=days),
            now=now - timedelta(days=days),
        )
        for days in ages
    ]


@pytest.fixture
def at_policy(keeper):
    return f"{AT}policies/{keeper.public_id}/"


@pytest.fixture
def waiting(account, keeper, talks, now):
    """A run that waits: most of what there is would go."""
    services.prune_due(account=account, now=now)
    return PruneRun.objects.get(policy=keeper, state="waiting")


def held(account, actor, now, what, **more):
    return place_hold(
        account=account, what=what, reason="Case 7", actor=actor, now=now, **more
    )


def test_the_list_of_policies_says_when_one_pruned_last(browser, keeper, waiting):
    at = "/app/acme/policies/"
    page = browser.get(at).content.decode()
    assert f'href="/app/acme/retention/runs/{waiting.public_id}/"' in page


def test_policies_are_listed_and_counted_apart(browser, keeper, talks):
    page = browser.get(AT)
    assert "Keep 30 days" in plain(page)
    assert "within a minute" in plain(page)
    assert 'hx-get="/app/acme/retention/due/"' in page.content.decode()
    with CaptureQueriesContext(connection) as queries:
        counted = browser.get(f"{AT}due/")
    assert len(queries) <= 12
    assert ">9</a>" in counted.content.decode()
    assert "hx-get" not in counted.content.decode()


def test_a_policy_shows_what_it_would_delete(
    browser, account, actor, at_policy, talks, now
):
    held(account, actor, now, "u-1")
    assert "Counting" in plain(browser.get(at_policy))
    answer = browser.get(f"{at_policy}due/")
    assert "8 of 10 conversations would go now" in plain(answer)
    assert "1 is held" in plain(answer)
    assert "User u-1 Case 7" in " ".join(plain(answer).split())
    assert 'class="cap"' in answer.content.decode()
    assert talks[1].public_id in plain(answer)
    whole = browser.get(f"{at_policy}?counted=1")
    assert "8 of 10 conversations" in plain(whole)


def test_many_holds_are_counted_at_once(browser, account, actor, at_policy, talks, now):
    for number, talk in enumerate(talks[:6]):
        held(account, actor, now, talk, owner=f"Lawyer {number}")
    held(account, actor, now, "u-9")  # keeps nothing
    held(account, actor, now, talks[0].bot)
    for part in ("due/", "?counted=1"):
        with CaptureQueriesContext(connection) as queries:
            answer = browser.get(f"{at_policy}{part}")
        assert len(queries) <= 12, (part, len(queries))
        assert "0 of 10 conversations would go now" in plain(answer)
        assert "9 are held" in plain(answer)
        assert f"Bot {talks[0].bot.name} Case 7 9" in plain(answer)


def test_the_dry_run_lists_what_would_go(
    browser, account, actor, at_policy, talks, now
):
    held(account, actor, now, "u-1")
    answer = browser.get(f"{at_policy}dry-run.csv")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0] == "id,last_active_at,due_under,at"
    ids = {line.split(",")[0] for line in lines[1:]}
    assert ids == {talk.public_id for talk in talks[1:9]}
    assert Conversation.objects.count() == 10


def test_the_counts_of_a_dry_run_are_a_file(
    browser, account, actor, at_policy, keeper, talks, now
):
    held(account, actor, now, "u-1")
    answer = browser.get(f"{at_policy}dry-run.json")
    assert f"dry-run-{keeper.public_id}.json" in answer["Content-Disposition"]
    told = answer.json()
    assert (told["policy"], told["due"], told["total"]) == (keeper.public_id, 8, 10)
    assert told["held"] == sum(each["rows"] for each in told["holds"]) == 1
    assert set(told["sample"]) == {talk.public_id for talk in talks[1:9]}
    assert sum(each["count"] for each in told["histogram"]) == 10
    assert told["cutoff"] < told["at"]
    assert told["oldest"] < told["cutoff"]
    assert Conversation.objects.count() == 10


def test_a_policy_is_paused_and_resumed(browser, keeper, at_policy):
    assert browser.post(f"{at_policy}pause/", {"reason": ""}).status_code == 422
    browser.post(f"{at_policy}pause/", {"reason": "Audit"})
    keeper.refresh_from_db()
    assert keeper.rollout_mode == "shadow"
    assert keeper.revisions.get(number=2).reason == "Audit"
    assert "deletes nothing" in plain(browser.get(AT))
    browser.post(f"{at_policy}resume/", {"reason": "Done"})
    keeper.refresh_from_db()
    assert keeper.rollout_mode == "enforce"


def test_a_policy_of_another_type_is_not_there(browser, policy):
    for part in ("", "due/", "dry-run.csv", "dry-run.json"):
        address = f"{AT}policies/{policy.public_id}/{part}"
        assert browser.get(address).status_code == 404


def test_a_waiting_run_is_confirmed_by_typing(browser, waiting):
    assert "waits for a person" in plain(browser.get(AT))
    at = f"{AT}runs/{waiting.public_id}/"
    page = browser.get(at)
    assert "9 of 10 rows would go at once" in plain(page)
    wrong = browser.post(f"{at}confirm/", {"confirm": "yes"})
    assert wrong.status_code == 422
    assert "must be the policy's name" in plain(wrong).replace("&#x27;", "'")
    assert 'value="yes"' in wrong.content.decode()
    assert Conversation.objects.count() == 10
    assert browser.post(f"{at}confirm/", {"confirm": "Keep 30 days"}).url == at
    assert Conversation.objects.count() == 1
    assert "Completed" in plain(browser.get(f"{at}progress/"))
    assert browser.post(f"{at}confirm/", {"confirm": "9"}).status_code == 422


def test_a_run_that_goes_on_is_asked_for_again(browser, waiting):
    at = f"{AT}runs/{waiting.public_id}/progress/"
    assert "hx-trigger" not in browser.get(at).content.decode()
    PruneRun.objects.update(state="running", waiting_for="")
    assert 'hx-trigger="every 2s"' in browser.get(at).content.decode()


def test_a_run_is_paused_and_resumed(browser, as_role, waiting):
    at = f"{AT}runs/{waiting.public_id}/"
    assert "Pause" not in plain(browser.get(at))
    PruneRun.objects.update(state="running", waiting_for="")
    assert browser.post(f"{at}pause/", {"reason": ""}).status_code == 422
    assert browser.post(f"{at}pause/", {"reason": "Audit"}).url == at
    assert "nothing more goes" in plain(browser.get(at))
    assert "hx-trigger" not in browser.get(f"{at}progress/").content.decode()
    for place in (AT, f"{AT}due/", f"{AT}runs/", at):
        assert "Paused" in plain(browser.get(place))
    services.prune_due(account=waiting.account, now=waiting.started_at)
    assert Conversation.objects.count() == 10
    viewer = as_role(Member.Role.VIEWER)
    assert "Resume" not in plain(viewer.get(at))
    assert viewer.post(f"{at}resume/", {"reason": "x"}).status_code == 403
    browser.post(f"{at}resume/", {"reason": "Done"})
    assert "Going on by itself" in plain(browser.get(f"{AT}runs/"))
    assert 'hx-trigger="every 2s"' in browser.get(at).content.decode()


def test_receipts_are_listed_filtered_and_exported(browser, waiting):
    browser.post(f"{AT}runs/{waiting.public_id}/confirm/", {"confirm": "9"})
    shown = plain(browser.get(f"{AT}runs/?state=completed&target=conversations"))
    assert "Keep 30 days · conversations" in shown
    none = plain(browser.get(f"{AT}runs/?state=failed"))
    assert "No run is like that" in none
    answer = browser.get(f"{AT}runs/export/")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert any(waiting.public_id in line for line in lines)
    assert "verify_receipts.py" in plain(browser.get(f"{AT}runs/"))


@pytest.mark.parametrize("kind", ["user", "conversation", "bot", "account"])
def test_a_hold_is_placed_and_released(browser, account, bot, talks, kind):
    what = {"user": "u-1", "conversation": talks[0].public_id, "bot": bot.public_id}
    sent = {"kind": kind, "reason": "Case 7", **what, "until": "2999-01-01T00:00"}
    answer = browser.post(f"{AT}holds/new/", sent)
    hold = LegalHold.objects.get()
    assert answer.url == f"{AT}holds/{hold.public_id}/"
    assert (hold.kind, hold.ref) == (kind, what.get(kind, account.public_id))
    assert hold.owner == "alice@example.com"
    assert "Case 7" in plain(browser.get(f"{AT}holds/?state=active"))
    assert browser.post(f"{answer.url}release/", {}).status_code == 422
    browser.post(f"{answer.url}release/", {"reason": "Settled"})
    assert "Settled" in plain(browser.get(answer.url))
    assert "No hold is like that" in plain(browser.get(f"{AT}holds/?state=active"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"kind": "user", "user": ""}, "id_user"),
        ({"kind": "conversation", "conversation": "cnv_none"}, "id_conversation"),
        ({"kind": "bot", "bot": ""}, "id_bot"),
        ({"kind": "bot", "bot": "bot_x"}, "id_bot"),
        ({"kind": "wish"}, "id_kind"),
        ({"reason": ""}, "id_reason"),
        ({"until": "2001-01-01T00:00"}, "id_until"),
        ({"until": "soon"}, "id_until"),
        ({"until": "9999-12-31T23:59"}, "id_until"),
        ({"until": "0001-01-01T00:00"}, "id_until"),
        ({"user": "a\x00"}, "id_user"),
    ],
)
def test_a_wrong_hold_is_told_beside_its_field(browser, changes, place):
    sent = {"kind": "user", "user": "u-1", "reason": "x", "owner": "Kept", **changes}
    answer = browser.post(f"{AT}holds/new/", sent)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert f'id="{place}_error"' in page
    assert 'value="Kept"' in page
    assert not LegalHold.objects.exists()


def test_a_forgotten_hold_shows(browser, account, actor, now):
    held(account, actor, now - timedelta(days=91), account)
    assert "1 legal hold has had no end" in plain(browser.get(AT))
    assert "Forgotten?" in plain(browser.get(f"{AT}holds/?state=forgotten"))


def test_a_user_is_erased_after_typing_the_name(browser, talks):
    assert "1 conversations" in plain(browser.get(f"{AT}erase/?user=u-1"))
    wrong = browser.post(f"{AT}erase/", {"user": "u-1", "typed": "u-2"})
    assert wrong.status_code == 422
    assert "This is not the name" in plain(wrong)
    assert Conversation.objects.count() == 10
    answer = browser.post(f"{AT}erase/", {"user": "u-1", "typed": "u-1"})
    run = PruneRun.objects.get(target="user_data")
    assert answer.url == f"{AT}runs/{run.public_id}/"
    assert Conversation.objects.count() == 9
    shown = plain(browser.get(answer.url))
    assert "Erasure of a user" in shown
    assert run.subject in shown


def test_a_held_user_is_not_erased(browser, account, actor, talks, now):
    hold = held(account, actor, now, "u-1")
    answer = browser.post(f"{AT}erase/", {"user": "u-1", "typed": "u-1"})
    assert answer.status_code == 422
    assert hold.public_id in plain(answer)
    assert Conversation.objects.count() == 10


@pytest.mark.django_db
@pytest.mark.parametrize("user", ["", "\x00", "x" * 300])
def test_odd_users_are_no_server_error(browser, user):
    assert browser.get(f"{AT}erase/", {"user": user}).status_code == 200
    sent = {"user": user, "typed": user}
    assert browser.post(f"{AT}erase/", sent).status_code == 422


@pytest.mark.parametrize(
    ("role", "places", "erases"),
    [
        (Member.Role.OPERATOR, True, False),
        (Member.Role.AUDITOR, False, False),
        (Member.Role.VIEWER, False, False),
    ],
)
def test_roles(as_role, role, places, erases, waiting):
    client = as_role(role)
    page = plain(client.get(f"{AT}holds/"))
    assert ("Place a hold" in page) == places
    assert "Erase a user" not in page
    assert client.get(f"{AT}erase/").status_code == 403
    assert (client.get(f"{AT}holds/new/").status_code == 200) == places
    run = plain(client.get(f"{AT}runs/{waiting.public_id}/"))
    assert ("Delete them" in run) == places


def test_every_page_reads_little(
    browser, account, actor, waiting, talks, at_policy, now
):
    hold = held(account, actor, now, talks[0])
    for number in range(6):
        document = retention_document(name=f"Keep {number}", rollout_mode="shadow")
        edits.create_policy(account=account, document=document, actor=actor, now=now)
    assert Policy.objects.count() == 7
    assert runs(account).count() >= 1
    for address in (
        AT,
        f"{AT}due/",
        at_policy,
        f"{AT}runs/",
        f"{AT}runs/{waiting.public_id}/",
        f"{AT}runs/{waiting.public_id}/progress/",
        f"{AT}holds/",
        f"{AT}holds/{hold.public_id}/",
        f"{AT}holds/new/",
        f"{AT}erase/?user=u-1",
    ):
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(address).status_code == 200
        assert len(queries) <= 12, (address, len(queries))
