"""What the database itself refuses, whoever writes."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from accounts import ids
from accounts.models import ApiKey
from alerts.models import Alert, Delivery
from policies.models import Block, Policy
from tests.usage.house import House
from usage.models import (
    Conversation,
    Counter,
    EventId,
    Reservation,
    UsageEvent,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice():
    return House("alice")


@pytest.fixture
def charlie():
    return House("charlie")


def refused(write, name):
    """The write breaks the named constraint, at the latest when it is checked."""

    @transaction.atomic
    def write_and_check():
        write()
        connection.check_constraints()

    with pytest.raises(IntegrityError, match=name):
        write_and_check()


def alert(house, **fields):
    told = {
        "account": house.account,
        "policy_id": "pol_x",
        "counter": "c",
        "window_start": house.now,
        "step": 100,
    }
    return Alert.objects.create(**told | fields)


def test_an_alert_is_there_once_per_window_and_step(alice):
    alert(alice)
    alert(alice, step=80)
    alert(alice, window_start=alice.now + timedelta(days=1))

    refused(lambda: alert(alice), "alert_once_per_window_and_step")


def test_a_counter_is_there_once_per_window(alice):
    alice.policy()
    alice.send(tokens=1)
    counter = Counter.objects.get()

    def again():
        counter.id = ids.new_id(alice.now)
        counter.save(force_insert=True)

    refused(again, "counter_once_per_window")


@pytest.mark.parametrize("amount", ["used", "held"])
def test_a_counter_is_never_negative(alice, amount):
    alice.policy()
    alice.send(tokens=1)

    refused(lambda: Counter.objects.update(**{amount: -1}), f"counter_{amount}")


@pytest.mark.parametrize("emptied", [{"limits": []}, {"actions": {}}])
def test_a_usage_policy_has_a_limit_and_an_action(alice, emptied):
    alice.policy()

    refused(
        lambda: Policy.objects.update(**emptied),
        "policy_of_usage_has_a_limit_and_an_action",
    )


def test_an_event_id_is_claimed_once(alice):
    alice.send(id="e-1", tokens=1)
    row = EventId.objects.get()

    refused(lambda: row.save(force_insert=True), "usage_eventid_pkey")


def test_a_reservation_ends_once_and_not_before(alice):
    alice.policy()
    alice.hold(tokens=5)

    refused(
        lambda: Reservation.objects.update(ended_at=alice.now), "reservation_ends_once"
    )
    refused(
        lambda: Reservation.objects.update(state="settled"), "reservation_ends_once"
    )


def test_no_row_names_another_accounts_rows(alice, charlie):
    policy = alice.policy()
    theirs = charlie.policy()
    counter = {"counter": ids.new_id(alice.now), "cover": ids.new_id(alice.now)}
    foreign = {
        "policy_scope_bot_same_account": lambda: Policy.objects.filter(
            id=policy.id
        ).update(scope_bot=charlie.bot),
        "block_policy_same_account": lambda: Block.objects.create(
            account=alice.account, kind="policy", policy=theirs, **counter
        ),
        "key_bot_same_account": lambda: ApiKey.objects.create(
            account=alice.account,
            bot=charlie.bot,
            key_prefix="p",
            last4="last",
            digest="d",
            scopes=["*"],
        ),
        "conversation_bot_same_account": lambda: Conversation.objects.create(
            account=alice.account, bot=charlie.bot
        ),
        "delivery_alert_same_account": lambda: Delivery.objects.create(
            account=alice.account, alert=alert(charlie), channel="email"
        ),
    }
    for name, write in foreign.items():
        refused(write, name)


def test_events_and_decisions_lie_in_partitions_by_their_id(alice):
    alice.send(tokens=1)
    alice.ask()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'p' ORDER BY relname"
        )
        parents = [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT tableoid::regclass::text FROM usage_usageevent")
        (partition,) = cursor.fetchone()

    assert {"audit_decisionrecord", "usage_usageevent"} <= set(parents)
    assert partition.startswith("usage_usageevent_")
    assert UsageEvent.objects.get(id=UsageEvent.objects.get().id).tokens == 1
