"""Legal holds beat every rule, from the moment they are answered until released."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.actors import SYSTEM
from accounts.errors import InvalidBody, NotFound
from accounts.models import Account, Bot, ChangeRecord
from accounts.services import update_bot
from audit.models import DecisionRecord
from retention import previews, selectors
from retention.holding import (
    Held,
    NotHolding,
    delete_conversation,
    place_hold,
    release_hold,
)
from retention.models import LegalHold
from retention.partitions import drop_partitions
from retention.services import prune_due
from tests.retention.house import DAY, NOW, House, left, open_month, texts
from tests.retention.test_races import in_thread
from usage.models import Conversation, UsageEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house():
    return House()


def hold(house, what, **fields) -> LegalHold:
    given = {"reason": "Case 12", "actor": SYSTEM, "now": house.now}
    return place_hold(account=house.account, what=what, **{**given, **fields})


def kinds(house):
    """What can be held, with a row that it covers; another row is never covered."""
    project = house.add_project("p")
    bot = house.add_bot("held", project=project)
    owned = house.add_bot("owned", owner="ann")
    free = house.conversation(31)
    return {
        "account": (house.account, house.conversation(31)),
        "project": (project, house.conversation(31, bot=bot)),
        "bot": (bot, house.conversation(31, bot=bot)),
        "user": ("bob", house.conversation(31, user="bob")),
        "owner": ("ann", house.conversation(31, bot=owned)),
        "conversation": (free, free),
    }


@pytest.mark.parametrize(
    "kind", ["account", "project", "bot", "user", "owner", "conversation"]
)
def test_a_hold_keeps_what_it_names_until_it_is_released(house, kind):
    held, row = kinds(house)[kind]
    other = house.conversation(31, user="eve")
    placed = hold(house, held)
    policy = house.policy()

    house.prune(policy, confirmed=True)
    assert row.id in left(Conversation)
    assert (other.id in left(Conversation)) is (kind == "account")

    release_hold(hold=placed, actor=SYSTEM, now=house.now)
    house.prune(policy, confirmed=True)
    assert not Conversation.objects.exists()


def move(house, bot, **changes):
    update_bot(bot=bot, changes=changes, actor=SYSTEM, now=house.now)


def test_what_leaves_a_held_project_or_user_stays_held(house):
    project, elsewhere = house.add_project("held"), house.add_project("elsewhere")
    hold(house, project)
    owned = hold(house, "ann")
    joined, own = house.add_bot("joined"), house.add_bot("own", owner="ann")
    kept = {house.conversation(31, bot=joined).id, house.conversation(31, bot=own).id}
    eves = house.conversation(31, bot=own, user="eve")

    move(house, joined, project=project)
    move(house, joined, project=elsewhere)
    move(house, own, owner="eve", project=project)
    move(house, own, project=None, name="once more")
    policy = house.policy()

    run = house.prune(policy, confirmed=True)
    assert left(Conversation) == kept | {eves.id}
    assert run is None
    assert LegalHold.objects.get(id=owned.id).bots == [own.id]

    for placed in selectors.live_holds(house.account, house.now):
        release_hold(hold=placed, actor=SYSTEM, now=house.now)
    house.prune(policy, confirmed=True)
    assert not Conversation.objects.exists()


def test_a_users_hold_keeps_nobody_elses_words_with_a_bot_that_was_his(house):
    bot = house.add_bot("own", owner="ann")
    hold(house, "ann")
    move(house, bot, owner="eve")
    row = house.conversation(31, bot=bot, user="eve")

    house.prune(house.policy(), confirmed=True)

    assert row.id not in left(Conversation)


def test_a_hold_ends_by_itself(house):
    house.young()
    row = house.conversation(31)
    hold(house, house.bot, until=house.now + timedelta(hours=1))
    policy = house.policy()

    assert house.prune(policy, now=house.now + timedelta(minutes=59)) is None
    run = house.prune(policy, now=house.now + timedelta(hours=1))

    assert run.deleted["usage_conversation"] == 1
    assert row.id not in left(Conversation)


def test_another_accounts_hold_holds_nothing_here(house):
    other = House("bob")
    house.young()
    house.conversation(31, user="bob")
    for what in (other.account, "bob"):
        hold(other, what)

    assert house.prune(house.policy()).deleted["usage_conversation"] == 1


def test_held_text_stays(house):
    Account.objects.update(stores_text=True)
    house.conversation(31, messages=2, user="bob")
    house.conversation(31, messages=2, user="eve")
    hold(house, "bob")

    run = house.prune(house.policy(target="message_text"), confirmed=True)

    assert (run.deleted, run.held) == ({"usage_message.text": 2}, 2)
    assert texts() == 2


@pytest.mark.parametrize("kind", ["account", "project", "bot", "user", "conversation"])
def test_held_events_and_decisions_stay(house, kind):
    project = house.add_project("p")
    bot = house.add_bot("held", project=project, owner="bob")
    conversation = house.conversation(0, bot=bot)
    what = {
        "account": house.account,
        "project": project,
        "bot": bot,
        "user": "bob",
        "conversation": conversation,
    }[kind]
    hold(house, what)
    house.event(500)
    event = house.event(
        500, bot=bot, project_id=project.id, conversation_id=conversation.id
    )
    house.decision(40)
    decision = house.decision(
        40,
        policy_target=bot.public_id,
        policy_project_id=project.public_id,
        policy_user="bob",
    )

    prune_due(now=house.now)

    more = {"account": 2}.get(kind, 1)
    assert event.id in left(UsageEvent)
    assert UsageEvent.objects.count() == more
    # Decisions do not know their conversation.
    kept = kind != "conversation"
    assert (decision.id in left(DecisionRecord)) is kept
    assert DecisionRecord.objects.count() == (more if kept else 0)


def test_a_bot_that_leaves_a_held_project_stays_held(house):
    project = house.add_project("p")
    bot = house.add_bot("moves", project=project)
    row = house.conversation(31, bot=bot)
    hold(house, project)
    Bot.objects.filter(id=bot.id).update(project=None)
    joined = house.add_bot("joins")
    late = house.conversation(31, bot=joined)
    Bot.objects.filter(id=joined.id).update(project=project)

    house.prune(house.policy(), confirmed=True)

    assert left(Conversation) == {row.id, late.id}


def test_a_partition_with_a_held_row_is_not_dropped(house):
    month = open_month("audit_decisionrecord", house.now - 70 * DAY)
    house.decision(70, policy_user="bob")
    house.decision(70, policy_user="eve")
    placed = hold(house, "bob")

    assert month not in drop_partitions(now=house.now)
    release_hold(hold=placed, actor=SYSTEM, now=house.now)
    assert month in drop_partitions(now=house.now)


def test_a_held_conversation_is_not_deleted_by_hand(house):
    row = house.conversation(0)
    placed = hold(house, row)

    with pytest.raises(Held, match=placed.public_id):
        delete_conversation(conversation=row, actor=SYSTEM, now=house.now)
    release_hold(hold=placed, actor=SYSTEM, now=house.now)
    delete_conversation(conversation=row, actor=SYSTEM, now=house.now)
    assert not Conversation.objects.exists()
    with pytest.raises(NotFound):
        delete_conversation(conversation=row, actor=SYSTEM, now=house.now)


def test_who_places_and_releases_is_on_record(house):
    placed = hold(house, "bob", owner="Legal")
    assert (placed.owner, placed.created_by) == ("Legal", "PolicyHub")
    released = release_hold(hold=placed, actor=SYSTEM, reason="over", now=house.now)

    assert (released.released_by, released.release_reason) == ("PolicyHub", "over")
    records = ChangeRecord.objects.filter(target=placed.public_id).order_by("id")
    assert {record.action for record in records} == {"hold.placed", "hold.released"}
    with pytest.raises(NotHolding):
        release_hold(hold=placed, actor=SYSTEM, now=house.now)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"reason": " "}, "/reason"),
        ({"reason": "x" * 2_001}, "/reason"),
        ({"until": NOW}, "/until"),
    ],
)
def test_a_hold_that_cannot_be_is_refused(house, fields, pointer):
    with pytest.raises(InvalidBody) as refused:
        hold(house, "bob", **fields)
    assert [error["pointer"] for error in refused.value.errors] == [pointer]


def test_a_preview_and_a_receipt_say_what_is_held_and_why(house):
    house.young()
    for user in ("bob", "bob", "eve"):
        house.conversation(31, user=user)
    mine, wide = hold(house, "bob"), hold(house, house.account, until=NOW + DAY)
    policy = house.policy()

    shown = previews.preview(account=house.account, policy=policy, now=house.now)
    assert (shown["due"], shown["held"]) == (0, 3)
    rows = {each["hold"].id: each["rows"] for each in shown["holds"]}
    assert rows == {mine.id: 2, wide.id: 3}
    release_hold(hold=wide, actor=SYSTEM, now=house.now)

    run = house.prune(policy)
    assert (run.deleted["usage_conversation"], run.held) == (1, 2)


def test_a_forgotten_hold_shows(house):
    old = hold(house, "bob", now=NOW - 91 * DAY)
    hold(house, "eve", now=NOW - 91 * DAY, until=NOW + DAY)
    hold(house, "joe")

    assert list(selectors.forgotten_holds(house.account, NOW)) == [old]


# --- At once ----------------------------------------------------------------------


def test_a_hold_waits_for_the_batch_under_way_and_stops_the_next(house):
    for _ in range(6):
        house.conversation(31)
    placed = threading.Event()

    def place():
        hold(house, house.account)
        placed.set()

    policy = house.policy()
    with transaction.atomic():
        house.prune(policy, budget_rows=2, batch=2, confirmed=True)
        thread = in_thread(place)
        assert not placed.wait(0.4)
    thread.join(20)
    assert placed.is_set()

    house.prune(policy, confirmed=True)
    assert Conversation.objects.count() == 4


def test_a_row_that_is_held_after_it_was_chosen_stays(house, monkeypatch):
    """The deleting statement asks again, whatever chose the rows."""
    row, other = house.conversation(31), house.conversation(31)
    policy = house.policy()
    asked = []

    def lock(target):
        # As if the hold had come between the choice and the deletion.
        if not asked:
            asked.append(hold(house, row))
        return "SELECT %(ids)s"

    monkeypatch.setattr("retention.targets.lock", lock)
    monkeypatch.setattr("retention.locks.lock_exclusively", lambda account_id: None)
    house.prune(policy, confirmed=True, budget_rows=5, batch=5)

    assert left(Conversation) == {row.id}
    assert other.id not in left(Conversation)


def test_the_database_refuses_a_hold_of_another_accounts_bot(house):
    other = House("bob")
    theirs = LegalHold(account=house.account, kind="bot", bot=other.bot, reason="x")

    def write():
        with transaction.atomic():
            theirs.save()
            connection.check_constraints()

    with pytest.raises(IntegrityError, match="hold_bot_same_account"):
        write()
