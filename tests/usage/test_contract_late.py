"""CONTRACT A6 and B3: what happened in the past counts in the window that holds it."""

from datetime import timedelta

import pytest

from accounts.actors import SYSTEM
from policies.models import Block
from tests.usage.contract import FIXED, ContractHouse, counters
from usage.entries import CallIn, EventIn, Item
from usage.ledger import run
from usage.models import Counter
from usage.resets import reset_policy
from usage.safety import evaluate_thresholds
from usage.selectors import readings_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def house():
    return ContractHouse()


def minutes_ago(house, minutes):
    return house.now - timedelta(minutes=minutes)


def starts(house):
    """(minutes ago, used) of every fixed window, the oldest first."""
    rows = Counter.objects.exclude(used=0).order_by("window_start")
    return [
        ((house.now - row.window_start).total_seconds() / 60, row.used) for row in rows
    ]


def test_b3_of_windows_that_overlap_the_one_that_began_last_counts(house):
    """A late event's window may reach into the next one; its tail is the next one's."""
    house.policy(window=FIXED)
    house.send(tokens=1, occurred_at=minutes_ago(house, 300))
    house.send(tokens=10)  # the head moves on
    house.send(tokens=2, occurred_at=minutes_ago(house, 330))
    for _ in range(2):
        # Both windows hold it: 330 to 270 minutes ago, and 300 to 240.
        house.send(tokens=100, occurred_at=minutes_ago(house, 280))
    house.send(tokens=1000, occurred_at=minutes_ago(house, 310))

    assert starts(house) == [(330, 1002), (300, 201), (0, 10)]


def test_b3_which_window_counts_does_not_depend_on_who_came_first(house):
    house.policy(window=FIXED)
    late = [(100, 200), (10, 230), (1, 170), (1000, 190)]
    house.send(tokens=5)
    results = house.send_all(
        *(
            {"tokens": tokens, "occurred_at": minutes_ago(house, ago)}
            for tokens, ago in late
        )
    )

    assert {result.status for result in results} == {"recorded"}
    assert starts(house) == [(230, 10), (200, 1101), (0, 5)]


def test_b3_a_window_that_a_reservation_has_just_closed_takes_late_events(house):
    """In one batch: the call closes the window in which the late event happened."""
    house.policy(window=FIXED)
    house.send(tokens=1)
    house.later(minutes=61)
    call = CallIn(bot=house.bot.public_id, estimate={"tokens": 5}, reserve=True)
    late = EventIn(
        bot=house.bot.public_id, tokens=10, occurred_at=minutes_ago(house, 30)
    )
    run([Item(house.account.id, [call, late])], now=house.now)

    assert starts(house) == [(61, 11)]
    assert counters() == [(11, 0), (0, 5)]


def test_b3_a_late_window_that_reaches_to_now_is_not_the_current_one(house):
    """Neither shown nor reset as current, and the safety net blocks nobody for it."""
    policy = house.policy(threshold=10, window=FIXED, actions={"block": {}})
    house.send(tokens=1)
    house.send(tokens=50, occurred_at=minutes_ago(house, 20))
    evaluate_thresholds(now=house.now)

    assert not Block.objects.exists()
    (reading,) = readings_of(policy=policy, now=house.now)
    assert (reading.used, reading.window_start) == (1, house.now)
    reset_policy(policy=policy, period="all", actor=SYSTEM, now=house.now)
    assert counters() == [(50, 0)]
    assert house.hold(tokens=10)["allowed"] is True
