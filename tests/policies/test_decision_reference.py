"""`decide` against the words of B1, C6 and C7, written down slowly."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.decision import BlockView, Call, Reading, decide, retry_after
from policies.matching import Caller, enforced
from tests.policies.drafts import limit, rule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALLER = Caller(project=None, bot="bot_a", user="u-1", model=None)
LIMITS = [
    limit(threshold=10),
    limit(metric="cost", threshold="0.00001"),
    limit(metric="input_tokens", threshold=10),
    limit(metric="calls", threshold=10),
]
ORDER = [
    {"revoked"},
    {"bot_disabled"},
    {"blocked"},
    {"throttled"},
    {"limit_exceeded", "unpriced_model"},
    {"warned"},
]

moments = st.none() | st.integers(1, 9).map(lambda n: NOW + timedelta(minutes=n))
actions = st.sampled_from(
    [
        {"warn": {}},
        {"email": {}},
        {"throttle": {}},
        {"throttle": {}, "block": {}},
        {"block": {}, "warn": {}},
        {"revoke": {}},
    ]
)
rules = st.builds(
    rule,
    st.sampled_from([f"pol_{n}" for n in range(5)]),
    limits=st.just(LIMITS),
    actions=actions,
    rollout_mode=st.sampled_from(["enforce", "enforce", "shadow", "off"]),
    rollout_percent=st.sampled_from([100, 100, 50, 0]),
    on_unpriced=st.sampled_from(["deny", "allow"]),
)
readings = st.builds(
    lambda chosen, n, used, held, retry_at: Reading(
        chosen, chosen.limits[n], (), used, held, retry_at, retry_at
    ),
    rules,
    st.integers(0, 3),
    st.integers(0, 12),
    st.integers(0, 4),
    moments,
)
blocks = st.builds(
    BlockView,
    id=st.just("blk_1"),
    policy_id=st.sampled_from([None, "pol_1", "pol_3"]),
    kind=st.sampled_from(["person", "policy", "revoke"]),
    enforced=st.booleans(),
    ends_at=moments,
    reason=st.just("why"),
)
costs = st.dictionaries(
    st.sampled_from(["tokens", "cost", "input_tokens", "output_tokens", "calls"]),
    st.none() | st.integers(0, 12),
)


def known_cost(amounts, metric):
    if metric == "tokens" and amounts.get("tokens") is None:
        return (amounts.get("input_tokens") or 0) + (amounts.get("output_tokens") or 0)
    return amounts.get(metric) or 0


def is_over(reading, amounts):
    remaining = reading.limit.threshold - reading.used - reading.held
    return remaining <= 0 or known_cost(amounts, reading.limit.metric) > remaining


def all_outcomes(call, readings, blocks, unpriced):
    """Return (reason, whether enforced, whether it denies, policy, retry) of each."""
    outcomes = []
    if call.bot_state == "revoked":
        outcomes.append(("revoked", True, True, None, None))
    if call.bot_state == "disabled":
        outcomes.append(("bot_disabled", True, True, None, None))
    for block in blocks:
        if block.kind == "revoke":
            outcomes.append(("revoked", block.enforced, True, block.policy_id, None))
        else:
            outcomes.append(
                ("blocked", block.enforced, True, block.policy_id, block.ends_at)
            )
    for each in readings:
        if each.rule.rollout_mode == "off" or not is_over(each, call.amounts):
            continue
        wanted = each.rule.actions
        if wanted.throttle:
            reason = "throttled"
        elif wanted.block or wanted.revoke:
            reason = "limit_exceeded"
        else:
            reason = "warned"
        binding = enforced(each.rule, call.caller)
        policy_id = each.rule.policy_id
        outcomes.append((reason, binding, reason != "warned", policy_id, each.retry_at))
    for each in unpriced:
        wanted = each.actions
        refuses = wanted.throttle or wanted.block or wanted.revoke
        if each.on_unpriced == "deny" and refuses and each.rollout_mode != "off":
            binding = enforced(each, call.caller)
            outcomes.append(("unpriced_model", binding, True, each.policy_id, None))
    return outcomes


def expected(call, readings, blocks, unpriced):
    """Return allowed, decision, enforced, and which reasons, policies and retry fit."""
    outcomes = all_outcomes(call, readings, blocks, unpriced)
    for reasons in ORDER:
        level = [each for each in outcomes if each[0] in reasons and each[1]]
        if not level:
            continue
        denies = level[0][2]
        ends = [each[4] for each in level]
        retry_at = max(ends) if denies and None not in ends else None
        named = {each[3] for each in level}
        return not denies, "deny" if denies else "allow", True, reasons, named, retry_at
    would = [each for each in outcomes if each[2]]
    if would:
        return True, "deny", False, {"warned"}, {each[3] for each in would}, None
    if outcomes:
        named = {each[3] for each in outcomes}
        return True, "allow", False, {"warned"}, named, None
    return True, "allow", True, {"ok"}, {None}, None


@given(
    st.lists(readings, max_size=6),
    st.lists(blocks, max_size=2),
    st.lists(rules, max_size=1),
    st.sampled_from(["active"] * 6 + ["disabled", "revoked"]),
    costs,
)
def test_decide_agrees_with_the_contract(readings, blocks, unpriced, state, amounts):
    call = Call(CALLER, state, amounts)
    answer = decide(
        call=call, readings=readings, blocks=blocks, unpriced=unpriced, now=NOW
    )
    allowed, decision, bound, reasons, named, retry_at = expected(
        call, readings, blocks, unpriced
    )

    assert (answer.allowed, answer.decision, answer.enforced) == (
        allowed,
        decision,
        bound,
    )
    assert answer.reason_code in reasons
    assert answer.policy_id in named
    if state == "active" and bound:
        assert (answer.policy_id or "") == min(name or "" for name in named)
    assert answer.retry_at == retry_at
    assert (retry_after(answer, NOW) is None) == (retry_at is None)
    assert answer.message
    assert answer.refusals == tuple(
        index
        for index, each in enumerate(readings)
        if is_over(each, amounts)
        and enforced(each.rule, CALLER)
        and each.rule.actions.refuses
    )
    assert [
        (told.policy_id, told.metric, told.used, told.held, told.exceeded)
        for told in answer.policies
    ] == [
        (r.rule.policy_id, r.limit.metric, r.used, r.held, is_over(r, amounts))
        for r in readings
    ]


@given(
    st.permutations(range(4)).flatmap(
        lambda order: st.tuples(
            st.just(order), st.lists(readings, min_size=4, max_size=4)
        )
    ),
    costs,
)
def test_the_order_of_readings_changes_nothing_that_is_decided(shuffled, amounts):
    order, given_readings = shuffled
    call = Call(CALLER, "active", amounts)

    def verdict(chosen):
        answer = decide(call=call, readings=chosen, blocks=[], now=NOW)
        return (
            answer.allowed,
            answer.reason_code,
            answer.policy_id,
            answer.enforced,
            answer.retry_at,
        )

    assert verdict(given_readings) == verdict([given_readings[n] for n in order])


@given(st.lists(readings, max_size=4), costs, st.integers(0, 5))
def test_dearer_calls_are_never_let_through_where_cheaper_ones_are_not(
    given_readings, amounts, more
):
    def allowed(extra):
        dearer = {
            metric: (amounts.get(metric) or 0) + extra
            for metric in ("tokens", "cost", "input_tokens", "calls")
        }
        call = Call(CALLER, "active", dearer)
        return decide(call=call, readings=given_readings, blocks=[], now=NOW).allowed

    assert allowed(0) or not allowed(more)
