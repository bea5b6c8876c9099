"""CONTRACT B6, sentence by sentence: holds, settled and released."""

import pytest

from accounts.errors import EstimateRequired
from alerts.models import Alert, Delivery
from policies.models import Block
from tests.usage.contract import (
    FIXED,
    ROLLING,
    ContractHouse,
    counters,
    last_event,
    state_of,
    utc,
)

pytestmark = pytest.mark.django_db

BLOCK = {"block": {"duration_seconds": None}}
HOUR = {"kind": "calendar", "unit": "hour", "timezone": "UTC"}
DAY = {"kind": "calendar", "unit": "day", "timezone": "UTC"}


@pytest.fixture
def house():
    return ContractHouse()


# B6


@pytest.mark.parametrize(
    ("metric", "said", "missing"),
    [
        ("tokens", {}, "tokens"),
        ("tokens", {"input_tokens": 5}, "tokens"),
        ("input_tokens", {"tokens": 5}, "input_tokens"),
        ("cost", {}, "cost"),
        ("tokens", {"input_tokens": 5, "output_tokens": 5}, None),
        ("calls", {}, None),
        ("messages", {}, None),
        ("conversations", {}, None),
    ],
)
def test_b6_the_estimate_must_say_tokens_and_cost(house, metric, said, missing):
    house.policy(metric=metric, threshold="10" if metric == "cost" else 10)
    if missing is None:
        assert house.hold(estimate=said)["allowed"] is True
        return
    with pytest.raises(EstimateRequired) as raised:
        house.hold(estimate=said)
    assert [e["pointer"] for e in raised.value.errors] == [f"/estimate/{missing}"]
    assert house.ask(estimate=said)["allowed"] is True


@pytest.mark.parametrize(
    "fields",
    [
        {"actions": {"warn": {}}},
        {"rollout_mode": "shadow"},
        {"rollout_percent": 0},
        {"default_hold": {"tokens": 7}},
    ],
)
def test_b6_only_an_enforced_refusing_policy_asks_for_it(house, fields):
    house.policy(**fields)

    assert house.hold()["reservation"]["state"] == "open"


def test_b6_a_price_turns_tokens_into_the_cost_that_is_held(house):
    house.price("m", input=1_000_000, output=3_000_000)
    house.policy(metric="cost", threshold="0.001")

    granted = house.hold(model="m", tokens=300)
    assert granted["policies"][0]["held"] == "0.0009"
    assert house.hold(model="m", tokens=34)["allowed"] is False


def test_b6_a_default_hold_is_each_policys_own(house):
    house.policy(threshold=100, default_hold={"tokens": 30})
    house.policy(threshold=100, default_hold={"tokens": 50})

    held = sorted(reading["held"] for reading in house.hold()["policies"])
    assert held == [30, 50]


def test_b6_one_refusing_limit_of_two_keeps_both_from_being_held(house):
    house.policy(
        limits=[
            {"metric": "tokens", "threshold": 100, "window": DAY},
            {"metric": "calls", "threshold": 1, "window": HOUR},
        ]
    )
    house.held(tokens=10)
    refused = house.hold(tokens=10)

    assert refused["allowed"] is False
    assert sorted(counters()) == [(0, 1), (0, 10)]
    assert [r["exceeded"] for r in refused["policies"]] == [False, True]


@pytest.mark.parametrize("occurred", ["yesterday", "now", "tomorrow"])
def test_b6_a_settle_charges_where_it_was_held_over_midnight(house, occurred):
    house.policy(threshold=100, actions=BLOCK)
    house.now = utc(2026, 3, 4, 23, 59)
    reservation = house.held(tokens=40, ttl_seconds=86_400)
    house.now = utc(2026, 3, 5, 0, 3)
    said = {
        "yesterday": utc(2026, 3, 4, 23, 59, 30),
        "now": None,
        "tomorrow": utc(2026, 3, 5, 0, 8),
    }
    house.send(tokens=30, reservation=reservation, occurred_at=said[occurred])

    assert counters() == [(30, 0)]
    assert house.ask(tokens=100)["allowed"] is True


def test_b6_an_overrun_in_a_window_that_is_over_does_not_block_the_next(house):
    house.policy(threshold=100, actions={**BLOCK, "email": {}})
    house.now = utc(2026, 3, 4, 23, 59)
    reservation = house.held(tokens=40)
    house.now = utc(2026, 3, 5, 0, 3)
    house.send(tokens=300, reservation=reservation)

    assert counters() == [(300, 0)]
    assert Alert.objects.get().late is True
    assert not Block.objects.exists()


def test_b6_a_settle_finds_its_fixed_window_after_several_have_passed(house):
    house.policy(threshold=100, window=FIXED)
    reservation = house.held(tokens=40, ttl_seconds=86_400)
    for _ in range(3):
        house.later(hours=2)
        house.send(tokens=1)
    house.send(tokens=50, reservation=reservation)

    assert counters() == [(50, 0), (1, 0), (1, 0), (1, 0)]


def test_b6_a_fixed_window_that_closes_in_the_settles_own_batch(house):
    house.policy(threshold=100, window=FIXED)
    reservation = house.held(tokens=40, ttl_seconds=86_400)
    house.later(hours=2)
    house.send_all({"tokens": 1}, {"tokens": 30, "reservation": reservation})

    assert counters() == [(30, 0), (1, 0)]


def test_b6_a_release_finds_its_fixed_window_after_it_closed(house):
    house.policy(threshold=100, window=FIXED)
    reservation = house.held(tokens=40, ttl_seconds=86_400)
    house.later(hours=2)
    house.send(tokens=1)
    house.release(reservation)

    assert counters() == [(1, 0)]


def test_b6_a_rolling_hold_is_charged_when_it_is_settled(house):
    house.policy(threshold=100, window=ROLLING)
    reservation = house.held(tokens=100, ttl_seconds=86_400)
    house.later(hours=2)
    assert house.hold(tokens=1)["allowed"] is False
    house.send(tokens=80, reservation=reservation)

    assert counters() == [(80, 0)]
    assert house.ask(tokens=21)["allowed"] is False
    house.later(minutes=62)
    assert house.ask(tokens=100)["allowed"] is True


@pytest.mark.parametrize(
    ("said", "overrun"),
    [
        ({"tokens": 40}, False),
        ({"tokens": 41}, True),
        ({"tokens": 10, "calls": 2}, True),
        ({"tokens": 10, "messages": 1}, True),
        ({}, False),
    ],
)
def test_b6_what_passes_the_estimate_is_an_overrun(house, said, overrun):
    for metric in ("tokens", "calls", "messages"):
        house.policy(metric=metric, threshold=100)
    reservation = house.held(tokens=40)
    house.send(reservation=reservation, **said)

    assert last_event().overrun is overrun


def test_b6_a_policy_written_meanwhile_makes_no_overrun(house):
    house.policy(threshold=100)
    reservation = house.held(tokens=40)
    house.policy(threshold=100, metric="tokens", window=FIXED)
    house.send(tokens=30, reservation=reservation)

    assert last_event().overrun is False
    assert counters() == [(30, 0), (30, 0)]


def test_b6_an_overrun_refuses_the_next_call_and_fires(house):
    house.policy(threshold=100, actions={**BLOCK, "email": {}})
    reservation = house.held(tokens=40)
    house.send(tokens=140, reservation=reservation)

    assert counters() == [(140, 0)]
    assert Delivery.objects.count() == 1
    assert house.ask()["reason_code"] == "blocked"


def test_b6_after_a_release_it_is_counted_in_full_and_marked(house):
    house.policy(threshold=100)
    reservation = house.held(tokens=40)
    house.release(reservation)
    house.send(tokens=30, reservation=reservation)

    assert counters() == [(30, 0)]
    assert last_event().overrun is True
    assert state_of(reservation) == "released"


def test_b6_a_second_settle_is_an_ordinary_event_of_its_own_time(house):
    house.policy(threshold=100)
    house.now = utc(2026, 3, 4, 23, 59)
    reservation = house.held(tokens=40)
    house.send(tokens=30, reservation=reservation)
    house.now = utc(2026, 3, 5, 0, 1)
    house.send(id="again", tokens=90, reservation=reservation)

    assert counters() == [(30, 0), (90, 0)]
    assert last_event().overrun is False


def test_b6_a_settle_in_the_batch_of_its_double_counts_once(house):
    house.policy(threshold=100)
    reservation = house.held(tokens=40)
    same = {"tokens": 30, "reservation": reservation}
    results = house.send_all(same, same, same | {"id": "other"})

    assert [r.status for r in results] == ["recorded", "duplicate", "recorded"]
    assert counters() == [(60, 0)]


@pytest.mark.parametrize(
    ("said", "pointer"),
    [({"user": "u-2"}, "/user"), ({"model": "n"}, "/model"), ({"bot": None}, "/bot")],
)
def test_b6_another_bot_user_or_model_is_refused(house, said, pointer):
    house.policy(threshold=100)
    other = house.add_bot("other")
    reservation = house.held(tokens=40, user="u-1", model="m")
    if "bot" in said:
        said = {"bot": other}
    result = house.send(tokens=30, reservation=reservation, **said)

    assert result.error.status == 422
    assert [e["pointer"] for e in result.error.errors] == [pointer]
    assert counters() == [(0, 40)]


def test_b6_the_owner_may_be_named_where_the_owner_was_meant(house):
    owned = house.add_bot("owned", owner="u-1")
    house.policy(threshold=100, group_by=["user"])
    reservation = house.held(bot=owned, tokens=40)
    result = house.send(bot=owned, tokens=30, user="u-1", reservation=reservation)

    assert result.status == "recorded"
    assert counters() == [(30, 0)]


def test_b6_a_settle_is_the_reservations_user_and_model(house):
    """It need not say again whom and what it was reserved for."""
    house.policy(threshold=100, actions=BLOCK, group_by=["user"])
    house.policy(threshold=100, metric="messages", scope={"model": "m"})
    reservation = house.held(tokens=40, user="u-1", model="m")
    house.send(tokens=100, messages=3, reservation=reservation)

    assert sorted(counters()) == [(3, 0), (100, 0)]
    event = last_event()
    assert (event.user, event.model) == ("u-1", "m")
    assert house.ask(user="u-1")["reason_code"] == "blocked"
    assert house.ask(user="u-2", tokens=9)["allowed"] is True
    assert house.ask(tokens=9)["allowed"] is True


def test_b6_an_unpriced_settle_is_charged_what_was_held(house):
    house.policy(metric="cost", threshold="1")
    reservation = house.held(model="nobody-1", cost=400_000)
    house.send(tokens=5, reservation=reservation)

    assert counters() == [(400_000, 0)]
