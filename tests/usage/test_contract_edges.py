"""CONTRACT B8 and C3 at the edges: rolling blocks that go on, sums that are full."""

from datetime import timedelta

import pytest

from accounts.actors import SYSTEM
from policies.models import Block
from policies.selectors import bot_pause
from tests.usage.contract import LIFETIME, ROLLING, ContractHouse, counters, utc
from usage.models import Conversation, Counter, EventId
from usage.resets import reset_policy

pytestmark = pytest.mark.django_db

UNTIL_END = {"block": {"duration_seconds": None}}
HUGE = 2**53 - 1


@pytest.fixture
def house():
    return ContractHouse()


# C3: rolling: at least until used < threshold


def test_c3_usage_during_a_rolling_block_prolongs_it(house):
    house.policy(threshold=10, actions=UNTIL_END, window=ROLLING)
    house.send(tokens=10)
    assert Block.objects.get().ends_at == utc(2026, 3, 4, 13, 1)
    house.later(minutes=30)
    house.send(tokens=10)

    block = Block.objects.get()
    assert block.ends_at == utc(2026, 3, 4, 13, 31)
    house.now = utc(2026, 3, 4, 13, 30)
    assert house.ask(tokens=1)["reason_code"] == "blocked"
    assert bot_pause(house.account, house.bot, house.now) == block
    house.now = block.ends_at
    assert house.ask(tokens=10)["allowed"] is True


def test_c3_what_leaves_room_does_not_prolong(house):
    house.policy(threshold=10, actions=UNTIL_END, window=ROLLING)
    house.send(tokens=9)
    house.later(minutes=10)
    house.send(tokens=1)
    house.later(minutes=10)
    house.send(tokens=5)

    # The nine leave at 13:01, and six are below the ten.
    assert Block.objects.get().ends_at == utc(2026, 3, 4, 13, 1)


def test_c3_a_prolonged_block_never_ends_before_its_duration(house):
    actions = {"block": {"duration_seconds": 4 * 3600}}
    house.policy(threshold=10, actions=actions, window=ROLLING)
    house.send(tokens=10)
    house.later(minutes=30)
    house.send(tokens=10)

    assert Block.objects.get().ends_at == utc(2026, 3, 4, 16)


def test_c3_a_settle_during_a_rolling_block_prolongs_it(house):
    house.policy(threshold=20, actions=UNTIL_END, window=ROLLING)
    held = house.held(tokens=10)
    house.send(tokens=20)
    house.later(minutes=5)
    house.send(tokens=20, reservation=held)

    assert Block.objects.get().ends_at == utc(2026, 3, 4, 13, 6)


# B8: recorded usage counts, as far as a column can hold it


def fill(amount, column="used"):
    Counter.objects.update(**{column: amount})


def test_b8_a_sum_that_no_column_holds_is_a_clean_error(house):
    policy = house.policy(window=LIFETIME, actions={"warn": {}})
    house.send(tokens=1)
    fill(2**63 - 1 - HUGE // 2)
    full = house.send(id="e-1", tokens=HUGE, conversation="c-1")
    small = house.send(tokens=1)

    assert (full.error.status, full.error.code) == (422, "counter_full")
    assert small.status == "recorded"
    assert not EventId.objects.filter(client_id="e-1").exists()
    assert not Conversation.objects.exists()
    reset_policy(policy=policy, period="all", actor=SYSTEM, now=house.now)
    assert house.send(id="e-1", tokens=HUGE, conversation="c-1").status == "recorded"
    assert counters() == [(HUGE, 0)]


def test_b8_a_late_window_is_not_overfilled_either(house):
    house.policy(window={"kind": "fixed", "seconds": 3600}, actions={"warn": {}})
    house.send(tokens=1, occurred_at=house.now - timedelta(hours=3))
    house.send(tokens=1)
    Counter.objects.filter(is_head=False).update(used=2**63 - 2)
    late = house.send(tokens=HUGE, occurred_at=house.now - timedelta(hours=3))

    assert late.error.code == "counter_full"
    assert house.send(tokens=HUGE).status == "recorded"


def test_b6_holds_that_no_column_can_add_up_are_refused(house):
    house.policy(window=LIFETIME, actions={"warn": {}})
    house.held(tokens=1)
    fill(2**63 - 2, "held")

    with pytest.raises(Exception) as told:
        house.hold(tokens=HUGE)
    assert told.value.code == "counter_full"


def test_b6_a_settle_meets_the_full_counter_that_it_holds(house):
    house.policy(window=LIFETIME, actions={"warn": {}})
    held = house.held(tokens=1)
    fill(2**63 - 2)
    result = house.send(tokens=HUGE, reservation=held)

    assert result.error.code == "counter_full"
    assert house.release(held)["state"] == "released"
