"""Months are opened ahead, strays get one of their own, due months are dropped."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from accounts.actors import SYSTEM
from accounts.models import Account
from alerts.event_types import RETENTION_RUN_COMPLETED
from alerts.models import Notice
from alerts.services import create_webhook
from audit.models import DecisionRecord
from retention import tasks
from retention.models import PruneRun
from retention.partitions import (
    adopt_strays,
    drop_partitions,
    maintain_partitions,
    partitions_of,
)
from tests.retention.house import DAY, House, left, open_month
from tests.usage.quiet import until_others_have_ended
from usage.models import UsageEvent
from usage.rollups import roll_up

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS, DECISIONS = "usage_usageevent", "audit_decisionrecord"


@pytest.fixture
def house():
    before = {table: names(table) for table in (EVENTS, DECISIONS)}
    yield House()
    # Later tests find the months that the migrations opened, and no others.
    for table, kept in before.items():
        for name in names(table) ^ kept:
            with connection.cursor() as cursor:
                cursor.execute(f'DROP TABLE IF EXISTS "{name}"')
    maintain_partitions(now=datetime.now(UTC))


def names(table):
    return {partition.name for partition in partitions_of(table)}


def place_of(row):
    with connection.cursor() as cursor:
        table = row._meta.db_table
        cursor.execute(
            f"SELECT tableoid::regclass::text FROM {table} WHERE id = %s", [row.id]
        )
        return cursor.fetchone()[0]


def test_this_month_and_three_more_are_open(house):
    house.now = datetime(2031, 11, 15, tzinfo=UTC)

    opened = maintain_partitions(now=house.now)["opened"]

    wanted = {"2031_11", "2031_12", "2032_01", "2032_02"}
    assert {f"{EVENTS}_{month}" for month in wanted} <= set(opened)
    assert {f"{DECISIONS}_{month}" for month in wanted} <= set(opened)
    assert maintain_partitions(now=house.now)["opened"] == []


def test_strays_get_a_month_of_their_own(house):
    house.now = datetime(2033, 5, 20, tzinfo=UTC)
    first, second, other = house.event(0), house.event(1), house.event(60)
    assert place_of(first) == f"{EVENTS}_strays"

    opened = adopt_strays(table=EVENTS)

    assert opened == [f"{EVENTS}_2033_03", f"{EVENTS}_2033_05"]
    assert place_of(first) == place_of(second) == f"{EVENTS}_2033_05"
    assert place_of(other) == f"{EVENTS}_2033_03"
    assert place_of(house.event(0)) == f"{EVENTS}_2033_05"
    assert UsageEvent.objects.count() == 4


def test_an_adopted_event_is_still_rolled_up_once(house):
    house.now = datetime(2033, 5, 20, tzinfo=UTC)
    house.event(0)
    adopt_strays(table=EVENTS)
    until_others_have_ended()

    assert roll_up(now=house.now) == 1
    assert roll_up(now=house.now) == 0


def test_a_month_of_decisions_is_dropped_when_all_of_it_is_due(house):
    other = House("bob")
    month = datetime(2026, 3, 15, tzinfo=UTC)
    name = open_month(DECISIONS, month)
    house.now = other.now = month
    for one, count in ((house, 3), (other, 2)):
        for _ in range(count):
            one.decision(0)
    end = datetime(2026, 4, 1, tzinfo=UTC)
    create_webhook(
        account=house.account,
        url="https://hooks.example.com/",
        types=[RETENTION_RUN_COMPLETED],
        actor=SYSTEM,
        now=month,
    )

    assert drop_partitions(now=end + 29 * DAY) == []
    assert drop_partitions(now=end + 30 * DAY) == [name]

    assert name not in names(DECISIONS)
    assert not DecisionRecord.objects.exists()
    receipts = {run.account: run for run in PruneRun.objects.all()}
    assert receipts[house.account].deleted == {DECISIONS: 3}
    assert receipts[other.account].deleted == {DECISIONS: 2}
    for run in receipts.values():
        assert (run.state, run.policy, run.cutoff) == ("completed", None, end)
        assert len(run.digest) == 64
    told = Notice.objects.get().data
    assert told["id"] == receipts[house.account].public_id
    assert told["account"] == house.account.public_id


def test_one_account_that_keeps_longer_keeps_the_month(house):
    other = House("bob")
    Account.objects.filter(id=other.account.id).update(plan="plus")
    month = datetime(2026, 3, 15, tzinfo=UTC)
    name = open_month(DECISIONS, month)
    house.now = other.now = month
    house.decision(0)
    kept = other.decision(0)

    assert drop_partitions(now=month + 100 * DAY) == []
    DecisionRecord.objects.filter(id=kept.id).delete()
    assert drop_partitions(now=month + 100 * DAY) == [name]


def test_a_longer_policy_keeps_a_month_of_events(house):
    month = datetime(2024, 3, 15, tzinfo=UTC)
    name = open_month(EVENTS, month)
    house.now = month
    house.event(0)
    policy = house.policy(target="usage_events", days=800)

    assert drop_partitions(now=month + 500 * DAY) == []
    policy.rollout_mode = "off"
    policy.save()
    assert drop_partitions(now=month + 500 * DAY) == [name]


def test_a_month_is_not_dropped_before_it_is_rolled_up(house):
    month = datetime(2024, 3, 15, tzinfo=UTC)
    name = open_month(EVENTS, month)
    house.now = month
    event = house.event(0)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {EVENTS} SET written_by = '99999999999' WHERE id = %s", [event.id]
        )

    assert drop_partitions(now=month + 500 * DAY) == []
    assert left(UsageEvent) == {event.id}
    assert name in names(EVENTS)


def test_an_emptied_month_is_dropped_after_a_while(house):
    month = datetime(2026, 3, 15, tzinfo=UTC)
    name = open_month(EVENTS, month)
    end = datetime(2026, 4, 1, tzinfo=UTC)

    assert drop_partitions(now=end + timedelta(days=34)) == []
    assert drop_partitions(now=end + timedelta(days=35)) == [name]
    assert not PruneRun.objects.exists()


def test_a_busy_table_is_left_for_the_next_hour(house, caplog):
    from tests.retention.test_races import elsewhere

    month = datetime(2026, 3, 15, tzinfo=UTC)
    name = open_month(DECISIONS, month)
    house.now = month
    house.decision(0)

    def read():
        DecisionRecord.objects.count()

    with elsewhere(read):
        assert drop_partitions(now=month + 100 * DAY) == []
    assert "is dropped later" in caplog.text
    assert drop_partitions(now=month + 100 * DAY) == [name]


def test_the_task_keeps_months_open(house):
    assert tasks.maintain_partitions()["dropped"] == []
