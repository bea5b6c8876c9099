"""CONTRACT B7 and B8, sentence by sentence: holds that end by themselves, and none."""

import pytest

from accounts.actors import SYSTEM
from alerts.models import Delivery
from tests.usage.contract import (
    FIXED,
    LIFETIME,
    ROLLING,
    ContractHouse,
    counters,
    last_event,
    state_of,
    utc,
)
from usage.expiry import expire_reservations
from usage.models import Counter, Reservation, UsageEvent
from usage.resets import reset_policy
from usage.selectors import readings_of

pytestmark = pytest.mark.django_db

BLOCK = {"block": {"duration_seconds": None}}


@pytest.fixture
def house():
    return ContractHouse()


# B7


def test_b7_an_expired_hold_charges_nothing(house):
    house.policy(threshold=100)
    reservation = house.held(tokens=40, ttl_seconds=10)
    house.later(seconds=10)
    expire_reservations(now=house.now)

    assert counters() == []
    assert state_of(reservation) == "expired"
    assert not UsageEvent.objects.exists()
    assert house.release(reservation)["state"] == "expired"


def test_b7_a_hold_lasts_until_its_ttl_and_not_longer(house):
    house.policy(threshold=100)
    house.held(tokens=100, ttl_seconds=10)
    house.later(seconds=10, microseconds=-1)
    assert house.hold(tokens=1)["allowed"] is False
    house.later(microseconds=1)
    assert house.hold(tokens=1)["allowed"] is True


def test_b7_however_many_are_overdue_they_are_in_nobodys_way(house):
    house.policy(threshold=300)
    for _ in range(300):
        house.held(tokens=1, ttl_seconds=1)
    assert house.hold(tokens=1)["allowed"] is False
    house.later(seconds=1)

    assert house.hold(tokens=300)["allowed"] is True
    assert counters() == [(0, 300)]


def dispatched(house, **fields):
    reservation = house.held(ttl_seconds=10, **fields)
    Reservation.objects.filter(state="open").update(dispatched=True)
    house.later(seconds=11)
    return reservation


def test_b7_a_dispatched_hold_is_charged_as_an_estimate(house):
    house.price("m", total=1_000_000)
    house.policy(threshold=100)
    house.policy(threshold="1", metric="cost")
    dispatched(house, tokens=40, user="u-1", model="m", conversation="c-1")
    expire_reservations(now=house.now)

    assert counters() == [(40, 0), (40, 0)]
    event = last_event()
    assert (event.tokens, event.calls, event.cost) == (40, 1, 40)
    assert (event.user, event.model) == ("u-1", "m")
    assert (event.estimated, event.overrun) == (True, False)


def test_b7_an_estimate_that_crosses_fires_in_the_same_transaction(house):
    house.policy(threshold=40, actions={**BLOCK, "email": {}}, group_by=["user"])
    dispatched(house, tokens=40, user="u-1")
    expire_reservations(now=house.now)

    assert Delivery.objects.count() == 1
    assert house.ask(user="u-1")["reason_code"] == "blocked"
    assert house.ask(user="u-2", tokens=1)["allowed"] is True


def test_b7_an_estimate_revokes_its_bot(house):
    house.policy(threshold=40, actions={"revoke": {}})
    reservation = dispatched(house, tokens=40)
    house.release(reservation)

    assert state_of(reservation) == "expired"
    assert house.ask()["reason_code"] == "revoked"


def test_b7_a_late_settle_of_an_estimate_is_counted_in_full_and_marked(house):
    house.policy(threshold=100)
    house.now = utc(2026, 3, 4, 23, 59)
    reservation = dispatched(house, tokens=40)
    expire_reservations(now=house.now)
    house.now = utc(2026, 3, 5, 0, 1)
    house.send(tokens=30, reservation=reservation)

    assert counters() == [(70, 0)]
    assert last_event().overrun is True


def test_b7_a_settle_before_the_sweep_charges_no_estimate(house):
    house.policy(threshold=100)
    reservation = dispatched(house, tokens=40)
    house.send(tokens=30, reservation=reservation)
    expire_reservations(now=house.now)

    assert counters() == [(30, 0)]
    assert last_event().overrun is True


def test_b7_an_estimate_is_charged_to_the_window_it_was_held_in(house):
    house.policy(threshold=100, window=FIXED)
    house.held(tokens=40, ttl_seconds=7200)
    Reservation.objects.update(dispatched=True)
    house.later(hours=2, seconds=1)
    house.send(tokens=1)
    expire_reservations(now=house.now)

    assert counters() == [(40, 0), (1, 0)]


# B8


def test_b8_usage_without_a_reservation_stops_the_next_call_only(house):
    house.policy(threshold=100, actions=BLOCK)
    results = [house.send(tokens=90), house.send(tokens=90), house.send(tokens=90)]

    assert {r.status for r in results} == {"recorded"}
    assert counters() == [(270, 0)]
    assert house.ask()["allowed"] is False


def test_b8_a_disabled_or_revoked_bots_usage_is_counted_all_the_same(house):
    house.policy(threshold=10, actions={"revoke": {}})
    house.send(tokens=10)
    assert house.send(tokens=5).status == "recorded"

    assert counters() == [(15, 0)]


def test_readings_show_what_is_counted_now(house):
    policy = house.policy(
        limits=[
            {"metric": "tokens", "threshold": 100, "window": ROLLING},
            {"metric": "tokens", "threshold": 100, "window": FIXED},
            {"metric": "calls", "threshold": 100, "window": LIFETIME},
        ]
    )
    house.send(tokens=40)
    house.held(tokens=20)
    house.later(hours=2)

    found = {
        r.kind: (r.used, r.held) for r in readings_of(policy=policy, now=house.now)
    }
    assert found == {"rolling": (0, 20), "fixed": (0, 0), "lifetime": (1, 1)}
    reset_policy(policy=policy, period="all", actor=SYSTEM, now=house.now)
    assert {c.used for c in Counter.objects.filter(is_head=False)} == {0}
