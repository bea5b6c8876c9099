"""Which rows are due: the shortest rule wins, a legal hold beats all (E1, E2)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.rules import Scope
from retention.cutoff import (
    DECISION_DAYS,
    EVENT_DAYS_DEFAULT,
    Hold,
    Row,
    Rule,
    age_limit,
    clock_jumped,
    cutoff,
    due,
    held,
    over_guard,
    shortest,
)

NOW = datetime(2026, 11, 21, 4, 10, 5, tzinfo=UTC)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
TARGETS = ("conversations", "message_text", "usage_events", "decisions")


def rule(policy_id="pol_1", target="conversations", days=30, mode="enforce", **scope):
    return Rule(policy_id, target, days, Scope(**scope), mode)


def row(age=31 * DAY, **values):
    fields = {"project": "prj_1", "bot": "bot_1", "user": "u-1", "conversation": "c-1"}
    return Row(**(fields | values), last_activity_at=NOW - age)


names = {
    "project": st.sampled_from([None, "prj_1", "prj_2"]),
    "bot": st.sampled_from([None, "bot_1", "bot_2"]),
    "user": st.sampled_from([None, "u-1", "u-2"]),
}
scopes = st.builds(
    Scope, **names, model=st.sampled_from([None, "gpt-x", "gpt-*", "claude-*"])
)
rules = st.builds(
    Rule,
    st.sampled_from(["pol_1", "pol_2", "pol_3"]),
    st.sampled_from(TARGETS),
    st.integers(1, 5),
    scopes,
    st.sampled_from(["off", "shadow", "enforce"]),
)
ages = st.one_of(
    st.integers(0, 6).map(lambda days: days * DAY),
    st.timedeltas(timedelta(0), 6 * DAY),
    st.integers(1, 5).flatmap(
        lambda days: st.sampled_from(
            [days * DAY - MICROSECOND, days * DAY + MICROSECOND]
        )
    ),
)
rows = st.builds(
    Row,
    **names,
    conversation=st.sampled_from(["c-1", "c-2"]),
    last_activity_at=ages.map(lambda age: NOW - age),
    model=st.sampled_from([None, "gpt-x", "gpt-y", "claude-z"]),
)
untils = st.sampled_from([None, NOW - MICROSECOND, NOW, NOW + MICROSECOND])
holds = st.one_of(
    st.builds(Hold, account=st.just(True), until=untils),
    st.builds(Hold, project=st.sampled_from(["prj_1", "prj_2"]), until=untils),
    st.builds(Hold, bot=st.sampled_from(["bot_1", "bot_2"]), until=untils),
    st.builds(Hold, user=st.sampled_from(["u-1", "u-2"]), until=untils),
    st.builds(Hold, conversation=st.sampled_from(["c-1", "c-2"]), until=untils),
)


def slow_due(given_rules, given_holds, subject, target):
    """Every rule and hold in turn, in the words of the contract."""
    for hold in given_holds:
        over = hold.until is not None and hold.until <= NOW
        named = {
            name: getattr(hold, name)
            for name in ("project", "bot", "user", "conversation")
            if getattr(hold, name) is not None
        }
        if not over and all(getattr(subject, k) == v for k, v in named.items()):
            return False
    for each in given_rules:
        if each.mode != "enforce" or each.target != target:
            continue
        scope = each.scope
        wrong = [
            name
            for name in ("project", "bot", "user")
            if getattr(scope, name) not in (None, getattr(subject, name))
        ]
        if scope.model in ("gpt-*", "claude-*"):
            if not (subject.model or "").startswith(scope.model[:-1]):
                wrong.append("model")
        elif scope.model not in (None, subject.model):
            wrong.append("model")
        if not wrong and NOW - subject.last_activity_at > each.max_age_days * DAY:
            return True
    return False


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(rules, max_size=5),
    st.lists(holds, max_size=2),
    rows,
    st.sampled_from(TARGETS),
)
def test_due_is_what_going_through_all_rules_and_holds_says(
    given_rules, given_holds, subject, target
):
    expected = slow_due(given_rules, given_holds, subject, target)
    assert due(given_rules, given_holds, subject, target, NOW) == expected


@given(st.lists(rules, max_size=5), rows, st.sampled_from(TARGETS))
def test_nothing_younger_than_its_shortest_rule_is_due(given_rules, subject, target):
    found = shortest(given_rules, subject, target)
    if due(given_rules, [], subject, target, NOW):
        assert found is not None
        assert NOW - subject.last_activity_at > found.max_age_days * DAY


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (30 * DAY - MICROSECOND, False),
        (30 * DAY, False),
        (30 * DAY + MICROSECOND, True),
        (-DAY, False),
    ],
)
def test_a_row_is_due_strictly_after_its_age(age, expected):
    assert due([rule()], [], row(age), "conversations", NOW) is expected


def test_a_cutoff_counts_days_of_24_hours():
    assert cutoff(now=NOW, max_age_days=30) == datetime(
        2026, 10, 22, 4, 10, 5, tzinfo=UTC
    )


def test_the_shortest_rule_wins_and_ties_go_by_policy():
    long, short, tie = rule("pol_1", days=90), rule("pol_3"), rule("pol_2")
    assert shortest([long, short, tie], row(), "conversations") is tie
    assert shortest([long], row(), "conversations") is long
    assert shortest([], row(), "conversations") is None


def test_a_rule_in_shadow_only_previews():
    shadow = rule(mode="shadow")
    assert not due([shadow], [], row(), "conversations", NOW)
    assert shortest([shadow], row(), "conversations") is None
    modes = {"enforce", "shadow"}
    assert shortest([shadow], row(), "conversations", modes) is shadow


def test_a_scope_never_covers_a_row_without_the_field():
    for named in ({"project": "prj_1"}, {"user": "u-1"}, {"model": "*"}):
        empty = row(project=None, user=None, model=None)
        assert shortest([rule(**named)], empty, "conversations") is None


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"account": True}, True),
        ({"project": "prj_1"}, True),
        ({"bot": "bot_1"}, True),
        ({"user": "u-1"}, True),
        ({"conversation": "c-1"}, True),
        ({"conversation": "c-2"}, False),
        ({"bot": "bot_1", "user": "u-1"}, True),
        ({"bot": "bot_1", "user": "u-2"}, False),
    ],
)
def test_a_hold_beats_every_rule(named, expected):
    hold = Hold(**named)
    assert (held([hold], row(), NOW) is hold) is expected
    assert due([rule()], [hold], row(), "conversations", NOW) is not expected


def test_a_hold_ends_at_its_instant():
    hold = Hold(account=True, until=NOW)
    assert held([hold], row(), NOW - MICROSECOND) is hold
    assert held([hold], row(), NOW) is None


def test_a_hold_that_names_nothing_is_refused():
    with pytest.raises(ValueError, match="names"):
        Hold()


@pytest.mark.parametrize(
    ("target", "days", "plan", "expected"),
    [
        ("decisions", None, "standard", 30),
        ("decisions", None, "plus", 180),
        ("decisions", None, "enterprise", 2555),
        ("decisions", 7, "standard", 7),
        ("decisions", 90, "standard", 30),
        ("decisions", 90, "plus", 90),
        ("usage_events", None, "standard", EVENT_DAYS_DEFAULT),
        ("usage_events", 1_000, "standard", 1_000),
        ("usage_events", 30, "standard", 30),
        ("conversations", None, "standard", None),
        ("message_text", 5, "standard", 5),
        ("decisions", None, None, None),
        ("usage_events", None, None, None),
    ],
)
def test_the_plan_speaks_where_it_should(target, days, plan, expected):
    given_rules = [] if days is None else [rule(target=target, days=days)]
    assert age_limit(given_rules, row(), target, plan) == expected


def test_the_plan_makes_old_decisions_due():
    limit = DECISION_DAYS["standard"] * DAY
    assert due([], [], row(limit + MICROSECOND), "decisions", NOW, "standard")
    assert not due([], [], row(limit), "decisions", NOW, "standard")


def test_an_unknown_plan_is_refused():
    with pytest.raises(KeyError):
        age_limit([], row(), "decisions", "gold")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, False), (3_600, False), (3_601, True), (-3_600, False), (-3_601, True)],
)
def test_a_clock_jumps_either_way(seconds, expected):
    assert clock_jumped(NOW, NOW + timedelta(seconds=seconds)) is expected
    assert clock_jumped(None, NOW) is False


@pytest.mark.parametrize(
    ("amount", "total", "expected"),
    [(0, 0, False), (1, 0, True), (20, 100, False), (21, 100, True), (1, 4, True)],
)
def test_the_guard_stops_a_run_that_takes_too_much(amount, total, expected):
    assert over_guard(due=amount, total=total) is expected


def test_the_guard_can_be_widened():
    assert not over_guard(due=50, total=100, percent=50)
    assert over_guard(due=51, total=100, percent=50)
