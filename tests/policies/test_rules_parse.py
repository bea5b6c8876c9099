import pytest

from policies.rules import InvalidPolicy, parse
from tests.policies.drafts import DAY, WEBHOOK, content, limit, retention, usage


def problems(document):
    with pytest.raises(InvalidPolicy) as caught:
        parse(document)
    return {problem.pointer: problem.detail for problem in caught.value.problems}


def test_the_contracts_usage_example_is_accepted_and_made_canonical():
    document = {
        "type": "usage",
        "name": "Daily cap",
        "description": "",
        "scope": {"project": None, "bot": "bot_x", "user": None, "model": None},
        "group_by": [],
        "limits": [limit()],
        "actions": {
            "warn": {},
            "throttle": {},
            "block": {"duration_seconds": 3600},
            "revoke": {},
            "email": {"to": ["ops@example.com"]},
            "webhook": {"to": [WEBHOOK]},
        },
        "alert_steps": [80, 100],
        "rollout_mode": "enforce",
        "rollout_percent": 100,
        "fail_mode": "closed",
        "on_unpriced": "deny",
        "default_hold": None,
    }

    assert parse(document) == {
        **document,
        "scope": {"bot": "bot_x"},
        "notify_in_shadow": False,
    }


def test_a_usage_policy_gets_the_contracts_defaults():
    assert parse(usage()) == {
        "type": "usage",
        "name": "Daily cap",
        "description": "",
        "scope": {},
        "rollout_mode": "enforce",
        "group_by": [],
        "limits": [limit()],
        "actions": {"throttle": {}},
        "alert_steps": [100],
        "rollout_percent": 100,
        "fail_mode": "closed",
        "on_unpriced": "deny",
        "default_hold": None,
        "notify_in_shadow": False,
    }


def test_a_retention_policy_gets_the_contracts_defaults():
    assert parse(retention()) == {
        "type": "retention",
        "name": "Keep 30 days",
        "description": "",
        "scope": {},
        "rollout_mode": "enforce",
        "retention": {"target": "conversations", "max_age_days": 30},
    }


def test_a_content_policy_gets_empty_lists():
    assert parse(content())["content"] == {
        "direction": "response",
        "action": "redact",
        "allowlist": [],
        "denylist": [],
        "categories": ["card"],
    }


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (DAY, DAY),
        ({"kind": "calendar", "unit": "day"}, DAY),
        ({**DAY, "week_start": 3}, DAY),
        (
            {"kind": "calendar", "unit": "week", "timezone": "Asia/Kolkata"},
            {
                "kind": "calendar",
                "unit": "week",
                "timezone": "Asia/Kolkata",
                "week_start": 1,
            },
        ),
        ({"kind": "fixed", "seconds": 1}, {"kind": "fixed", "seconds": 1}),
        ({"kind": "rolling", "seconds": 60}, {"kind": "rolling", "seconds": 60}),
        ({"kind": "lifetime"}, {"kind": "lifetime"}),
    ],
)
def test_windows_are_made_canonical(given, canonical):
    parsed = parse(usage(limits=[limit(window=given)]))

    assert parsed["limits"][0]["window"] == canonical


@pytest.mark.parametrize(
    ("window", "pointer"),
    [
        ("day", ""),
        ({}, "/kind"),
        ({"kind": []}, "/kind"),
        ({"kind": "sliding"}, "/kind"),
        ({"kind": "calendar"}, "/unit"),
        ({"kind": "calendar", "unit": "decade"}, "/unit"),
        ({**DAY, "timezone": "Mars/Olympus"}, "/timezone"),
        ({**DAY, "timezone": "europe/berlin"}, "/timezone"),
        ({**DAY, "timezone": "../../etc/passwd"}, "/timezone"),
        ({**DAY, "timezone": None}, "/timezone"),
        ({**DAY, "week_start": 0}, "/week_start"),
        ({**DAY, "week_start": 8}, "/week_start"),
        ({**DAY, "seconds": 5}, "/seconds"),
        ({"kind": "fixed"}, "/seconds"),
        ({"kind": "fixed", "seconds": 0}, "/seconds"),
        ({"kind": "fixed", "seconds": 366 * 86_400 + 1}, "/seconds"),
        ({"kind": "fixed", "seconds": True}, "/seconds"),
        ({"kind": "fixed", "seconds": 60, "timezone": "UTC"}, "/timezone"),
        ({"kind": "rolling", "seconds": 59}, "/seconds"),
        ({"kind": "rolling", "seconds": 60.0}, "/seconds"),
        ({"kind": "lifetime", "seconds": 60}, "/seconds"),
    ],
)
def test_a_bad_window_is_refused_at_its_field(window, pointer):
    found = problems(usage(limits=[limit(window=window)]))

    assert list(found) == [f"/limits/0/window{pointer}"]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([], ""),
        (None, ""),
        ("usage", ""),
        ({}, "/type"),
        ({"type": "budget"}, "/type"),
        ({"type": ["usage"]}, "/type"),
        (usage(name=None), "/name"),
        (usage(name=""), "/name"),
        (usage(name=" \t "), "/name"),
        (usage(name="x" * 201), "/name"),
        (usage(name="x" * 10_000), "/name"),
        (usage(name="a\nb"), "/name"),
        (usage(name="a\x00b"), "/name"),
        (usage(name="a\ud800b"), "/name"),
        (usage(name=7), "/name"),
        (usage(description=None), "/description"),
        (usage(description="x" * 2001), "/description"),
        (usage(scope=[]), "/scope"),
        (usage(scope={"team": "x"}), "/scope/team"),
        (usage(scope={"user": ""}), "/scope/user"),
        (usage(scope={"user": "x" * 257}), "/scope/user"),
        (usage(scope={"bot": 1}), "/scope/bot"),
        (usage(scope={"model": "gpt-*-mini"}), "/scope/model"),
        (usage(scope={"model": "**"}), "/scope/model"),
        (usage(group_by="user"), "/group_by"),
        (usage(group_by=["team"]), "/group_by/0"),
        (usage(group_by=["user", "user"]), "/group_by/1"),
        (usage(limits=[]), "/limits"),
        (usage(limits={}), "/limits"),
        (usage(limits=[7]), "/limits/0"),
        (usage(limits=[limit(metric="words")]), "/limits/0/metric"),
        (usage(limits=[limit(threshold=-1)]), "/limits/0/threshold"),
        (usage(limits=[limit(threshold=2**53)]), "/limits/0/threshold"),
        (usage(limits=[limit(threshold="5")]), "/limits/0/threshold"),
        (usage(limits=[limit(threshold=5.0)]), "/limits/0/threshold"),
        (usage(limits=[limit(threshold=True)]), "/limits/0/threshold"),
        (usage(limits=[limit(threshold=None)]), "/limits/0/threshold"),
        (usage(limits=[limit(per="day")]), "/limits/0/per"),
        (usage(limits=[limit(), limit(threshold=2)]), "/limits/1"),
        (usage(limits=[limit()] * 21), "/limits"),
        (usage(actions={}), "/actions"),
        (usage(actions=[]), "/actions"),
        (usage(actions={"warn": None}), "/actions"),
        (usage(actions={"warn": True}), "/actions/warn"),
        (usage(actions={"warn": {"x": 1}}), "/actions/warn/x"),
        (usage(actions={"warn": {}, "stop": {}}), "/actions/stop"),
        (
            usage(actions={"block": {"duration_seconds": 0}}),
            "/actions/block/duration_seconds",
        ),
        (usage(actions={"block": {"seconds": 5}}), "/actions/block/seconds"),
        (usage(actions={"email": {"to": "a@b.c"}}), "/actions/email/to"),
        (usage(actions={"email": {"to": ["nobody"]}}), "/actions/email/to/0"),
        (
            usage(actions={"email": {"to": ["a@b.c\nBcc: x@y.z"]}}),
            "/actions/email/to/0",
        ),
        (usage(actions={"webhook": {}}), "/actions/webhook/to"),
        (usage(actions={"webhook": {"to": ["whk-1"]}}), "/actions/webhook/to/0"),
        (usage(alert_steps=[]), "/alert_steps"),
        (usage(alert_steps=[0]), "/alert_steps/0"),
        (usage(alert_steps=[101]), "/alert_steps/0"),
        (usage(alert_steps=[80, 80]), "/alert_steps/1"),
        (usage(alert_steps=list(range(1, 12))), "/alert_steps"),
        (usage(rollout_mode="on"), "/rollout_mode"),
        (usage(rollout_percent=101), "/rollout_percent"),
        (usage(fail_mode="ajar"), "/fail_mode"),
        (usage(on_unpriced="free"), "/on_unpriced"),
        (usage(default_hold=[]), "/default_hold"),
        (usage(default_hold={"conversations": 1}), "/default_hold/conversations"),
        (usage(default_hold={"cost": "1e3"}), "/default_hold/cost"),
        (usage(notify_in_shadow=1), "/notify_in_shadow"),
        (usage(retention={}), "/retention"),
        (usage(**{"a/b~c": 1}), "/a~1b~0c"),
        (retention(group_by=[]), "/group_by"),
        (retention(scope={"model": "gpt-x"}), "/scope/model"),
        (retention(retention={"target": "x", "max_age_days": 1}), "/retention/target"),
        (
            retention(retention={"target": "decisions", "max_age_days": 0}),
            "/retention/max_age_days",
        ),
        (content(content=None), "/content"),
        (
            content(content={"direction": "up", "action": "deny"}),
            "/content/direction",
        ),
        (
            content(
                content={"direction": "both", "action": "deny", "denylist": ["x"] * 201}
            ),
            "/content/denylist",
        ),
        (
            content(
                content={
                    "direction": "both",
                    "action": "deny",
                    "denylist": ["x" * 501],
                }
            ),
            "/content/denylist/0",
        ),
    ],
)
def test_a_bad_document_is_refused_at_its_field(document, pointer):
    assert list(problems(document)) == [pointer]


def test_all_problems_are_told_at_once():
    found = problems({"type": "usage", "limits": [{}], "actions": {}, "x": 1})

    assert sorted(found) == [
        "/actions",
        "/limits/0/metric",
        "/limits/0/threshold",
        "/limits/0/window",
        "/name",
        "/x",
    ]


def test_a_body_of_nothing_but_mistakes_gets_a_short_answer():
    assert len(problems({"type": "usage"} | {f"x{i}": i for i in range(5000)})) == 100


def test_problems_never_repeat_a_value():
    secret = "4111-1111"
    text = str(problems(usage(name=[secret], scope=secret, limits=[secret])))

    assert secret not in text


def test_lists_are_put_in_order():
    parsed = parse(usage(group_by=["model", "bot"], alert_steps=[100, 50, 80]))

    assert parsed["group_by"] == ["bot", "model"]
    assert parsed["alert_steps"] == [50, 80, 100]


@pytest.mark.parametrize("to", [{}, {"to": []}, {"to": None}])
def test_no_recipient_means_the_owner(to):
    assert parse(usage(actions={"email": to}))["actions"] == {"email": {}}


def test_a_recipient_named_twice_is_kept_once():
    parsed = parse(usage(actions={"email": {"to": ["a@b.c", "d@e.f", "a@b.c"]}}))

    assert parsed["actions"]["email"]["to"] == ["a@b.c", "d@e.f"]


def test_unwanted_actions_and_scopes_may_be_null():
    parsed = parse(
        usage(actions={"warn": None, "block": {}}, scope={"bot": None, "user": "u"})
    )

    assert parsed["actions"] == {"block": {"duration_seconds": None}}
    assert parsed["scope"] == {"user": "u"}


def test_scope_values_keep_their_spaces_because_they_are_opaque():
    assert parse(usage(scope={"user": " u "}))["scope"] == {"user": " u "}


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("12.50", "12.5"), (20, "20"), (0.1, "0.1"), ("0", "0"), (1e-06, "0.000001")],
)
def test_costs_become_decimal_text(given, canonical):
    parsed = parse(
        usage(
            limits=[limit(metric="cost", threshold=given)], default_hold={"cost": given}
        )
    )

    assert parsed["limits"][0]["threshold"] == canonical
    assert parsed["default_hold"] == {"cost": canonical}


def test_an_empty_default_hold_is_none():
    assert parse(usage(default_hold={}))["default_hold"] is None


def test_parse_leaves_its_argument_alone():
    document = usage(group_by=["user", "bot"], scope={"bot": None})

    parse(document)

    assert document == usage(group_by=["user", "bot"], scope={"bot": None})
