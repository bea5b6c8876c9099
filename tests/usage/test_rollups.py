"""Rollups: every event once, whatever is under way when a run looks."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from accounts import ids
from accounts.actors import SYSTEM
from accounts.services import create_account, create_bot
from tests.usage.quiet import until_others_have_ended
from usage import rollups
from usage.models import HourlyRollup, RollupProgress, UsageEvent, UsageSummary

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
HOUR = datetime(2026, 11, 21, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bot():
    account = create_account(slug="alice", owner_email="alice@example.com", now=NOW)
    return create_bot(account=account, name="support", actor=SYSTEM, now=NOW)


@pytest.fixture
def record(bot):
    def record_one(**values):
        given = {
            "id": ids.new_id(NOW),
            "account_id": bot.account_id,
            "bot_id": bot.id,
            "sequence": 1,
            "calls": 1,
            "tokens": 10,
            "occurred_at": NOW,
            "created_at": NOW,
            **values,
        }
        return UsageEvent.objects.create(**given)

    return record_one


def roll_up(*, now):
    until_others_have_ended()
    return rollups.roll_up(now=now)


def total(field="events"):
    return HourlyRollup.objects.aggregate(sum=Sum(field))["sum"] or 0


def test_events_of_an_hour_are_added_up(record):
    record(cost=5, input_tokens=4, output_tokens=6, messages=2)
    record(cost=None)
    record(cost=7, occurred_at=NOW + timedelta(minutes=29))

    assert roll_up(now=NOW) == 3

    row = HourlyRollup.objects.get()
    assert (row.hour, row.events, row.calls, row.tokens) == (HOUR, 3, 3, 30)
    assert (row.cost, row.unpriced, row.messages) == (12, 1, 2)
    assert (row.input_tokens, row.output_tokens) == (4, 6)


def test_a_sum_that_no_column_holds_does_not_stop_the_others(record):
    """One tenant sends more than 2^63 within an hour: everybody's usage goes on."""
    for _ in range(2):
        record(tokens=2**63 - 2)
    roll_up(now=NOW)
    record(tokens=2**63 - 2, cost=5)
    roll_up(now=NOW)

    row = HourlyRollup.objects.get()
    assert (row.events, row.tokens, row.cost) == (3, 2**63 - 1, 5)
    summed = UsageSummary.objects.filter(dimension="", grain="day").get()
    assert (summed.events, summed.tokens) == (3, 2**63 - 1)


def test_nothing_is_added_twice(record):
    record()
    assert roll_up(now=NOW) == 1
    assert roll_up(now=NOW) == 0
    record()
    assert roll_up(now=NOW) == 1

    assert HourlyRollup.objects.get().events == 2


def test_each_combination_has_its_row(record):
    record()
    record(user="u")
    record(model="m")
    record(user="u", model="m")
    record(user='u","m')
    record(occurred_at=NOW - timedelta(hours=1))
    record(key_id=ids.new_id(NOW))
    record(project_id=ids.new_id(NOW))

    roll_up(now=NOW)

    assert HourlyRollup.objects.count() == 8
    assert total() == 8


def test_an_event_of_long_ago_counts_in_its_own_hour(record):
    record(occurred_at=NOW - timedelta(days=60))

    roll_up(now=NOW)

    assert HourlyRollup.objects.get().hour == HOUR - timedelta(days=60)


def test_an_open_transaction_is_waited_for(record):
    opened, go = threading.Event(), threading.Event()

    def slow():
        try:
            with transaction.atomic():
                record(user="slow")
                opened.set()
                go.wait(10)
        finally:
            connection.close()

    worker = threading.Thread(target=slow)
    worker.start()
    opened.wait(10)
    record(user="quick")
    assert rollups.roll_up(now=NOW) == 0
    go.set()
    worker.join()

    assert roll_up(now=NOW) == 2
    assert total() == 2


def test_runs_that_race_with_writers_miss_and_double_nothing(record):
    stop = threading.Event()

    def write():
        try:
            for _ in range(60):
                with transaction.atomic():
                    record()
        finally:
            connection.close()

    def run():
        try:
            while not stop.is_set():
                rollups.roll_up(now=NOW)
        finally:
            connection.close()

    writers = [threading.Thread(target=write) for _ in range(3)]
    runners = [threading.Thread(target=run) for _ in range(2)]
    for thread in writers + runners:
        thread.start()
    for writer in writers:
        writer.join()
    stop.set()
    for runner in runners:
        runner.join()
    roll_up(now=NOW)

    assert total() == 180


def test_a_second_run_at_once_does_nothing(record):
    record()
    roll_up(now=NOW)
    record()
    counts = []

    def other():
        try:
            counts.append(rollups.roll_up(now=NOW))
        finally:
            connection.close()

    with transaction.atomic():
        RollupProgress.objects.select_for_update().get(id=1)
        worker = threading.Thread(target=other)
        worker.start()
        worker.join(10)

    assert counts == [0]
    assert roll_up(now=NOW) == 1


def test_a_restored_dump_goes_on_where_it_stopped(record):
    """The new installation's transaction numbers start below the dump's."""
    far = 10**12
    done, waiting = record(user="done"), record(user="waiting")
    low = record(user="low number")
    with connection.cursor() as cursor:
        for event, number in ((done, far), (waiting, far + 9), (low, 3)):
            cursor.execute(
                "UPDATE usage_usageevent SET written_by = %s::text::xid8 WHERE id = %s",
                [number, event.id],
            )
    RollupProgress.objects.create(id=1, horizon=far + 5)
    record(user="new")

    assert roll_up(now=NOW) == 2
    users = set(HourlyRollup.objects.values_list("user", flat=True))
    assert users == {"waiting", "new"}

    record(user="newer")
    assert roll_up(now=NOW) == 1
    assert total() == 3
