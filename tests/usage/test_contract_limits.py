"""CONTRACT B1–B5, sentence by sentence: limits, windows, scopes and edits."""

from datetime import timedelta

import pytest

from accounts.actors import SYSTEM
from accounts.services import create_project
from alerts.models import Delivery
from policies.models import Block
from tests.usage.contract import (
    FIXED,
    LIFETIME,
    ROLLING,
    ContractHouse,
    counters,
    last_event,
    utc,
)
from usage.models import Adjustment, Counter

pytestmark = pytest.mark.django_db

BLOCK = {"block": {"duration_seconds": None}}


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
