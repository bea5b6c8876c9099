"""Any JSON value goes in; a canonical document or InvalidPolicy comes out."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.compat import from_kavach
from policies.rules import (
    InvalidPolicy,
    diff,
    parse,
    sentence,
    usage_rule,
)
from tests.policies.drafts import DAY, WEBHOOK, content, limit, retention, usage

# Digits of other scripts are digits to `str.isdigit` and `int`, not to us.
ODD_TEXT = ["", "٣", "１２", "²", "1e5", "-1", "NaN", "Infinity", " 1", "1_000", "\x00"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**53 - 1, 2**53, 10**4000, -(10**4000), -1, 0])
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from([1e300, 5e-324, -0.0])
    | st.text(max_size=20)
    | st.sampled_from([*ODD_TEXT, "usage", "UTC", "day", "tokens", "cost", WEBHOOK])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FULL = usage(
    description="",
    scope={"bot": "bot_x", "model": "gpt-*"},
    group_by=["user"],
    limits=[
        limit(),
        limit(metric="cost", threshold="12.5", window={"kind": "lifetime"}),
        limit(window={"kind": "rolling", "seconds": 3600}),
        limit(window={"kind": "calendar", "unit": "week", "week_start": 7}),
    ],
    actions={
        "block": {"duration_seconds": 60},
        "email": {"to": ["a@example.com"]},
        "webhook": {"to": [WEBHOOK]},
    },
    alert_steps=[80, 100],
    default_hold={"tokens": 5, "cost": "0.5"},
    rollout_percent=50,
)
PATHS = [
    *[(name,) for name in FULL],
    *[("limits", n, key) for n in range(4) for key in ("metric", "threshold")],
    *[("limits", 0, "window", key) for key in ("kind", "unit", "timezone")],
    ("limits", 2, "window", "seconds"),
    ("limits", 3, "window", "week_start"),
    ("scope", "model"),
    ("actions", "block"),
    ("actions", "block", "duration_seconds"),
    ("actions", "email", "to"),
    ("actions", "webhook", "to"),
    ("group_by", 0),
    ("alert_steps", 1),
    ("default_hold", "cost"),
    ("extra",),
]


def copy_of(document):
    return json.loads(json.dumps(document))


def with_value(document, path, value):
    changed = copy_of(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


def check(document):
    try:
        parsed = parse(document)
    except InvalidPolicy as refusal:
        problems = refusal.problems
    else:
        problems = []
        check_canonical(parsed)
    assert all(pointer[:1] in ("", "/") for pointer, _ in problems)
    # What is told must be writable as UTF-8, whatever was given.
    "".join(pointer + detail for pointer, detail in problems).encode()


def check_canonical(parsed):
    assert parse(parsed) == parsed
    assert json.loads(json.dumps(parsed, allow_nan=False)) == parsed
    assert diff(parsed, parse(copy_of(parsed))) == []
    assert sentence(parsed).endswith(".")
    if parsed["type"] == "usage":
        usage_rule(policy_id="pol_1", revision=1, document=parsed)


@given(values)
def test_any_value_is_parsed_or_refused(value):
    check(value)


@given(st.sampled_from(PATHS), values)
def test_a_usage_policy_with_any_value_in_one_place(path, value):
    check(with_value(FULL, path, value))


@given(st.sampled_from(["target", "max_age_days"]), values)
def test_a_retention_policy_with_any_value_in_one_place(field, value):
    check(with_value(retention(), ("retention", field), value))


@given(
    st.sampled_from(["direction", "action", "categories", "allowlist", "denylist"]),
    values,
)
def test_a_content_policy_with_any_value_in_one_place(field, value):
    check(with_value(content(), ("content", field), value))


@given(st.sampled_from(["limits", "action", "agentId", "userId", "name"]), values)
def test_kavachs_form_with_any_value_in_one_place(field, value):
    document = {"limits": {"maxCallsPerDay": 5}, "action": "block", field: value}
    for partial in (False, True):
        try:
            draft = from_kavach(document, partial=partial)
        except InvalidPolicy:
            continue
        if not partial:
            check(draft.document)


@pytest.mark.parametrize("path", PATHS)
def test_nesting_deeper_than_the_stack_is_only_a_refusal(path):
    deep: object = []
    for _ in range(sys.getrecursionlimit() * 3):
        deep = [deep]
    mapping: object = {}
    for _ in range(sys.getrecursionlimit() * 3):
        mapping = {"kind": mapping}

    for value in (deep, mapping):
        with pytest.raises(InvalidPolicy):
            parse(with_value(FULL, path, value))


@pytest.mark.parametrize("path", PATHS)
def test_an_integer_too_long_to_print_is_only_a_refusal(path):
    with pytest.raises(InvalidPolicy):
        parse(with_value(FULL, path, 10**5000))


thresholds = st.integers(0, 2**53 - 1)
windows = st.one_of(
    st.just(DAY),
    st.just({"kind": "lifetime"}),
    st.builds(lambda s: {"kind": "fixed", "seconds": s}, st.integers(1, 366 * 86400)),
    st.builds(
        lambda s: {"kind": "rolling", "seconds": s}, st.integers(60, 366 * 86400)
    ),
    st.builds(
        lambda u, w: {"kind": "calendar", "unit": u, "week_start": w},
        st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]),
        st.integers(1, 7),
    ),
)


@given(thresholds, windows, st.sampled_from(["tokens", "calls", "cost"]))
def test_every_good_limit_is_accepted_and_compiled_exactly(threshold, window, metric):
    amount = threshold
    if metric == "cost":
        whole, rest = divmod(threshold, 1_000_000)
        amount = f"{whole}.{rest:06d}"
    parsed = parse(
        usage(limits=[limit(metric=metric, threshold=amount, window=window)])
    )
    rule = usage_rule(policy_id="pol_1", revision=1, document=parsed)

    assert rule.limits[0].threshold == threshold
    assert rule.limits[0].window.document() == parsed["limits"][0]["window"]
