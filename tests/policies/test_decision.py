from datetime import UTC, datetime, timedelta

import pytest

from policies.decision import (
    BlockView,
    Call,
    Reading,
    decide,
    message_without_figures,
    over,
    retry_after,
)
from policies.matching import Caller
from policies.rules import METRICS
from tests.policies.drafts import limit, rule

NOW = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
CALLER = Caller(project=None, bot="bot_a", user="u-1", model="gpt-x")


def reading(chosen=None, *, used=1000, held=0, index=0, **changes):
    chosen = chosen or rule()
    moments = {"resets_at": MIDNIGHT, "retry_at": MIDNIGHT, **changes}
    return Reading(chosen, chosen.limits[index], (), used, held, **moments)


def decided(*readings, blocks=(), unpriced=(), state="active", **amounts):
    call = Call(CALLER, state, amounts or {"tokens": 1})
    return decide(
        call=call, readings=readings, blocks=blocks, unpriced=unpriced, now=NOW
    )


def block(**changes):
    told = {
        "id": "blk_1",
        "policy_id": "pol_1",
        "kind": "policy",
        "enforced": True,
        "ends_at": NOW + timedelta(hours=1),
        "reason": "Daily cap",
    }
    return BlockView(**{**told, **changes})


@pytest.mark.parametrize(
    ("used", "held", "cost", "refused"),
    [
        (0, 0, 1000, False),
        (0, 0, 1001, True),
        (999, 0, 1, False),
        (999, 0, 2, True),
        (999, 0, None, False),
        (1000, 0, 0, True),
        (1000, 0, None, True),
        (0, 1000, None, True),
        (400, 600, 0, True),
        (400, 599, 1, False),
        (1500, 0, None, True),
    ],
)
def test_b1_exactly_the_remainder_passes_and_nothing_more(used, held, cost, refused):
    answer = decided(reading(used=used, held=held), tokens=cost)

    assert answer.allowed is not refused
    assert answer.policies[0].exceeded is refused
    assert answer.policies[0].remaining == max(0, 1000 - used - held)
    assert over(reading(used=used, held=held), cost) is refused


def test_nothing_matches_and_nothing_refuses():
    answer = decided()

    assert (answer.allowed, answer.decision, answer.reason_code) == (
        True,
        "allow",
        "ok",
    )
    assert (answer.policy_id, answer.rollout_mode, answer.retry_at) == (
        None,
        None,
        None,
    )
    assert answer.message == "No policy applies"
    assert decided(reading(used=0)).message == "Within all limits"


@pytest.mark.parametrize(
    ("actions", "reason", "allowed"),
    [
        ({"throttle": {}}, "throttled", False),
        ({"throttle": {}, "block": {}}, "throttled", False),
        ({"block": {}}, "limit_exceeded", False),
        ({"revoke": {}}, "limit_exceeded", False),
        ({"warn": {}}, "warned", True),
        ({"email": {}}, "warned", True),
    ],
)
def test_the_actions_choose_the_reason(actions, reason, allowed):
    answer = decided(reading(rule(actions=actions)))

    assert (answer.reason_code, answer.allowed) == (reason, allowed)
    assert answer.enforced
    assert answer.decision == ("allow" if allowed else "deny")
    assert answer.refusals == (() if allowed else (0,))


@pytest.mark.parametrize(
    "changes", [{"rollout_mode": "shadow"}, {"rollout_percent": 0}]
)
def test_c7_a_refusal_that_is_not_enforced_is_a_deny_that_passes(changes):
    answer = decided(reading(rule(**changes)))

    assert answer.decision == "deny"
    assert answer.allowed
    assert not answer.enforced
    assert answer.reason_code == "warned"
    assert answer.policy_id == "pol_1"
    assert answer.rollout_mode == changes.get("rollout_mode", "enforce")
    assert answer.refusals == ()
    assert answer.retry_at is None
    assert answer.message.startswith("Would be refused: Daily cap: ")
    assert not answer.policies[0].enforced


def test_an_enforced_warning_outranks_a_shadow_refusal():
    shadow = rule("pol_1", rollout_mode="shadow")
    warning = rule("pol_2", actions={"warn": {}})

    answer = decided(reading(shadow), reading(warning))

    assert (answer.policy_id, answer.decision, answer.enforced) == (
        "pol_2",
        "allow",
        True,
    )


def test_among_shadow_refusals_the_most_severe_one_is_told():
    mild = rule("pol_1", actions={"block": {}}, rollout_mode="shadow")
    severe = block(policy_id="pol_2", enforced=False)

    assert decided(reading(mild), blocks=[severe]).policy_id == "pol_2"


def test_a_shadow_block_never_refuses():
    answer = decided(blocks=[block(enforced=False)])

    assert answer.allowed
    assert (answer.decision, answer.enforced) == ("deny", False)
    assert (answer.rollout_mode, answer.policy_id) == ("shadow", "pol_1")


def test_a_policy_that_is_off_decides_nothing():
    answer = decided(reading(rule(rollout_mode="off")))

    assert (answer.allowed, answer.reason_code) == (True, "ok")


LADDER = [
    ("revoked", {"blocks": [block(kind="revoke", policy_id="pol_9", ends_at=None)]}),
    ("bot_disabled", {"state": "disabled"}),
    ("blocked", {"blocks": [block(policy_id="pol_8")]}),
    ("throttled", {"readings": [reading(rule("pol_7"))]}),
    (
        "limit_exceeded",
        {"readings": [reading(rule("pol_6", actions={"block": {}}))]},
    ),
    ("warned", {"readings": [reading(rule("pol_5", actions={"warn": {}}))]}),
    ("warned", {"readings": [reading(rule("pol_4", rollout_mode="shadow"))]}),
    ("ok", {"readings": [reading(rule("pol_0"), used=0)]}),
]


@pytest.mark.parametrize("step", range(len(LADDER)))
@pytest.mark.parametrize("backwards", [False, True])
def test_c6_the_most_severe_enforced_outcome_wins(step, backwards):
    parts = [given for _, given in LADDER[step:]]
    readings = [each for part in parts for each in part.get("readings", ())]
    blocks = [each for part in parts for each in part.get("blocks", ())]
    states = [part["state"] for part in parts if "state" in part]
    if backwards:
        readings.reverse()
        blocks.reverse()

    answer = decided(*readings, blocks=blocks, state=(states or ["active"])[0])

    assert answer.reason_code == LADDER[step][0]
    assert len(answer.policies) == len(readings)


def test_a_revoked_bot_is_revoked_and_names_the_policy_that_did_it():
    revoke = block(kind="revoke", policy_id="pol_9", ends_at=None)

    assert decided(state="revoked").reason_code == "revoked"
    assert decided(state="revoked", blocks=[revoke]).policy_id == "pol_9"
    assert decided(state="revoked").retry_at is None


@pytest.mark.parametrize("order", [("pol_1", "pol_2"), ("pol_2", "pol_1")])
def test_ties_go_to_the_smallest_policy_id(order):
    answer = decided(*[reading(rule(policy_id)) for policy_id in order])

    assert answer.policy_id == "pol_1"
    assert answer.refusals == (0, 1)


def test_a_persons_block_names_no_policy():
    answer = decided(blocks=[block(), block(kind="person", policy_id=None)])

    assert (answer.reason_code, answer.policy_id) == ("blocked", None)
    assert answer.rollout_mode is None


def test_all_readings_are_listed_in_order_even_when_one_refuses():
    first = rule("pol_2", limits=[limit(), limit(metric="calls")])
    answer = decided(
        reading(first),
        reading(first, used=7, held=2, index=1),
        reading(rule("pol_1", actions={"warn": {}}), used=1200),
    )

    assert [
        (each.policy_id, each.metric, each.used, each.held, each.remaining)
        for each in answer.policies
    ] == [
        ("pol_2", "tokens", 1000, 0, 0),
        ("pol_2", "calls", 7, 2, 991),
        ("pol_1", "tokens", 1200, 0, 0),
    ]
    assert [each.action for each in answer.policies] == ["throttle", "throttle", "warn"]
    assert answer.refusals == (0,)


@pytest.mark.parametrize(
    ("amounts", "over_limits"),
    [
        ({"tokens": 2}, {"tokens"}),
        ({"input_tokens": 2}, {"tokens", "input_tokens"}),
        ({"output_tokens": 2}, {"tokens", "output_tokens"}),
        ({"messages": 2}, {"messages"}),
        ({"conversations": 2}, {"conversations"}),
        ({"calls": 2}, {"calls"}),
        ({"cost": 2}, {"cost"}),
    ],
)
def test_each_metric_is_compared_with_its_own_limit(amounts, over_limits):
    limits = [
        limit(metric=metric, threshold="0.000001" if metric == "cost" else 1)
        for metric in METRICS
    ]
    chosen = rule(limits=limits)
    readings = [reading(chosen, used=0, index=n) for n in range(len(METRICS))]

    answer = decided(*readings, **amounts)

    assert {each.metric for each in answer.policies if each.exceeded} == over_limits


def test_a_readings_own_cost_comes_before_the_calls():
    assert decided(reading(used=0, cost=1001), tokens=1).reason_code == "throttled"
    assert decided(reading(used=0, cost=1), tokens=1001).reason_code == "ok"


@pytest.mark.parametrize(
    ("mode", "actions", "policy", "reason", "allowed"),
    [
        ("enforce", {"block": {}}, "deny", "unpriced_model", False),
        ("enforce", {"throttle": {}}, "deny", "unpriced_model", False),
        ("shadow", {"block": {}}, "deny", "warned", True),
        ("enforce", {"warn": {}}, "deny", "ok", True),
        ("enforce", {"block": {}}, "allow", "ok", True),
        ("off", {"block": {}}, "deny", "ok", True),
    ],
)
def test_a3_a_model_without_a_price(mode, actions, policy, reason, allowed):
    chosen = rule(
        limits=[limit(metric="cost", threshold="5")],
        actions=actions,
        rollout_mode=mode,
        on_unpriced=policy,
    )

    answer = decided(reading(chosen, used=0), unpriced=[chosen], cost=None)

    assert (answer.reason_code, answer.allowed) == (reason, allowed)
    if not allowed:
        assert answer.message == "Daily cap: no price is known for this model"
        assert answer.retry_at is None


LATER = MIDNIGHT + timedelta(days=1)


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([MIDNIGHT], MIDNIGHT),
        ([MIDNIGHT, LATER], LATER),
        ([LATER, MIDNIGHT], LATER),
        ([MIDNIGHT, None], None),
        ([None, MIDNIGHT], None),
    ],
)
def test_a_retry_makes_sense_when_the_last_refusal_has_ended(moments, expected):
    readings = [
        reading(rule(f"pol_{n}"), retry_at=moment) for n, moment in enumerate(moments)
    ]

    assert decided(*readings).retry_at == expected


def test_only_the_refusals_that_won_say_when_to_retry():
    limited = reading(rule(actions={"block": {}}), retry_at=LATER)
    blocks = [block(ends_at=NOW + timedelta(minutes=5))]

    assert decided(limited, blocks=blocks).retry_at == NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("retry_at", "seconds"),
    [
        (NOW + timedelta(seconds=90), 90),
        (NOW + timedelta(seconds=90, microseconds=1), 91),
        (NOW + timedelta(microseconds=1), 1),
        (NOW, 1),
        (NOW - timedelta(hours=1), 1),
        (None, None),
    ],
)
def test_retry_after_is_whole_seconds_rounded_up(retry_at, seconds):
    assert retry_after(decided(reading(retry_at=retry_at)), NOW) == seconds


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (reading(), "Daily cap: 1,000 of 1,000 tokens used, resets in 1 h 30 min"),
        (
            reading(used=900, held=50, cost=60),
            (
                "Daily cap: 900 of 1,000 tokens used, 50 held, this call needs 60,"
                " resets in 1 h 30 min"
            ),
        ),
        (
            reading(rule(limits=[limit(metric="cost", threshold=20)]), used=21_500_000),
            "Daily cap: $21.50 of $20 used, resets in 1 h 30 min",
        ),
        (
            reading(rule(limits=[limit(metric="calls", threshold=1)]), resets_at=None),
            "Daily cap: 1,000 of 1 call used",
        ),
    ],
)
def test_the_message_says_how_much_and_until_when(given, message):
    assert decided(given).message == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (block(), "Blocked: Daily cap, ends in 1 h"),
        (block(ends_at=None, reason=""), "Blocked"),
        (
            block(kind="person", policy_id=None, reason="Odd traffic", ends_at=None),
            "Blocked by a person: Odd traffic",
        ),
        (block(kind="revoke", reason="Monthly cap"), "Revoked: Monthly cap"),
    ],
)
def test_a_blocks_message_says_who_and_why(given, message):
    assert decided(blocks=[given]).message == message


def test_the_message_is_of_the_reading_that_lasts_longest():
    chosen = rule(limits=[limit(), limit(metric="calls")])
    answer = decided(
        reading(chosen), reading(chosen, index=1, retry_at=LATER, resets_at=LATER)
    )

    assert answer.message.endswith("calls used, resets in 1 d 2 h")


def test_strangers_get_no_figures():
    answer = decided(reading())

    assert message_without_figures(answer, NOW) == (
        "A limit is reached, try again in 1 h 30 min"
    )
    assert message_without_figures(decided(), NOW) == "Allowed"
