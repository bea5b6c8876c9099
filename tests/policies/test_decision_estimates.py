import pytest

from policies.decision import amount_of, holds_required, settle_split, with_default_hold
from tests.policies.drafts import limit, rule

BOTH = [limit(), limit(metric="cost", threshold="5"), limit(metric="calls")]


@pytest.mark.parametrize(
    ("amounts", "metric", "amount"),
    [
        ({"tokens": 5}, "tokens", 5),
        ({"tokens": 5, "input_tokens": 9}, "tokens", 5),
        ({"input_tokens": 3, "output_tokens": 4}, "tokens", 7),
        ({"input_tokens": 3}, "tokens", 3),
        ({"tokens": None, "output_tokens": 0}, "tokens", 0),
        ({}, "tokens", None),
        ({"tokens": 5}, "input_tokens", None),
        ({"cost": 0}, "cost", 0),
    ],
)
def test_tokens_are_the_sum_of_input_and_output(amounts, metric, amount):
    assert amount_of(amounts, metric) == amount


@pytest.mark.parametrize(
    ("amounts", "missing"),
    [
        ({}, ["tokens", "cost"]),
        ({"tokens": None}, ["tokens", "cost"]),
        ({"tokens": 0, "cost": 0}, []),
        ({"input_tokens": 3, "cost": 1}, ["tokens"]),
        ({"input_tokens": 3, "output_tokens": 0, "cost": 1}, []),
        ({"calls": 1, "messages": 2}, ["tokens", "cost"]),
    ],
)
def test_b6_a_reserving_call_must_say_tokens_and_cost(amounts, missing):
    assert holds_required(rule(limits=BOTH), amounts) == missing


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": {"warn": {}}},
        {"rollout_mode": "shadow"},
        {"rollout_mode": "off"},
        {"default_hold": {"tokens": 1, "cost": "1"}},
    ],
)
def test_b6_a_rule_that_cannot_refuse_or_has_a_default_asks_for_nothing(changes):
    assert holds_required(rule(limits=BOTH, **changes), {}) == []


@pytest.mark.parametrize(
    ("hold", "amounts", "filled"),
    [
        (None, {"calls": 1}, {"calls": 1}),
        ({"tokens": 9}, {}, {"tokens": 9}),
        ({"tokens": 9}, {"tokens": 4}, {"tokens": 4}),
        ({"tokens": 9}, {"tokens": None}, {"tokens": 9}),
        (
            {"tokens": 9},
            {"input_tokens": 1, "output_tokens": 1},
            {"input_tokens": 1, "output_tokens": 1},
        ),
        ({"tokens": 9}, {"input_tokens": 20}, {"tokens": 20, "input_tokens": 20}),
        (
            {"output_tokens": 7},
            {"input_tokens": 3},
            {"input_tokens": 3, "output_tokens": 7},
        ),
        ({"cost": "0.5"}, {"tokens": 4}, {"tokens": 4, "cost": 500_000}),
        ({"messages": 2}, {"messages": 0}, {"messages": 0}),
    ],
)
def test_the_default_hold_says_what_the_estimate_does_not(hold, amounts, filled):
    given = dict(amounts)

    assert with_default_hold(rule(default_hold=hold), given) == filled
    assert given == amounts


@pytest.mark.parametrize(
    ("held", "actual", "split"),
    [(10, 4, (4, 0)), (10, 10, (10, 0)), (10, 13, (10, 3)), (0, 5, (0, 5))],
)
def test_what_exceeds_the_hold_is_an_overrun(held, actual, split):
    assert settle_split(held=held, actual=actual) == split
