"""All that is due, of all accounts: the house's rules, the clock, the command."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import Account
from alerts.models import Alert
from audit.models import DecisionRecord
from retention import clocks, guard, tasks
from retention.models import PruneRun
from retention.services import prune_due
from tests.retention.house import DAY, House, left
from usage.models import Conversation, HourlyRollup, UsageEvent
from usage.rollups import roll_up

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house():
    return House()


def test_each_policy_and_each_account_gets_its_receipt(house):
    other = House("bob")
    for one in (house, other):
        one.young()
        one.conversation(31)
        one.policy()

    runs = prune_due(now=house.now)

    assert {run.account for run in runs} == {house.account, other.account}
    assert Conversation.objects.count() == 40
    assert prune_due(now=house.now) == []


def test_one_account_alone(house):
    other = House("bob")
    for one in (house, other):
        one.young()
        one.conversation(31)
        one.policy()

    (run,) = prune_due(now=house.now, account=other.account)

    assert run.account == other.account
    assert house.account.conversations.count() == 21


def test_events_live_400_days_where_no_policy_says_otherwise(house):
    old, young = house.event(401), house.event(399)

    (run,) = prune_due(now=house.now)

    assert left(UsageEvent) == {young.id}
    assert (run.policy, run.policy_revision, run.target) == (None, 0, "usage_events")
    assert run.deleted == {"usage_usageevent": 1}
    assert old.id not in left(UsageEvent)


def test_deleted_events_stay_in_the_rollups(house):
    house.event(401, tokens=7)

    prune_due(now=house.now)

    assert not UsageEvent.objects.exists()
    assert HourlyRollup.objects.get().tokens == 7
    assert roll_up(now=house.now) == 0


def test_a_longer_policy_keeps_the_events_it_covers(house):
    house.policy(target="usage_events", days=1000, scope={"user": "bob"})
    covered = house.event(401, user="bob")
    house.event(401, user="eve")
    house.event(401)

    prune_due(now=house.now)

    assert left(UsageEvent) == {covered.id}


def test_a_longer_policy_in_shadow_keeps_nothing(house):
    house.policy(target="usage_events", days=1000, rollout_mode="shadow")
    house.event(401)

    prune_due(now=house.now)

    assert not UsageEvent.objects.exists()


def test_a_shorter_policy_takes_the_events_it_covers(house):
    other = house.add_bot("other", owner="bob")
    house.policy(
        target="usage_events", days=10, scope={"bot": other.public_id, "user": "bob"}
    )
    for _ in range(8):
        house.event(0)
    mine = house.event(11)
    house.event(11, bot=other)

    prune_due(now=house.now)

    assert UsageEvent.objects.count() == 9
    assert mine.id in left(UsageEvent)


@pytest.mark.parametrize(("plan", "days"), [("standard", 30), ("plus", 180)])
def test_decisions_live_as_long_as_the_plan_says(house, plan, days):
    Account.objects.update(plan=plan)
    house.decision(days + 0.01)
    young = house.decision(days - 0.01)

    (run,) = prune_due(now=house.now)

    assert left(DecisionRecord) == {young.id}
    assert (run.target, run.deleted) == ("decisions", {"audit_decisionrecord": 1})


def test_a_policy_cannot_keep_decisions_longer_than_the_plan(house):
    house.policy(target="decisions", days=300)
    house.decision(31)

    prune_due(now=house.now)

    assert not DecisionRecord.objects.exists()


def test_a_policy_may_keep_decisions_shorter(house):
    house.policy(target="decisions", days=5, scope={"bot": house.bot.public_id})
    for _ in range(8):
        house.decision(0)
    house.decision(6)
    other = house.decision(6, policy_target="bot_other")

    prune_due(now=house.now)

    assert DecisionRecord.objects.count() == 9
    assert other.id in left(DecisionRecord)


def test_nothing_is_pruned_while_the_clocks_disagree(house, caplog):
    house.young()
    house.conversation(31)
    house.policy()

    for witness in (house.now - timedelta(minutes=61), house.now + 2 * DAY):
        (run,) = prune_due(now=house.now, witnesses=[house.now, witness])
        assert (run.state, run.waiting_for, run.due) == ("waiting", "clock", 1)
    assert "The clock shows" in caplog.text
    assert Conversation.objects.count() == 21
    assert "the clock is over an hour" in Alert.objects.get().message

    witness = house.now - timedelta(minutes=59)
    (run,) = prune_due(now=house.now, witnesses=[witness])
    assert (run.state, run.deleted["usage_conversation"]) == ("completed", 1)
    assert Alert.objects.get().state == "resolved"


def test_the_next_worker_goes_on_with_the_run_of_a_killed_one(house):
    for _ in range(3):
        house.conversation(31)
    run = house.prune(house.policy(), confirmed=True, budget_rows=1)
    PruneRun.objects.update(state="running")

    (same,) = prune_due(now=house.now + timedelta(minutes=1))

    assert same.id == run.id
    assert (same.state, same.deleted["usage_conversation"]) == ("completed", 3)


def test_a_confirmation_is_for_one_run(house):
    house.conversation(31)
    policy = house.policy()
    house.prune(policy, confirmed=True)
    house.conversation(31)

    run = house.prune(policy)

    assert (run.state, run.confirmed_at) == ("waiting", None)


@pytest.fixture
def undeletable():
    """The database refuses to delete Bob's conversations."""
    with connection.cursor() as cursor:
        cursor.execute(
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'not this one'; END $$;
            CREATE TRIGGER refuse BEFORE DELETE ON usage_conversation FOR EACH ROW
            WHEN (OLD."user" = 'bob') EXECUTE FUNCTION refuse()"""
        )
        yield
        cursor.execute("DROP FUNCTION refuse CASCADE")


def test_a_policy_that_fails_says_so_and_does_not_stop_the_others(house, undeletable):
    house.young()
    house.conversation(31, user="bob")
    house.conversation(31, user="eve")
    house.policy(scope={"user": "bob"})
    house.policy(scope={"user": "eve"})

    runs = {run.state: run for run in prune_due(now=house.now)}

    assert runs["failed"].deleted == {}
    assert runs["completed"].deleted["usage_conversation"] == 1
    # It is tried again, on the same receipt.
    (again,) = prune_due(now=house.now + timedelta(minutes=1))
    assert (again.id, again.state) == (runs["failed"].id, "failed")


def test_the_task_prunes_by_its_own_clock(house):
    house.now = timezone.now()
    house.young()
    house.conversation(31)
    house.policy()

    assert tasks.prune_due() == 1
    assert tasks.prune_due() == 0


def test_a_jump_between_two_runs_is_seen(house, monkeypatch):
    now = timezone.now()
    clocks.remember(now - timedelta(hours=2))
    assert not guard.trusted(now, clocks.witnesses(now))
    clocks.remember(now)
    assert guard.trusted(now, clocks.witnesses(now))
    # The machine was started again, and its clock went back.
    monkeypatch.setattr(clocks, "_boot", lambda: "another")
    earlier = now - timedelta(hours=2)
    witnesses = [w for w in clocks.witnesses(earlier) if w <= now]
    assert not guard.trusted(earlier, witnesses)


def test_the_task_waits_while_the_clock_cannot_be_trusted(house):
    house.now = timezone.now()
    house.young()
    house.conversation(31)
    house.policy()
    clocks.remember(house.now - timedelta(hours=2))

    tasks.prune_due()
    assert PruneRun.objects.get().waiting_for == "clock"
    assert "the clock is over an hour" in run_command()
    run_command("--confirm")
    assert Conversation.objects.count() == 20
    # A person's word holds for the clock as well.
    house.conversation(31)
    tasks.prune_due()
    assert Conversation.objects.count() == 20


def run_command(*arguments):
    output = StringIO()
    call_command("prune", *arguments, stdout=output)
    return output.getvalue()


def test_the_command_says_what_is_due_and_deletes_nothing(house):
    house.now = timezone.now()
    house.conversation(31)
    house.policy()

    output = run_command("--dry-run")

    assert "alice: Keep 30 days (conversations): 1 due, 0 held, of 1" in output
    assert "waits for --confirm" in output
    lines = run_command("--dry-run", "--json").splitlines()
    assert json.loads(lines[0])["due"] == 1
    assert Conversation.objects.count() == 1


def test_the_command_waits_for_a_word_and_then_goes_to_the_end(house):
    house.now = timezone.now()
    house.conversation(31)
    house.policy()

    assert "waits: nothing deleted, 1 due of 1" in run_command()
    output = run_command("--confirm", "--account", "alice")

    assert "1 usage_conversation" in output
    assert not Conversation.objects.exists()
    assert PruneRun.objects.get().confirmed_by == "command, confirmed"
    assert run_command() == "Nothing is due.\n"


def test_the_command_names_an_unknown_account(house):
    with pytest.raises(CommandError, match="no account nobody"):
        run_command("--account", "nobody")
