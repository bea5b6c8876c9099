"""CONTRACT D1 and D2: one alert for each crossing, written where it happens."""

from itertools import pairwise

import pytest
from django.db import IntegrityError, transaction

from accounts.actors import SYSTEM
from alerts.models import Alert, Delivery
from policies.models import Block
from tests.usage.contract import FIXED, LIFETIME, ROLLING, ContractHouse
from usage.models import Counter, UsageEvent
from usage.resets import reset_policy
from usage.safety import evaluate_thresholds
from usage.upkeep import resolve_alerts

pytestmark = pytest.mark.django_db

WARN = {"warn": {}}
TWO = {"email": {"to": ["a@example.com", "b@example.com"]}}


@pytest.fixture
def house():
    return ContractHouse()


def steps():
    return list(Alert.objects.order_by("step", "id").values_list("step", flat=True))


def test_d1_the_only_step_is_the_threshold_unless_it_says_otherwise(house):
    house.policy(threshold=100, actions=WARN)
    house.send(tokens=99)
    assert steps() == []
    house.send(tokens=1)
    assert steps() == [100]


def test_d1_each_step_alerts_once_at_its_own_amount(house):
    house.policy(threshold=10, actions=WARN, alert_steps=[25, 50, 99, 100])
    for more, found in [(2, []), (1, [25]), (1, [25]), (1, [25, 50]), (4, [25, 50])]:
        house.send(tokens=more)
        assert steps() == found
    # 99 % of ten is ten, rounded up.
    house.send(tokens=1)
    assert steps() == [25, 50, 99, 100]


def test_d1_one_event_may_cross_several_steps(house):
    house.policy(threshold=100, actions=TWO, alert_steps=[50, 80, 100])
    house.send(tokens=300)

    assert steps() == [50, 80, 100]
    states = Alert.objects.order_by("step").values_list("state", flat=True)
    assert list(states) == ["warning", "warning", "breached"]
    assert Delivery.objects.count() == 6


def test_d1_an_address_that_is_spelled_twice_gets_one_mail(house):
    to = ["a@example.com", "B@example.com", "b@Example.com", "A@EXAMPLE.COM"]
    house.policy(threshold=1, actions={"email": {"to": to}})
    house.send(tokens=1)

    sent = Delivery.objects.order_by("id").values_list("recipient", flat=True)
    assert list(sent) == ["a@example.com", "B@example.com"]


def test_d1_a_breach_alerts_also_if_no_step_names_it(house):
    house.policy(threshold=100, actions=WARN, alert_steps=[50])
    house.send(tokens=100)

    assert steps() == [50, 100]


@pytest.mark.parametrize("window", [None, FIXED, ROLLING, LIFETIME])
def test_d1_a_breach_that_goes_on_says_nothing_more(house, window):
    house.policy(threshold=10, actions=TWO, window=window)
    for _ in range(10):
        house.send(tokens=10)
        house.hold(tokens=1)
        house.later(minutes=4)

    assert steps() == [100]
    assert Delivery.objects.count() == 2


def test_d1_each_counter_has_its_own(house):
    limits = [
        {"metric": metric, "threshold": 1, "window": LIFETIME}
        for metric in ("tokens", "calls")
    ]
    house.policy(limits=limits, group_by=["user"], actions=WARN)
    house.policy(limits=limits[:1], actions=WARN)
    for user in ("u-1", "u-2", "u-2", None):
        house.send(tokens=5, user=user)

    assert len(steps()) == 2 * 3 + 1


def test_d1_each_window_has_its_own(house):
    house.policy(threshold=10, actions=WARN)
    house.policy(threshold=10, actions=WARN, window=FIXED)
    for _ in range(3):
        house.send(tokens=10)
        house.later(days=1)

    assert len(steps()) == 6


def test_d1_the_database_holds_it_to_one(house):
    house.policy(threshold=10, actions=WARN)
    house.send(tokens=10)
    alert = Alert.objects.get()
    alert.id = house.bot.id
    with pytest.raises(IntegrityError), transaction.atomic():
        alert.save(force_insert=True)


def test_d1_a_rolling_episode_that_goes_on_is_one_alert(house):
    """It is over its step all the time, longer than the window is long."""
    house.policy(threshold=100, actions=TWO, window=ROLLING)
    house.send(tokens=100)
    for _ in range(20):
        house.later(minutes=15)
        house.send(tokens=60)
        house.hold(tokens=1)
        resolve_alerts(now=house.now)
        evaluate_thresholds(now=house.now)

    assert steps() == [100]


def test_d1_a_rolling_episode_opens_again_once_in_its_length(house):
    house.policy(threshold=10, actions=WARN, window=ROLLING)
    opened = []
    for minute in range(0, 600, 5):
        if (minute // 5) % 14 == 0:
            house.send(tokens=10)
        if len(steps()) > len(opened):
            opened.append(house.now)
        house.later(minutes=5)

    gaps = [b - a for a, b in pairwise(opened)]
    assert len(opened) > 5
    assert all(gap.total_seconds() >= 3600 for gap in gaps)


def test_d1_a_reset_within_the_episodes_length_does_not_alert_again(house):
    policy = house.policy(
        threshold=10, actions={"block": {"duration_seconds": None}}, window=ROLLING
    )
    for _ in range(3):
        house.send(tokens=10)
        reset_policy(policy=policy, period="all", actor=SYSTEM, now=house.now)
        house.later(minutes=5)

    assert steps() == [100]
    assert Block.objects.count() == 3


def test_d1_states_go_from_warning_to_breached_to_resolved(house):
    house.policy(threshold=10, actions=WARN, alert_steps=[80, 100])
    house.send(tokens=8)
    assert Alert.objects.get().state == "warning"
    house.send(tokens=2)
    assert Alert.objects.get(step=100).state == "breached"
    house.later(days=1)
    resolve_alerts(now=house.now)
    assert set(Alert.objects.values_list("state", flat=True)) == {"resolved"}


def test_d1_the_alert_says_what_happened(house):
    policy = house.policy(threshold=10, actions=WARN, group_by=["user"], name="Cap")
    house.send(tokens=12, user="u-1")
    alert = Alert.objects.get()

    assert (alert.policy_id, alert.policy_name) == (policy.public_id, "Cap")
    assert alert.subject == [["user", "u-1"]]
    assert (alert.metric, alert.threshold, alert.used) == ("tokens", 10, 12)
    assert alert.bot_id == house.bot.public_id
    assert alert.window_start.isoformat() == "2026-03-04T00:00:00+00:00"
    assert alert.resets_at.isoformat() == "2026-03-05T00:00:00+00:00"
    assert alert.counter == str(Counter.objects.get().id)


def test_d1_the_net_never_repeats_what_was_told(house):
    house.policy(threshold=10, actions=TWO)
    house.policy(threshold=10, actions=TWO, window=LIFETIME)
    house.send(tokens=10)
    for _ in range(3):
        house.later(hours=1)
        evaluate_thresholds(now=house.now)

    assert Delivery.objects.count() == 4


def test_d2_what_is_rolled_back_was_never_told(house):
    house.policy(threshold=10, actions={**TWO, "block": {"duration_seconds": None}})
    with transaction.atomic():
        house.send(tokens=10)
        assert Delivery.objects.count() == 2
        transaction.set_rollback(True)

    for model in (UsageEvent, Alert, Delivery, Block):
        assert not model.objects.exists()


def test_d2_an_outbox_row_waits_for_its_delivery(house):
    house.policy(threshold=10, actions=TWO)
    house.send(tokens=10)

    rows = Delivery.objects.order_by("recipient")
    assert [row.recipient for row in rows] == ["a@example.com", "b@example.com"]
    assert {(row.state, row.attempts) for row in rows} == {("pending", 0)}
    assert {row.next_attempt_at for row in rows} == {house.now}
