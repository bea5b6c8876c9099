"""From the ledger to the endpoint: what crosses, blocks, lifts, resets and resolves."""

import json
from datetime import timedelta

import pytest

from accounts import heartbeats
from accounts.actors import SYSTEM, Actor
from alerts import services
from alerts.models import Alert
from policies.models import Block
from policies.services import block_bot, restore_bot, revoke_bot, unblock_bot
from tests.alerts.house import work
from tests.alerts.sink import PRIVATE, Sink
from tests.usage.house import House
from usage.edits import archive_policy, patch_policy
from usage.resets import clear_block, reset_policy

pytestmark = pytest.mark.django_db

ADA = Actor("person", "per_1", "ada@example.com")
STEPS = {"alert_steps": [50, 80, 100]}


@pytest.fixture
def sink(settings):
    settings.POLICYHUB_PRIVATE_URLS = PRIVATE
    made = Sink()
    yield made
    made.close()


@pytest.fixture
def house(sink):
    house = House()
    services.create_webhook(
        account=house.account,
        url=sink.url,
        types=["*"],
        actor=SYSTEM,
        now=house.now,
    )
    return house


@pytest.fixture
def heard(house, sink):
    def since_last():
        work(house.now)
        told = [json.loads(each.body) for each in sink.received]
        sink.received.clear()
        return told

    return since_last


def types_of(told):
    return sorted(each["type"] for each in told)


def states():
    return dict(Alert.objects.order_by("step").values_list("step", "state"))


def test_a_counter_goes_from_ok_over_warning_to_breached_and_resolved(house, heard):
    house.policy(threshold=100, actions={"warn": {}}, **STEPS)
    house.send(tokens=49)
    assert heard() == []

    house.send(tokens=1)
    (opened,) = heard()
    assert opened["type"] == "alert.opened"
    assert opened["data"]["state"] == "warning"
    assert (opened["data"]["step"], opened["data"]["used"]) == (50, 50)
    house.send(tokens=60)
    assert types_of(heard()) == ["alert.opened"] * 2 + ["policy.triggered"]
    assert states() == {50: "warning", 80: "warning", 100: "breached"}

    house.later(days=1)
    assert types_of(heard()) == ["alert.resolved"] * 3
    assert set(states().values()) == {"resolved"}
    assert heard() == []


def test_a_block_is_told_with_its_end(house, heard):
    house.policy(threshold=100, actions={"block": {"duration_seconds": 60}})
    house.send(tokens=100)

    told = heard()
    assert types_of(told) == ["alert.opened", "bot.blocked", "policy.triggered"]
    (blocked,) = (each["data"] for each in told if each["type"] == "bot.blocked")
    assert blocked["bot"] == house.bot.public_id
    assert blocked["ends_at"] == "2026-03-05T00:00:00Z"
    # The limit's alert tells of the block, so there is no second one.
    assert list(Alert.objects.values_list("kind", flat=True)) == ["limit"]
    house.later(days=1)
    assert types_of(heard()) == ["alert.resolved", "bot.unblocked"]


def test_a_block_after_a_clear_is_told_although_the_limit_was(house, heard):
    house.policy(threshold=100, actions={"block": {}, "email": {}})
    house.send(tokens=100)
    heard()
    block = Block.objects.get()
    clear_block(block=block, actor=ADA, now=house.now, reason="a mistake")
    told = heard()
    assert types_of(told) == [
        "alert.opened",
        "alert.resolved",
        "alert.resolved",
        "bot.unblocked",
        "policy.reset",
    ]
    lifted = Alert.objects.get(kind="unblock")
    assert "ada@example.com lifted a block (a mistake)" in lifted.message
    assert lifted.state == "resolved"

    house.later(hours=1)
    house.send(tokens=100)
    assert types_of(heard()) == ["alert.opened", "bot.blocked"]
    again = Alert.objects.get(kind="block")
    assert (again.state, again.deliveries.filter(channel="email").count()) == (
        "breached",
        1,
    )
    house.later(days=1)
    heard()
    again.refresh_from_db()
    assert again.state == "resolved"


def test_a_block_in_shadow_is_told_to_nobody(house, heard):
    house.policy(threshold=100, actions={"block": {}}, rollout_mode="shadow")
    house.send(tokens=100)

    assert types_of(heard()) == ["alert.opened"]


def test_a_revoke_is_told_and_so_is_the_restore(house, heard):
    house.policy(threshold=100, actions={"revoke": {}})
    house.send(tokens=100)
    assert "bot.revoked" in types_of(heard())

    restore_bot(bot=house.bot, reason="fixed", actor=ADA, now=house.now)
    assert types_of(heard()) == ["bot.restored"]


def test_what_a_person_does_is_told(house, heard):
    block_bot(bot=house.bot, reason="looks odd", actor=ADA, now=house.now)
    told = heard()
    assert types_of(told) == ["alert.opened", "bot.blocked"]
    assert Alert.objects.get().kind == "block"
    house.later(minutes=1)
    unblock_bot(bot=house.bot, actor=ADA, now=house.now)
    assert "bot.unblocked" in types_of(heard())
    assert not Alert.objects.exclude(state="resolved").exists()

    house.later(minutes=1)
    revoke_bot(bot=house.bot, reason="leaked", actor=ADA, now=house.now)
    assert types_of(heard()) == ["alert.opened", "bot.revoked"]
    house.later(minutes=1)
    restore_bot(bot=house.bot, reason="", actor=ADA, now=house.now)
    assert types_of(heard()) == ["alert.resolved", "bot.restored"]


def test_a_reset_resolves_and_is_told_once(house, heard):
    policy = house.policy(threshold=100, actions={"warn": {}}, **STEPS)
    house.send(tokens=100)
    heard()

    reset_policy(policy=policy, period="day", actor=ADA, now=house.now, reason="demo")
    told = heard()
    assert types_of(told) == ["alert.resolved"] * 3 + ["policy.reset"]
    (reset,) = (each["data"] for each in told if each["type"] == "policy.reset")
    assert (reset["policy_id"], reset["by"]) == (policy.public_id, "ada@example.com")
    # Once per counter and window: what crosses again in it says nothing (D1).
    house.send(tokens=100)
    assert heard() == []


def test_raising_the_threshold_resolves_the_steps_it_leaves_behind(house, heard):
    policy = house.policy(threshold=100, actions={"warn": {}}, **STEPS)
    house.send(tokens=100)
    limits = [{**policy.document["limits"][0], "threshold": 150}]
    patch_policy(
        policy=policy,
        patch={"limits": limits},
        actor=SYSTEM,
        now=house.now,
        expected_revision=None,
    )

    assert states() == {50: "warning", 80: "resolved", 100: "resolved"}
    archive_policy(policy=policy, actor=SYSTEM, now=house.now)
    assert set(states().values()) == {"resolved"}


def test_a_late_event_may_alert_and_says_so(house, heard):
    house.policy(threshold=100, actions={"block": {}})
    house.later(days=1)
    house.send(tokens=100, occurred_at=house.now - timedelta(days=1))

    told = heard()
    assert all(each["data"]["late"] for each in told)
    assert not Block.objects.exists()
    assert Alert.objects.get().state == "resolved"


def test_an_imported_history_alerts_once_in_each_of_its_windows(house, heard):
    house.policy(threshold=100, actions={"warn": {}})
    start = house.now
    house.later(days=30)
    for _ in range(3):
        for day in range(30):
            house.send(tokens=60, occurred_at=start + timedelta(days=day))

    heard()
    assert Alert.objects.count() == 30
    assert Alert.objects.filter(late=True).count() == 30


def test_a_rolling_window_is_told_again_once_in_its_length(house, heard):
    window = {"kind": "rolling", "seconds": 3600}
    house.policy(threshold=100, actions={"warn": {}}, window=window)
    house.send(tokens=100)
    assert "policy.triggered" in types_of(heard())
    house.later(minutes=70)
    assert types_of(heard()) == ["alert.resolved"]
    for _ in range(3):
        house.send(tokens=100)
        house.later(minutes=1)
    assert types_of(heard()).count("policy.triggered") == 1


def test_who_asks_hears_of_refused_calls_once_each(house, heard):
    house.policy(threshold=100, actions={"throttle": {}})
    house.send(tokens=100)
    heard()
    refused = [house.ask(tokens=1) for _ in range(3)]

    told = [each["data"] for each in heard() if each["type"] == "decision.denied"]
    assert {each["id"] for each in told} == {each["id"] for each in refused}
    assert {each["reason_code"] for each in told} == {"throttled"}
    assert heard() == []


def test_a_worker_that_was_away_tells_of_what_was_refused_meanwhile(house, heard):
    house.policy(threshold=100, actions={"throttle": {}})
    house.send(tokens=100)
    heard()
    heartbeats.beat(part=heartbeats.DENIALS, now=house.now)
    house.later(minutes=1)
    refused = house.ask(tokens=1)
    house.later(minutes=30)

    told = [each["data"] for each in heard() if each["type"] == "decision.denied"]
    assert [each["id"] for each in told] == [refused["id"]]
    assert "decision.denied" not in types_of(heard())
