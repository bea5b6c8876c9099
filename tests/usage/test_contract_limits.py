"""CONTRACT B, sentence by sentence: limits, windows, scopes, holds and their end."""

from datetime import timedelta

import pytest

from accounts.actors import SYSTEM
from accounts.errors import EstimateRequired
from accounts.services import create_project
from alerts.models import Alert, Delivery
from policies.models import Block
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
from usage.models import Adjustment, Counter, Reservation, UsageEvent
from usage.resets import reset_policy
from usage.selectors import readings_of

pytestmark = pytest.mark.django_db

BLOCK = {"block": {"duration_seconds": None}}
HOUR = {"kind": "calendar", "unit": "hour", "timezone": "UTC"}
DAY = {"kind": "calendar", "unit": "day", "timezone": "UTC"}


@pytest.fixture
def house():
    return ContractHouse()


# B1


@pytest.mark.parametrize("action", ["throttle", "block", "revoke"])
def test_b1_what_refuses_refuses_above_the_remainder(house, action):
    house.policy(threshold=10, actions={action: {}})
    house.send(tokens=4)

    assert house.ask(tokens=6)["allowed"] is True
    refused = house.ask(tokens=7)
    expected = "throttled" if action == "throttle" else "limit_exceeded"
    assert (refused["allowed"], refused["reason_code"]) == (False, expected)
    assert refused["policies"][0]["exceeded"] is True


@pytest.mark.parametrize("action", ["warn", "email"])
def test_b1_what_only_tells_counts_and_reports(house, action):
    house.policy(threshold=10, actions={action: {}})
    house.send(tokens=30)
    answer = house.hold()

    assert (answer["allowed"], answer["reason_code"]) == (True, "warned")
    assert (answer["decision"], answer["enforced"]) == ("allow", True)
    (reading,) = answer["policies"]
    assert (reading["used"], reading["remaining"]) == (30, 0)


def test_b1_a_limit_of_nothing_lets_nothing_pass(house):
    house.policy(threshold=0, metric="calls")

    assert house.ask()["allowed"] is False
    assert house.hold(calls=0)["allowed"] is False


def test_b1_an_open_hold_takes_from_what_is_left(house):
    house.policy(threshold=10)
    house.held(tokens=6)

    (reading,) = house.ask(tokens=4)["policies"]
    assert (reading["held"], reading["remaining"]) == (6, 4)
    assert house.ask(tokens=5)["allowed"] is False


# B2, B3


@pytest.mark.parametrize(
    ("unit", "zone", "start", "end"),
    [
        ("hour", "UTC", utc(2026, 3, 4, 12), utc(2026, 3, 4, 13)),
        ("day", "Asia/Tokyo", utc(2026, 3, 3, 15), utc(2026, 3, 4, 15)),
        ("week", "UTC", utc(2026, 3, 2), utc(2026, 3, 9)),
        ("month", "UTC", utc(2026, 3, 1), utc(2026, 4, 1)),
        ("quarter", "UTC", utc(2026, 1, 1), utc(2026, 4, 1)),
        ("year", "UTC", utc(2026, 1, 1), utc(2027, 1, 1)),
    ],
)
def test_b2_calendar_windows_are_half_open(house, unit, zone, start, end):
    window = {"kind": "calendar", "unit": unit, "timezone": zone}
    house.policy(threshold=10, window=window)
    house.now = start
    house.send(tokens=1)
    house.now = end - timedelta(microseconds=1)
    house.send(tokens=2)
    assert house.ask(tokens=7)["allowed"] is True
    assert house.ask(tokens=8)["allowed"] is False
    house.now = end
    assert house.ask(tokens=10)["allowed"] is True
    house.send(tokens=4)

    assert counters() == [(3, 0), (4, 0)]
    first = Counter.objects.order_by("window_start").first()
    assert (first.window_start, first.window_end) == (start, end)


def test_b2_a_day_of_23_hours_ends_when_it_ends(house):
    window = {"kind": "calendar", "unit": "day", "timezone": "Europe/Berlin"}
    house.policy(threshold=10, window=window)
    house.now = utc(2026, 3, 28, 23)
    house.send(tokens=10)
    refused = house.ask()

    assert refused["retry_after"] == 23 * 3600


def test_b2_a_lifetime_never_starts_anew(house):
    house.policy(threshold=10, window=LIFETIME)
    house.send(tokens=10)
    house.later(days=4000)
    refused = house.ask()

    assert (refused["allowed"], refused["retry_after"]) == (False, None)
    assert refused["policies"][0]["resets_at"] is None


def test_b2_a_rolling_bucket_stays_charged_until_it_has_wholly_left(house):
    house.policy(threshold=10, window=ROLLING)
    house.now = utc(2026, 3, 4, 12, 0, 59)
    house.send(tokens=10)
    house.now = utc(2026, 3, 4, 13, 0, 59)

    assert house.ask()["allowed"] is False
    house.now = utc(2026, 3, 4, 13, 1)
    assert house.ask(tokens=10)["allowed"] is True


def test_b3_a_fixed_limit_has_one_head_for_each_subject(house):
    house.policy(threshold=10, window=FIXED, group_by=["user"])
    for _ in range(2):
        house.send(tokens=1, user="u-1")
        house.send(tokens=2, user="u-2")
        house.later(hours=2)

    heads = Counter.objects.filter(is_head=True)
    assert heads.count() == 2
    assert Counter.objects.filter(is_head=False).count() == 2
    # A window that is over is nobody's: the next one opens with the next act.
    assert house.ask(user="u-1", tokens=10)["policies"][0]["resets_at"] is None


def test_b3_a_hold_opens_a_fixed_window_and_a_check_does_not(house):
    house.policy(threshold=10, window=FIXED)
    house.ask(tokens=1)
    house.later(minutes=30)
    house.held(tokens=1)
    opened = house.now
    house.later(minutes=30)

    assert house.ask()["policies"][0]["resets_at"] == "2026-03-04T13:30:00Z"
    assert Counter.objects.get().window_start == opened


# B4


def test_b4_a_scope_names_bot_user_model_and_project(house):
    project = create_project(
        account=house.account, name="P", actor=SYSTEM, now=house.now
    )
    mine = house.add_bot("mine", project=project)
    scopes = [
        {"bot": mine.public_id},
        {"user": "u-1"},
        {"model": "gpt-*"},
        {"model": "gpt-4o"},
        {"project": project.public_id},
        {},
    ]
    found = [house.policy(scope=scope).public_id for scope in scopes]

    def applying(**call):
        met = {reading["policy_id"] for reading in house.ask(**call)["policies"]}
        return [index for index, policy in enumerate(found) if policy in met]

    assert applying() == [5]
    assert applying(bot=mine) == [0, 4, 5]
    assert applying(user="u-1") == [1, 5]
    assert applying(user="u-2", model="gpt-4o-mini") == [2, 5]
    assert applying(bot=mine, user="u-1", model="gpt-4o") == [0, 1, 2, 3, 4, 5]


def test_b4_the_owner_stands_in_for_a_user_that_is_not_said(house):
    owned = house.add_bot("owned", owner="u-1")
    house.policy(threshold=10, scope={"user": "u-1"})
    house.send(bot=owned, tokens=4)
    house.send(bot=owned, tokens=4, user="u-2")

    assert counters() == [(4, 0)]
    assert last_event().user == "u-2"
    assert house.ask(bot=owned, tokens=7)["allowed"] is False
    assert house.ask(bot=owned, tokens=7, user="u-2")["allowed"] is True


def test_b4_every_combination_has_its_own_counter_absent_values_too(house):
    house.policy(threshold=10, group_by=["user", "model"])
    for user in ("u", None):
        for model in ("m", None):
            house.send(tokens=10, user=user, model=model)
            assert house.ask(user=user, model=model)["allowed"] is False

    assert counters() == [(10, 0)] * 4
    assert house.ask(user="v", model="m", tokens=10)["allowed"] is True


# B5


def test_b5_a_new_policy_counts_from_its_creation_by_recording_time(house):
    house.send(tokens=500)
    policy = house.policy(threshold=1000)
    house.send(tokens=7, occurred_at=house.now - timedelta(hours=3))

    assert counters() == [(7, 0)]
    assert list(policy.counting_since.values()) == [house.now.isoformat()]


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": {"throttle": {}, "warn": {}}},
        {"name": "Other"},
        {"rollout_mode": "shadow"},
        {"alert_steps": [50, 100]},
    ],
)
def test_b5_an_edit_of_anything_else_keeps_the_counter(house, changes):
    policy = house.policy(threshold=100)
    house.send(tokens=40)
    house.patch(policy, **changes)
    house.send(tokens=2)

    assert counters() == [(42, 0)]


@pytest.mark.parametrize(
    "changes", [{"group_by": ["user"]}, {"scope": {"model": "gpt-*"}}]
)
def test_b5_another_identity_counts_anew(house, changes):
    policy = house.policy(threshold=100)
    house.send(tokens=40, model="gpt-4o")
    house.patch(policy, **changes)

    (reading,) = house.ask(model="gpt-4o")["policies"]
    assert reading["used"] == 0


def test_b5_a_limit_that_comes_back_counts_from_then(house):
    policy = house.policy(threshold=100)
    house.send(tokens=40)
    house.patch(policy, group_by=["user"])
    house.send(tokens=3)
    house.later(minutes=1)
    edited = house.patch(policy, group_by=[])
    house.send(tokens=5)

    assert list(edited.counting_since.values()) == [house.now.isoformat()]
    (reading,) = house.ask()["policies"]
    assert reading["used"] == 5
    assert Adjustment.objects.get().amount == -40


def test_b5_a_block_goes_with_the_limit_it_came_from(house):
    other = house.add_bot("other")
    policy = house.policy(
        threshold=10, actions=BLOCK, scope={"bot": house.bot.public_id}
    )
    house.send(tokens=10)
    house.patch(policy, scope={"bot": other.public_id})

    assert house.ask(bot=other, tokens=5)["allowed"] is True
    assert house.ask(tokens=5)["allowed"] is True


def test_b5_a_block_that_outlasts_its_window_survives_an_edit_of_the_name(house):
    actions = {"block": {"duration_seconds": 86_400}}
    policy = house.policy(threshold=10, actions=actions, window=FIXED)
    rolling = house.policy(threshold=10, actions=actions, window=ROLLING)
    house.send(tokens=10)
    house.later(hours=2)
    house.send(tokens=1)
    for edited in (policy, rolling):
        house.patch(edited, name="Other")

    assert Block.objects.filter(lifted_at=None).count() == 2


def test_b5_raising_a_rolling_limit_looks_at_what_is_used_now(house):
    actions = {"block": {"duration_seconds": 86_400}}
    policy = house.policy(threshold=10, actions=actions, window=ROLLING)
    house.send(tokens=10)
    house.later(hours=2)
    house.threshold(policy, 9)
    assert house.ask()["reason_code"] == "blocked"
    house.threshold(policy, 10)

    assert house.ask()["allowed"] is True


def test_b5_raising_it_to_what_is_used_lifts_nothing(house):
    policy = house.policy(threshold=10, actions=BLOCK)
    house.send(tokens=15)
    house.threshold(policy, 15)
    assert house.ask()["reason_code"] == "blocked"
    house.threshold(policy, 16)
    assert house.ask(tokens=1)["allowed"] is True


def test_b5_no_edit_lifts_a_revoke(house):
    policy = house.policy(threshold=10, actions={"revoke": {}})
    house.send(tokens=10)
    house.threshold(policy, 1000)
    house.patch(policy, rollout_mode="off")

    assert house.ask()["reason_code"] == "revoked"


def test_b5_an_edit_that_crosses_revokes_the_bot_it_is_about(house):
    policy = house.policy(
        threshold=100, actions={"revoke": {}, "email": {}}, group_by=["bot"]
    )
    house.send(tokens=50)
    house.threshold(policy, 50)

    assert house.ask()["reason_code"] == "revoked"
    assert Delivery.objects.count() == 1


def test_b5_an_edit_that_crosses_revokes_nobody_outside_the_percentage(house):
    policy = house.policy(
        threshold=100,
        actions={"revoke": {}},
        group_by=["bot"],
        rollout_percent=0,
    )
    house.send(tokens=50)
    house.threshold(policy, 50)

    house.bot.refresh_from_db()
    assert house.bot.state == "active"
    assert house.ask()["allowed"] is True


def test_b5_holds_stay_through_an_edit_and_are_settled_where_they_sit(house):
    policy = house.policy(threshold=100, actions=BLOCK)
    reservation = house.held(tokens=60)
    house.threshold(policy, 50)
    (reading,) = house.ask()["policies"]
    assert (reading["held"], reading["remaining"]) == (60, 0)
    house.send(tokens=60, reservation=reservation)

    assert counters() == [(60, 0)]
    assert house.ask()["reason_code"] == "blocked"


@pytest.mark.parametrize("how", ["off", "archive", "identity"])
def test_b5_a_hold_of_a_policy_that_is_gone_is_freed_all_the_same(house, how):
    from usage.edits import archive_policy

    policy = house.policy(threshold=100, actions=BLOCK)
    settled, released = house.held(tokens=30), house.held(tokens=40)
    if how == "off":
        house.patch(policy, rollout_mode="off")
    elif how == "archive":
        archive_policy(policy=policy, actor=SYSTEM, now=house.now)
    else:
        house.patch(policy, group_by=["bot"])
    house.send(tokens=130, reservation=settled)
    house.release(released)

    held = Counter.objects.order_by("created_at").first()
    assert (held.used, held.held) == (130, 0)
    # Only the new limit, which met the event as well, may act on it.
    assert Block.objects.count() == (1 if how == "identity" else 0)


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
