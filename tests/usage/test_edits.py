"""Edits, resets and the net: what they do to counters, blocks and alerts."""

import pytest

from accounts.actors import SYSTEM
from accounts.errors import Conflict, InvalidBody
from alerts.models import Alert, Delivery
from policies.models import Block
from policies.services import unblock_bot
from tests.usage.house import House
from usage import edits, resets
from usage.expiry import expire_reservations
from usage.models import Adjustment, Counter, Reservation
from usage.safety import evaluate_thresholds
from usage.selectors import readings_of, statuses

pytestmark = pytest.mark.django_db

BLOCK = {"block": {"duration_seconds": 3600}}


@pytest.fixture
def house():
    return House()


def patch(house, policy, **changes):
    return edits.patch_policy(
        policy=policy,
        patch=changes,
        actor=SYSTEM,
        now=house.now,
        expected_revision=None,
    )


def threshold(value):
    window = {"kind": "calendar", "unit": "day", "timezone": "UTC"}
    return [{"metric": "tokens", "threshold": value, "window": window}]


def live_blocks():
    return Block.objects.filter(lifted_at=None)


def test_lowering_the_threshold_below_what_is_used_fires_once(house):
    policy = house.policy(threshold=1000, actions=BLOCK)
    house.send(tokens=500)
    patch(house, policy, limits=threshold(400))
    patch(house, policy, limits=threshold(300))
    patch(house, policy, name="Other name")

    assert live_blocks().count() == 1
    assert Alert.objects.count() == 1
    assert house.ask()["reason_code"] == "blocked"


def test_an_edit_that_reaches_an_earlier_step_warns_once(house):
    def steps():
        return sorted(Alert.objects.values_list("step", flat=True))

    policy = house.policy(threshold=1000, actions={"email": {}}, alert_steps=[40, 100])
    house.send(tokens=500)
    assert steps() == [40]

    patch(house, policy, limits=threshold(600))
    assert steps() == [40]
    patch(house, policy, alert_steps=[40, 80, 100])
    assert steps() == [40, 80]
    patch(house, policy, name="Other name", alert_steps=[40, 50, 80, 90, 100])
    assert steps() == [40, 50, 80]
    patch(house, policy, limits=threshold(500))
    assert steps() == [40, 50, 80, 90, 100]
    patch(house, policy, limits=threshold(550))
    patch(house, policy, limits=threshold(500))
    assert steps() == [40, 50, 80, 90, 100]
    assert Alert.objects.get(step=80).state == "warning"
    assert Delivery.objects.count() == 5


def test_raising_the_threshold_lifts_the_block_and_keeps_the_counter(house):
    policy = house.policy(threshold=100, actions=BLOCK)
    house.send(tokens=100)
    assert house.ask()["allowed"] is False
    patch(house, policy, limits=threshold(200))

    assert not live_blocks().exists()
    assert house.ask(tokens=100)["allowed"] is True
    assert house.ask(tokens=101)["allowed"] is False


def test_switching_off_and_archiving_lift_blocks(house):
    policy = house.policy(threshold=100, actions=BLOCK)
    house.send(tokens=100)
    patch(house, policy, rollout_mode="off")
    assert house.ask()["allowed"] is True

    other = house.policy(threshold=10, actions=BLOCK)
    house.send(tokens=10)
    assert house.ask()["allowed"] is False
    edits.archive_policy(policy=other, actor=SYSTEM, now=house.now)
    assert house.ask()["allowed"] is True


def test_a_bad_patch_names_the_field(house):
    policy = house.policy()

    with pytest.raises(InvalidBody) as raised:
        patch(house, policy, rollout_percent=101)
    assert raised.value.errors[0]["pointer"] == "/rollout_percent"


def test_enforcing_a_shadow_policy_that_is_over_blocks(house):
    policy = house.policy(threshold=10, actions=BLOCK, rollout_mode="shadow")
    house.send(tokens=10)
    assert house.ask()["allowed"] is True
    patch(house, policy, rollout_mode="enforce")

    assert house.ask()["reason_code"] == "blocked"


def test_a_reset_adjusts_lifts_and_says_what_is_left(house):
    policy = house.policy(threshold=100, actions=BLOCK)
    house.hold(tokens=20)
    house.send(tokens=100)
    readings = resets.reset_policy(
        policy=policy, period="day", actor=SYSTEM, now=house.now
    )

    assert [(r.used, r.held, r.remaining) for r in readings] == [(0, 20, 80)]
    assert Adjustment.objects.get().amount == -100
    assert house.ask(tokens=80)["allowed"] is True


def test_a_reset_of_the_month_leaves_the_day(house):
    policy = house.policy(threshold=100)
    house.send(tokens=50)
    resets.reset_policy(policy=policy, period="month", actor=SYSTEM, now=house.now)

    assert Counter.objects.get().used == 50
    with pytest.raises(InvalidBody):
        resets.reset_policy(policy=policy, period="week", actor=SYSTEM, now=house.now)


def test_clearing_a_block_resets_its_counter_and_it_can_fire_again(house):
    house.policy(threshold=100, actions={**BLOCK, "email": {}})
    house.send(tokens=100)
    block = Block.objects.get()
    resets.clear_block(block=block, actor=SYSTEM, now=house.now)

    assert house.ask()["allowed"] is True
    house.send(tokens=100)
    assert house.ask()["reason_code"] == "blocked"
    assert Block.objects.count() == 2
    assert Alert.objects.count() == 1
    with pytest.raises(Conflict):
        resets.clear_block(block=block, actor=SYSTEM, now=house.now)


def test_the_net_finds_a_crossing_that_was_missed_and_only_once(house):
    policy = house.policy(threshold=100, actions=BLOCK)
    house.send(tokens=50)
    Counter.objects.update(used=150)
    evaluate_thresholds(now=house.now)
    evaluate_thresholds(now=house.now)

    assert Block.objects.filter(policy=policy).count() == 1
    assert Alert.objects.count() == 1


def test_the_net_does_not_block_again_what_a_person_unblocked(house):
    house.policy(threshold=100, actions=BLOCK, scope={"bot": house.bot.public_id})
    house.send(tokens=100)
    unblock_bot(bot=house.bot, actor=SYSTEM, now=house.now)
    evaluate_thresholds(now=house.now)

    assert not live_blocks().exists()


def test_the_sweep_ends_overdue_reservations(house):
    house.policy(threshold=100)
    for _ in range(3):
        house.hold(tokens=10, ttl_seconds=5)
    house.hold(tokens=10, ttl_seconds=500)
    house.later(seconds=6)

    assert expire_reservations(now=house.now) == 3
    assert expire_reservations(now=house.now) == 0
    assert Counter.objects.get().held == 10
    assert Reservation.objects.filter(state="expired").count() == 3


def test_a_dispatched_reservation_is_charged_when_it_expires(house):
    house.policy(threshold=100)
    house.hold(tokens=10, ttl_seconds=5)
    Reservation.objects.update(dispatched=True)
    house.later(seconds=6)
    expire_reservations(now=house.now)

    counter = Counter.objects.get()
    assert (counter.used, counter.held) == (10, 0)


def test_status_is_derived_and_ends_with_the_window(house):
    policy = house.policy(threshold=100)
    ask = {"account": house.account, "policies": [policy]}
    assert statuses(**ask, now=house.now) == {policy.public_id: "active"}
    house.send(tokens=100)
    assert statuses(**ask, now=house.now) == {policy.public_id: "triggered"}
    house.later(days=1)
    assert statuses(**ask, now=house.now) == {policy.public_id: "active"}


def test_a_limit_that_nothing_was_counted_for_reads_as_empty(house):
    policy = house.policy(threshold=100)
    (reading,) = readings_of(policy=policy, now=house.now)

    assert (reading.used, reading.remaining, reading.status) == (0, 100, "active")
    assert reading.resets_at.isoformat() == "2026-03-05T00:00:00+00:00"
