from datetime import UTC, datetime

import pytest

from policies.rules import (
    Actions,
    BlockAction,
    Scope,
    Window,
    limit_key,
    parse,
    usage_rule,
)
from tests.policies.drafts import DAY, WEBHOOK, limit, rule, usage

WINDOW = Window(kind="calendar", unit="day")


def key(**changes):
    identity = {
        "limit_metric": "tokens",
        "window": WINDOW,
        "scope": Scope(),
        "group_by": (),
    }
    return limit_key(**{**identity, **changes})


def test_a_limits_key_is_32_hex_characters_that_never_change():
    # Counters are stored under it: a release that changed it would lose them all.
    assert key() == "cd6d33266805d2693e9cd44d0efea4c8"


@pytest.mark.parametrize(
    "changes",
    [
        {"limit_metric": "calls"},
        {"window": Window(kind="calendar", unit="month")},
        {"window": Window(kind="calendar", unit="day", timezone="Europe/Berlin")},
        {"window": Window(kind="fixed", seconds=86_400)},
        {"window": Window(kind="rolling", seconds=86_400)},
        {"window": Window(kind="lifetime")},
        {"scope": Scope(bot="bot_x")},
        {"scope": Scope(user="bot_x")},
        {"group_by": ("user",)},
    ],
)
def test_metric_window_scope_and_group_by_make_another_limit(changes):
    assert key(**changes) != key()


def test_a_week_start_matters_to_weeks_only():
    assert key(window=Window(kind="calendar", unit="day", week_start=3)) == key()
    assert key(window=Window(kind="calendar", unit="week", week_start=3)) != key(
        window=Window(kind="calendar", unit="week")
    )


def test_threshold_and_actions_keep_the_counters():
    before = rule(limits=[limit(threshold=10)], actions={"warn": {}})
    after = rule(limits=[limit(threshold=20)], actions={"block": {}}, name="New")

    assert before.limits[0].key == after.limits[0].key == key()


def test_a_rule_is_compiled_from_its_document():
    compiled = rule(
        scope={"bot": "bot_x", "user": None},
        group_by=["model", "user"],
        limits=[limit(metric="cost", threshold="12.5"), limit(metric="calls")],
        actions={
            "warn": {},
            "block": {"duration_seconds": 60},
            "email": {},
            "webhook": {"to": [WEBHOOK]},
        },
        alert_steps=[80, 100],
        default_hold={"cost": "0.25", "tokens": 5},
        notify_in_shadow=True,
    )

    assert compiled.scope == Scope(bot="bot_x")
    assert compiled.group_by == ("user", "model")
    assert [each.threshold for each in compiled.limits] == [12_500_000, 1000]
    assert compiled.limits[0].window.document() == DAY
    assert compiled.actions == Actions(
        warn=True, block=BlockAction(60), email=(), webhook=(WEBHOOK,)
    )
    assert compiled.alert_steps == (80, 100)
    assert compiled.default_hold == {"tokens": 5, "cost": 250_000}
    assert compiled.notify_in_shadow


def test_counting_since_is_carried_along():
    since = {"a" * 32: datetime(2026, 1, 1, tzinfo=UTC)}
    compiled = usage_rule(
        policy_id="pol_1", revision=2, document=parse(usage()), counting_since=since
    )

    assert compiled.counting_since == since


@pytest.mark.parametrize(
    ("actions", "strongest", "refuses"),
    [
        ({"revoke": {}, "block": {}, "warn": {}}, "revoke", True),
        ({"block": {}, "throttle": {}}, "block", True),
        ({"throttle": {}, "warn": {}}, "throttle", True),
        ({"warn": {}, "email": {}}, "warn", False),
        ({"email": {}, "webhook": {"to": [WEBHOOK]}}, "email", False),
        ({"webhook": {"to": [WEBHOOK]}}, "webhook", False),
    ],
)
def test_the_strongest_action_names_the_policy(actions, strongest, refuses):
    compiled = rule(actions=actions).actions

    assert compiled.strongest == strongest
    assert compiled.refuses is refuses
