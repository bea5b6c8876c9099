"""What time does by itself: blocks lift, alerts resolve, event ids are forgotten."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actors import SYSTEM
from alerts.models import Alert
from policies.models import Block
from policies.services import block_bot
from tests.usage.house import House
from tests.usage.quiet import until_others_have_ended
from usage import tasks, upkeep
from usage.models import EventId, HourlyRollup

pytestmark = pytest.mark.django_db(transaction=True)

HOURLY_BLOCK = {"block": {"duration_seconds": 3600}, "email": {}}
HOUR = timedelta(hours=1)


@pytest.fixture
def house():
    return House()


@pytest.fixture
def blocked(house):
    """A day's cap at noon, crossed: blocked until midnight."""
    house.policy(threshold=100, actions=HOURLY_BLOCK, alert_steps=[80, 100])
    house.send(tokens=100)
    return house


def test_a_block_is_lifted_at_its_end(blocked):
    block = Block.objects.get()
    before, end = block.ends_at - timedelta(seconds=1), block.ends_at

    assert upkeep.lift_ended_blocks(now=before) == 0
    assert upkeep.lift_ended_blocks(now=end + HOUR) == 1
    assert upkeep.lift_ended_blocks(now=end + HOUR) == 0

    block.refresh_from_db()
    assert (block.lifted_at, block.lifted_by) == (end, "window end")


def test_an_ended_block_refuses_nothing_even_if_nobody_lifted_it(blocked):
    assert blocked.ask(tokens=1)["reason_code"] == "blocked"

    blocked.later(days=1)

    assert blocked.ask(tokens=1)["allowed"]
    assert Block.objects.get().lifted_at is None


def test_a_persons_block_with_an_end_is_lifted_too(house):
    end = house.now + HOUR
    block_bot(bot=house.bot, reason="", actor=SYSTEM, now=house.now, ends_at=end)

    assert upkeep.lift_ended_blocks(now=end) == 1
    assert Block.objects.get().lifted_by == "end"


def test_a_block_without_an_end_stays(house):
    block_bot(bot=house.bot, reason="", actor=SYSTEM, now=house.now)

    assert upkeep.lift_ended_blocks(now=house.now + timedelta(days=999)) == 0


def test_alerts_resolve_when_their_window_ends(blocked):
    end = Alert.objects.get(step=100).resets_at

    assert upkeep.resolve_alerts(now=end - timedelta(seconds=1)) == 0
    assert upkeep.resolve_alerts(now=end + HOUR) == 2

    assert set(Alert.objects.values_list("state", "resolved_at")) == {("resolved", end)}


def test_a_new_window_alerts_again(blocked):
    blocked.later(days=1)
    upkeep.end_windows(now=blocked.now)

    blocked.send(tokens=100)

    assert Alert.objects.filter(step=100).count() == 2
    assert Alert.objects.filter(step=100, state="breached").count() == 1


def test_a_rolling_alert_resolves_when_enough_has_left(house):
    house.policy(
        threshold=100,
        window={"kind": "rolling", "seconds": 3600},
        actions={"warn": {}},
        alert_steps=[50, 100],
    )
    house.send(tokens=60)
    start = house.now
    house.later(minutes=30)
    house.send(tokens=50)

    def open_steps(moment):
        upkeep.resolve_alerts(now=moment)
        unresolved = Alert.objects.exclude(state="resolved")
        return sorted(unresolved.values_list("step", flat=True))

    assert open_steps(start + timedelta(minutes=59)) == [50, 100]
    # 60 have left, 50 are still used: below 100 %, not below 50 %.
    assert open_steps(start + timedelta(minutes=62)) == [50]
    assert open_steps(start + timedelta(minutes=92)) == []


def test_an_alert_whose_counter_is_gone_is_resolved(blocked):
    Alert.objects.filter(step=80).update(counter="gone", resets_at=None)

    assert upkeep.resolve_alerts(now=blocked.now) == 1
    assert Alert.objects.get(step=80).state == "resolved"


def test_a_lifetime_alert_stays(house):
    house.policy(threshold=10, window={"kind": "lifetime"}, actions={"warn": {}})
    house.send(tokens=10)

    assert upkeep.resolve_alerts(now=house.now + timedelta(days=9999)) == 0
    assert Alert.objects.get().state == "breached"


def test_event_ids_are_kept_35_days(house):
    house.send(id="old", tokens=1)
    house.later(days=1)
    house.send(id="young", tokens=1)
    now = house.now + timedelta(days=34, seconds=1)

    assert upkeep.prune_event_ids(now=now) == 1

    assert EventId.objects.get().client_id == "young"


def test_event_ids_are_forgotten_in_batches(house):
    for number in range(7):
        house.send(id=f"{number}", tokens=1)
    later = house.now + timedelta(days=36)

    assert upkeep.prune_event_ids(now=later, batch=2, batches=2) == 4
    assert upkeep.prune_event_ids(now=later, batch=2) == 3
    assert not EventId.objects.exists()


def test_each_task_makes_one_call_and_may_run_twice(blocked):
    until_others_have_ended()
    for name, task_name, seconds in tasks.SCHEDULES:
        task = getattr(tasks, task_name.removeprefix("usage."))
        assert task.name == task_name
        assert name
        assert seconds > 0
        task()
        assert not task()

    # The fixture's noon is long ago for the clock that tasks read.
    assert Block.objects.get().lifted_at < timezone.now()
    assert not Alert.objects.exclude(state="resolved").exists()
    assert HourlyRollup.objects.get().tokens == 100
