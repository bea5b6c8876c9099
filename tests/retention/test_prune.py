"""Pruning by policy: what is due goes, what is not stays, and a receipt says so."""

from hashlib import sha256

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.actors import SYSTEM
from accounts.models import Account, Bot
from policies.models import Policy
from policies.rules import Scope
from policies.services import archive_policy
from retention import targets
from retention.models import PruneRun
from retention.services import prune_due
from retention.stock import Stock
from tests.retention.house import DAY, NOW, House, left, texts
from usage.models import Conversation, ConversationSeen, Message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house():
    return House()


def test_old_conversations_go_with_their_messages_and_young_ones_stay(house):
    house.young()
    old = house.conversation(31, messages=3)
    young = house.conversation(29, messages=2)

    run = house.prune(house.policy())

    assert old.id not in left(Conversation)
    assert young.id in left(Conversation)
    assert Message.objects.count() == 2
    assert run.deleted == {"usage_conversation": 1, "usage_message": 3}
    assert (run.state, run.remaining) == ("completed", 0)


def test_the_cut_off_itself_is_not_due(house):
    house.young()
    exact = house.conversation(30)
    over = house.conversation(30 + 1e-6)

    house.prune(house.policy())

    assert exact.id in left(Conversation)
    assert over.id not in left(Conversation)


def test_what_was_counted_stays_counted(house):
    house.young()
    house.conversation(31, external_id="c-1")
    seen = left(ConversationSeen)

    house.prune(house.policy())

    assert left(ConversationSeen) == seen


def test_a_run_without_anything_due_leaves_nothing(house):
    house.conversation(29)

    assert house.prune(house.policy()) is None
    assert not PruneRun.objects.exists()


@pytest.mark.parametrize("mode", ["off", "shadow"])
def test_only_an_enforced_policy_deletes(house, mode):
    house.young()
    house.conversation(31)

    assert house.prune(house.policy(rollout_mode=mode)) is None
    assert Conversation.objects.count() == 21


def test_an_archived_policy_deletes_nothing(house):
    house.young()
    house.conversation(31)
    policy = house.policy()
    archived = archive_policy(
        policy=policy, actor=SYSTEM, now=house.now, expected_revision=None
    )

    assert house.prune(archived) is None
    # Also a run that read the policy before it was archived.
    run = house.prune(policy)
    assert (run.deleted, run.remaining, run.state) == ({}, 1, "paused")
    # The next one of the account ends it.
    prune_due(now=house.now)
    run.refresh_from_db()
    assert (run.state, run.skipped) == ("stopped", {"edited": 1})


def test_an_edit_stops_a_run_that_read_the_policy_before(house):
    house.young()
    house.conversation(31)
    policy = house.policy()
    Policy.objects.filter(id=policy.id).update(revision=2)

    assert house.prune(policy).deleted == {}


def test_the_shortest_of_several_rules_wins(house):
    house.young()
    row = house.conversation(10)
    long, short = house.policy(days=365), house.policy(days=7)

    assert house.prune(long) is None
    house.prune(short)

    assert row.id not in left(Conversation)


def test_a_scope_narrows_to_a_bot(house):
    house.young()
    other = house.add_bot("other")
    mine, theirs = house.conversation(31), house.conversation(31, bot=other)

    house.prune(house.policy(scope={"bot": other.public_id}))

    assert mine.id in left(Conversation)
    assert theirs.id not in left(Conversation)


def test_a_scope_narrows_to_a_project(house):
    house.young()
    project = house.add_project("p")
    inside = house.add_bot("inside", project=project)
    outer, inner = house.conversation(31), house.conversation(31, bot=inside)

    house.prune(house.policy(scope={"project": project.public_id}))

    assert outer.id in left(Conversation)
    assert inner.id not in left(Conversation)


def test_a_scope_narrows_to_a_user_or_the_bots_owner(house):
    house.young()
    owned = house.add_bot("owned", owner="bob")
    bobs = house.conversation(31, user="bob")
    by_owner = house.conversation(31, bot=owned)
    others = house.conversation(31, user="eve", bot=owned)
    nobodys = house.conversation(31)

    house.prune(house.policy(scope={"user": "bob"}))

    assert {others.id, nobodys.id} <= left(Conversation)
    assert not {bobs.id, by_owner.id} & left(Conversation)


def test_a_field_that_the_rows_do_not_have_covers_none():
    target = targets.TARGETS["conversations"]

    assert targets.covered(target, Scope(model="gpt-x")).sql == "FALSE"


def test_another_accounts_rows_are_never_touched(house):
    house.young()
    stranger = House("charlie")
    theirs = stranger.conversation(999)

    house.prune(house.policy(days=1), confirmed=True)

    assert theirs.id in left(Conversation)


def test_text_goes_and_the_message_stays(house):
    Account.objects.update(stores_text=True)
    for _ in range(5):
        house.conversation(1, messages=2)
    house.conversation(31, messages=2)

    run = house.prune(house.policy(target="message_text"))

    assert run.deleted == {"usage_message.text": 2}
    assert Message.objects.count() == 12
    assert texts() == 10
    assert house.prune(house.policy(target="message_text")) is None


def test_the_age_of_text_counts_from_the_conversations_last_activity(house):
    Account.objects.update(stores_text=True)
    conversation = house.conversation(31, messages=1)
    Conversation.objects.filter(id=conversation.id).update(last_activity_at=house.now)

    assert house.prune(house.policy(target="message_text")) is None
    assert texts() == 1


def test_a_run_keeps_to_its_budget_and_the_next_goes_on(house):
    for _ in range(10):
        house.conversation(31)
    policy = house.policy()

    first = house.prune(policy, budget_rows=4, batch=3, confirmed=True)
    second = house.prune(policy, batch=3, confirmed=True)

    assert (first.deleted["usage_conversation"], first.remaining) == (4, 6)
    assert first.state == "paused"
    assert second.id == first.id
    assert (second.deleted["usage_conversation"], second.remaining) == (10, 0)
    assert (second.state, second.due, second.total) == ("completed", 10, 10)


def test_a_turn_in_the_middle_of_a_run_counts_nothing(house):
    for _ in range(10):
        house.conversation(31)
    policy = house.policy()
    house.prune(policy, budget_rows=2, confirmed=True)

    with CaptureQueriesContext(connection) as asked:
        run = house.prune(policy, budget_rows=3, confirmed=True)

    assert (run.remaining, run.state) == (5, "paused")
    counted = [q["sql"] for q in asked if "count(*), min(" in q["sql"]]
    assert not counted


def test_what_calls_wait_for_is_chosen_little_by_little(house, monkeypatch):
    for _ in range(9):
        house.conversation(31)
    asked, read = [], Stock._read

    def note(stock):
        asked.append(stock.most)
        return read(stock)

    monkeypatch.setattr(Stock, "_read", note)
    run = house.prune(house.policy(), batch=4, confirmed=True)

    assert (run.deleted["usage_conversation"], asked) == (9, [4, 4, 4])


def test_a_run_without_time_deletes_nothing(house):
    house.young()
    house.conversation(31)

    run = house.prune(house.policy(), budget_seconds=0)

    assert (run.deleted, run.remaining) == ({}, 1)


def test_the_oldest_go_first(house):
    rows = [house.conversation(age) for age in (40, 60, 50)]

    house.prune(house.policy(), budget_rows=2, confirmed=True)

    assert left(Conversation) == {rows[0].id}


def test_the_receipt_says_which_rule_up_to_when_and_by_whom(house):
    house.young()
    row = house.conversation(31)
    policy = house.policy()

    run = house.prune(policy, trigger="admin")

    run.refresh_from_db()
    assert (run.policy, run.policy_revision, run.target) == (policy, 1, "conversations")
    assert run.cutoff == NOW - 30 * DAY
    assert run.trigger == "admin"
    assert run.digest == sha256(row.id.bytes).hexdigest()
    assert run.finished_at >= run.started_at == NOW


def test_a_bot_that_moved_takes_its_conversations_along(house):
    house.young()
    project = house.add_project("p")
    policy = house.policy(scope={"project": project.public_id})
    house.conversation(31)
    assert house.prune(policy) is None

    Bot.objects.filter(id=house.bot.id).update(project=project)
    assert house.prune(policy).deleted["usage_conversation"] == 1
