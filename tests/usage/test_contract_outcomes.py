"""CONTRACT C1–C4, sentence by sentence: what a limit does, and until when."""

from datetime import timedelta

import pytest

from accounts.actors import SYSTEM
from accounts.errors import BlockIsShared
from alerts.models import Alert, Delivery
from audit.models import DecisionRecord
from policies.models import Block
from policies.selectors import bot_pause
from policies.services import block_bot, restore_bot, unblock_bot
from tests.usage.contract import (
    FIXED,
    LIFETIME,
    ROLLING,
    ContractHouse,
    utc,
)
from usage.models import Adjustment
from usage.resets import clear_block, reset_policy
from usage.selectors import statuses

pytestmark = pytest.mark.django_db

HOUR_LONG = {"block": {"duration_seconds": 3600}}
UNTIL_END = {"block": {"duration_seconds": None}}
TELL = {"email": {"to": ["ops@example.com"]}}


@pytest.fixture
def house():
    return ContractHouse()


def live_blocks():
    return Block.objects.filter(lifted_at=None)


# C1


@pytest.mark.parametrize("actions", [HOUR_LONG, {"revoke": {}}, {"warn": {}}, TELL])
def test_c1_exactly_the_threshold_triggers_and_one_less_does_not(house, actions):
    house.policy(threshold=10, actions=actions)
    house.send(tokens=9)
    assert not Alert.objects.exists()
    assert not Block.objects.exists()
    house.send(tokens=1)

    assert Alert.objects.get().step == 100
    assert Block.objects.exists() is bool(actions.keys() & {"block", "revoke"})
    assert Delivery.objects.exists() is ("email" in actions)


def test_c1_a_refused_reservation_tells_once_and_neither_blocks_nor_revokes(house):
    policy = house.policy(threshold=1001, actions={**HOUR_LONG, "revoke": {}, **TELL})
    house.send(tokens=1000)
    for _ in range(3):
        assert house.hold(tokens=2)["reason_code"] == "limit_exceeded"

    assert (Alert.objects.count(), Delivery.objects.count()) == (1, 1)
    assert not Block.objects.exists()
    status = statuses(account=house.account, policies=[policy], now=house.now)
    assert status == {policy.public_id: "active"}
    # The crossing that follows blocks, and says nothing new.
    house.send(tokens=1)
    assert Alert.objects.count() == 1
    assert Block.objects.filter(kind="policy").count() == 1


@pytest.mark.parametrize("window", [FIXED, ROLLING, LIFETIME])
def test_c1_a_refusal_tells_in_every_kind_of_window(house, window):
    house.policy(threshold=10, actions={"throttle": {}, "warn": {}}, window=window)
    for _ in range(2):
        assert house.hold(tokens=11)["allowed"] is False

    assert Alert.objects.count() == 1


def test_c1_each_window_tells_of_its_own_first_refusal(house):
    house.policy(threshold=10, actions={"throttle": {}, **TELL})
    house.hold(tokens=11)
    house.later(days=1)
    house.hold(tokens=11)

    assert Delivery.objects.count() == 2


def test_c1_a_fixed_window_that_is_over_keeps_no_refusal_silent(house):
    house.policy(threshold=10, actions={"throttle": {}, **TELL}, window=FIXED)
    house.send(tokens=9)
    house.hold(tokens=2)
    house.later(hours=2)
    house.hold(tokens=11)
    house.hold(tokens=11)

    alert = Alert.objects.order_by("created_at").last()
    assert (Alert.objects.count(), alert.used) == (2, 0)


@pytest.mark.parametrize("fields", [{"rollout_mode": "shadow"}, {"rollout_percent": 0}])
def test_c1_a_refusal_that_is_not_enforced_tells_nobody(house, fields):
    house.policy(threshold=10, actions={"throttle": {}, **TELL}, **fields)
    assert house.hold(tokens=11)["allowed"] is True

    assert not Alert.objects.exists()


def test_c1_a_pure_check_triggers_nothing(house):
    house.policy(threshold=0, actions={**HOUR_LONG, **TELL})
    for dry_run in (True, False):
        assert house.ask(tokens=5, dry_run=dry_run)["allowed"] is False

    assert not Alert.objects.exists()
    assert not Block.objects.exists()
    assert DecisionRecord.objects.count() == 1


def test_c1_block_again_at_each_crossing_after_a_reset_but_tell_once(house):
    policy = house.policy(threshold=10, actions={**HOUR_LONG, **TELL})
    for _ in range(3):
        house.send(tokens=10)
        assert house.ask()["reason_code"] == "blocked"
        reset_policy(policy=policy, period="all", actor=SYSTEM, now=house.now)
        assert house.ask(tokens=10)["allowed"] is True

    assert Block.objects.count() == 3
    assert Delivery.objects.count() == 1


def test_c1_a_restored_bot_is_revoked_again_at_the_next_crossing(house):
    house.policy(threshold=10, actions={"revoke": {}})
    house.send(tokens=10)
    restore_bot(bot=house.bot, reason="", actor=SYSTEM, now=house.now)
    house.later(days=1)
    assert house.ask(tokens=10)["allowed"] is True
    house.send(tokens=10)

    assert house.ask()["reason_code"] == "revoked"


# C2


def test_c2_throttle_keeps_no_state_and_passes_the_next_that_fits(house):
    house.policy(threshold=10)
    house.send(tokens=4)
    assert house.hold(tokens=7)["reason_code"] == "throttled"
    assert house.hold(tokens=6)["allowed"] is True
    assert not Block.objects.exists()


def test_c2_several_actions_of_one_policy_all_happen(house):
    actions = {"warn": {}, "throttle": {}, **HOUR_LONG, "revoke": {}, **TELL}
    house.policy(threshold=10, actions=actions)
    house.send(tokens=10)

    assert sorted(Block.objects.values_list("kind", flat=True)) == ["policy", "revoke"]
    assert Delivery.objects.get().recipient == "ops@example.com"
    assert house.ask()["reason_code"] == "revoked"


# C3


def test_c3_a_block_covers_exactly_the_calls_of_its_subject(house):
    other = house.add_bot("other")
    house.policy(
        threshold=10,
        actions=UNTIL_END,
        group_by=["bot", "user"],
        scope={"model": "gpt-*"},
    )
    house.send(tokens=10, user="u-1", model="gpt-4o")

    asked = [
        (house.bot, "u-1", "gpt-4o", False),
        (house.bot, "u-1", "gpt-5", False),
        (house.bot, "u-1", "claude", True),
        (house.bot, "u-1", None, True),
        (house.bot, "u-2", "gpt-4o", True),
        (house.bot, None, "gpt-4o", True),
        (other, "u-1", "gpt-4o", True),
    ]
    for bot, user, model, allowed in asked:
        answer = house.ask(bot=bot, user=user, model=model, tokens=1)
        assert answer["allowed"] is allowed, (bot.name, user, model)
    assert bot_pause(house.account, house.bot, house.now) is None


def test_c3_an_account_wide_block_covers_every_call(house):
    other = house.add_bot("other")
    house.policy(threshold=10, actions=UNTIL_END)
    house.send(tokens=10, user="u-1")

    for bot in (house.bot, other):
        assert house.ask(bot=bot, user="u-9")["reason_code"] == "blocked"
        assert bot_pause(house.account, bot, house.now) is not None


@pytest.mark.parametrize(
    ("now", "seconds", "end"),
    [
        (utc(2026, 3, 4, 12), 3600, utc(2026, 3, 5)),
        (utc(2026, 3, 4, 23, 30), 3600, utc(2026, 3, 5, 0, 30)),
        (utc(2026, 3, 4, 23, 30), None, utc(2026, 3, 5)),
    ],
)
def test_c3_a_block_never_ends_before_the_window(house, now, seconds, end):
    house.policy(threshold=10, actions={"block": {"duration_seconds": seconds}})
    house.now = now
    house.send(tokens=10)

    assert Block.objects.get().ends_at == end
    house.now = end - timedelta(microseconds=1)
    refused = house.ask(tokens=1)
    assert (refused["reason_code"], refused["retry_after"]) == ("blocked", 1)
    house.now = end
    assert house.ask(tokens=10)["allowed"] is True


def test_c3_a_fixed_windows_block_ends_with_it(house):
    house.policy(threshold=10, actions=UNTIL_END, window=FIXED)
    house.send(tokens=1)
    house.later(minutes=20)
    house.send(tokens=9)

    assert house.ask()["retry_after"] == 40 * 60


def test_c3_a_lifetime_block_stands_until_cleared_or_raised(house):
    policy = house.policy(threshold=10, actions=HOUR_LONG, window=LIFETIME)
    house.send(tokens=10)
    house.later(days=999)
    refused = house.ask()
    assert (refused["reason_code"], refused["retry_after"]) == ("blocked", None)
    house.threshold(policy, 20)

    assert house.ask(tokens=10)["allowed"] is True


def test_c3_a_rolling_block_lasts_at_least_until_enough_has_left(house):
    house.policy(threshold=10, actions=UNTIL_END, window=ROLLING)
    house.send(tokens=4)
    house.later(minutes=30)
    house.send(tokens=6)

    block = Block.objects.get()
    # The four that came first leave when their minute has: then 6 of 10 are used.
    assert block.ends_at == utc(2026, 3, 4, 13, 1)
    house.now = block.ends_at - timedelta(seconds=1)
    assert house.ask(tokens=1)["allowed"] is False
    house.now = block.ends_at
    assert house.ask(tokens=4)["allowed"] is True


def test_c3_two_limits_of_one_policy_block_until_the_later_end(house):
    def limit(unit, threshold):
        window = {"kind": "calendar", "unit": unit, "timezone": "UTC"}
        return {"metric": "tokens", "threshold": threshold, "window": window}

    house.policy(limits=[limit("hour", 10), limit("day", 10)], actions=UNTIL_END)
    house.send(tokens=10)

    assert Block.objects.count() == 2
    assert house.ask()["retry_after"] == 12 * 3600


def test_c3_usage_during_a_block_makes_no_second_one(house):
    house.policy(threshold=10, actions=UNTIL_END)
    for _ in range(3):
        house.send(tokens=10)

    assert Block.objects.count() == 1


def test_c3_a_person_blocks_and_unblocks(house):
    block_bot(bot=house.bot, reason="loop", actor=SYSTEM, now=house.now)
    refused = house.ask()
    assert (refused["reason_code"], refused["policy_id"]) == ("blocked", None)
    assert refused["retry_after"] is None
    unblock_bot(bot=house.bot, actor=SYSTEM, now=house.now)
    assert house.ask()["allowed"] is True

    end = house.now + timedelta(minutes=5)
    block_bot(bot=house.bot, reason="", actor=SYSTEM, now=house.now, ends_at=end)
    assert house.ask()["retry_after"] == 300
    house.now = end
    assert house.ask()["allowed"] is True


# C4


def test_c4_a_clear_lifts_and_resets_that_counter_and_no_hold(house):
    house.policy(threshold=10, actions=UNTIL_END, group_by=["user"])
    house.held(tokens=3, user="u-1")
    for user in ("u-1", "u-2"):
        house.send(tokens=10, user=user)
    block = live_blocks().get(subject=[["user", "u-1"]])
    clear_block(block=block, actor=SYSTEM, now=house.now, reason="so")

    adjustment = Adjustment.objects.get()
    assert (adjustment.amount, adjustment.kind) == (-10, "clear")
    assert house.ask(user="u-1", tokens=7)["allowed"] is True
    assert house.ask(user="u-1", tokens=8)["allowed"] is False
    assert house.ask(user="u-2")["reason_code"] == "blocked"


def test_c4_a_clear_of_a_rolling_limit_empties_its_window(house):
    house.policy(threshold=10, actions=UNTIL_END, window=ROLLING)
    house.send(tokens=4)
    house.later(minutes=90)
    house.send(tokens=12)
    clear_block(block=Block.objects.get(), actor=SYSTEM, now=house.now)

    assert Adjustment.objects.get().amount == -12
    assert house.ask(tokens=10)["allowed"] is True
    house.send(tokens=10)
    assert house.ask()["reason_code"] == "blocked"


@pytest.mark.parametrize(("period", "left"), [("day", 1), ("month", 1), ("all", 0)])
def test_c4_a_reset_takes_the_counters_it_names_and_their_blocks(house, period, left):
    def limit(unit):
        window = {"kind": "calendar", "unit": unit, "timezone": "UTC"}
        return {"metric": "tokens", "threshold": 10, "window": window}

    policy = house.policy(limits=[limit("day"), limit("month")], actions=UNTIL_END)
    house.send(tokens=10)
    found = reset_policy(policy=policy, period=period, actor=SYSTEM, now=house.now)

    assert live_blocks().count() == left
    assert sorted(reading.used for reading in found) == [0, 10 * left]
    assert house.ask(tokens=1)["allowed"] is (left == 0)


def test_c4_a_reset_lifts_a_block_that_outlasts_its_window(house):
    actions = {"block": {"duration_seconds": 2 * 86_400}}
    policy = house.policy(threshold=10, actions=actions)
    house.send(tokens=10)
    house.later(days=1)
    assert house.ask()["reason_code"] == "blocked"
    reset_policy(policy=policy, period="day", actor=SYSTEM, now=house.now)

    assert house.ask(tokens=10)["allowed"] is True


def test_c4_a_reset_of_one_subject_leaves_the_others(house):
    policy = house.policy(threshold=10, actions=UNTIL_END, group_by=["user"])
    for user in ("u-1", "u-2"):
        house.send(tokens=10, user=user)
    reset_policy(
        policy=policy,
        period="all",
        subject=[["user", "u-1"]],
        actor=SYSTEM,
        now=house.now,
    )

    assert house.ask(user="u-1", tokens=10)["allowed"] is True
    assert house.ask(user="u-2")["reason_code"] == "blocked"


def test_c4_a_reset_never_lifts_a_revoke(house):
    policy = house.policy(threshold=10, actions={"revoke": {}})
    house.send(tokens=10)
    reset_policy(policy=policy, period="all", actor=SYSTEM, now=house.now)

    assert house.ask()["reason_code"] == "revoked"


def test_c4_unblock_lifts_its_own_and_names_a_shared_policy(house):
    own = house.policy(
        threshold=10, actions=UNTIL_END, scope={"bot": house.bot.public_id}
    )
    shared = house.policy(threshold=20, actions=UNTIL_END)
    house.send(tokens=10)
    assert house.ask()["policy_id"] == own.public_id
    unblock_bot(bot=house.bot, actor=SYSTEM, now=house.now)
    assert house.ask()["reason_code"] == "limit_exceeded"
    house.send(tokens=10)
    with pytest.raises(BlockIsShared) as raised:
        unblock_bot(bot=house.bot, actor=SYSTEM, now=house.now)

    assert shared.public_id in str(raised.value)
