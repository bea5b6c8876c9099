import pytest

from policies.phrases import duration_text
from policies.rules import diff, parse, sentence
from tests.policies.drafts import WEBHOOK, content, limit, retention, usage

BERLIN = {"kind": "calendar", "unit": "month", "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (
            usage(
                scope={"bot": "bot_x"},
                limits=[limit(threshold=50_000)],
                actions={"block": {"duration_seconds": 3600}},
            ),
            "Block support-bot for 1 h after 50,000 tokens in a day.",
        ),
        (usage(), "Throttle every bot after 1,000 tokens in a day."),
        (
            usage(actions={"block": {}, "throttle": {}, "email": {}}),
            (
                "Block every bot for the rest of the day, throttle it and e-mail the"
                " owner after 1,000 tokens in a day."
            ),
        ),
        (
            usage(
                actions={"warn": {}, "email": {"to": ["a@b.c", "d@e.f"]}},
                scope={"bot": "bot_x", "user": "u-1", "model": "gpt-*"},
            ),
            (
                "Warn and e-mail 2 people about support-bot (user u-1, model gpt-*)"
                " after 1,000 tokens in a day."
            ),
        ),
        (
            usage(
                actions={"webhook": {"to": [WEBHOOK]}},
                limits=[
                    limit(metric="cost", threshold="12.5", window=BERLIN),
                    limit(
                        metric="calls",
                        threshold=1,
                        window={"kind": "rolling", "seconds": 86_400},
                    ),
                    limit(
                        metric="input_tokens", window={"kind": "fixed", "seconds": 90}
                    ),
                ],
            ),
            (
                "Call a webhook about every bot after $12.50 in a month"
                " (Europe/Berlin), 1 call in any 1 d or 1,000 input tokens within"
                " 1 min 30 s of the first call."
            ),
        ),
        (
            usage(
                actions={"revoke": {}, "block": {}},
                limits=[limit(window={"kind": "lifetime"})],
                group_by=["user", "model"],
                rollout_mode="shadow",
                rollout_percent=25,
            ),
            (
                "In shadow: revoke every bot and block it until someone clears it"
                " after 1,000 tokens in all, counted for each user and model, for"
                " 25 % of users."
            ),
        ),
        (
            retention(scope={"project": "prj_x"}),
            "Delete conversations of project Blue after 30 days.",
        ),
        (
            retention(
                rollout_mode="off",
                retention={"target": "message_text", "max_age_days": 1},
            ),
            "Switched off: delete the text of messages after 1 day.",
        ),
        (content(), "Redact card numbers in responses."),
        (
            content(
                scope={"bot": "bot_x"},
                content={
                    "direction": "both",
                    "action": "deny",
                    "categories": ["iban", "email"],
                    "denylist": ["x"],
                    "allowlist": ["y", "z"],
                },
            ),
            (
                "Refuse e-mail addresses, IBANs and 1 deny-listed phrase in requests"
                " and responses of support-bot, except 2 allowed phrases."
            ),
        ),
    ],
)
def test_a_policy_reads_as_one_sentence(document, told):
    names = {"bot_x": "support-bot", "prj_x": "Blue"}

    assert sentence(parse(document), names) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (1, "1 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (5401, "1 h 31 min"),
        (86_399, "24 h"),
        (86_400, "1 d"),
        (90_001, "1 d 2 h"),
    ],
)
def test_spans_are_told_in_two_units_rounded_up(seconds, told):
    assert duration_text(seconds) == told


def test_a_diff_names_each_changed_field_once():
    old = parse(usage(scope={"bot": "bot_x"}, limits=[limit(threshold=5)]))
    new = parse(
        usage(
            name="New cap",
            limits=[limit(threshold=6), limit(metric="calls")],
            actions={"block": {}},
            alert_steps=[80, 100],
        )
    )

    assert diff(old, new) == [
        {"field": "name", "before": "Daily cap", "after": "New cap"},
        {"field": "scope.bot", "before": "bot_x", "after": None},
        {"field": "limits.0.threshold", "before": 5, "after": 6},
        {"field": "limits.1", "before": None, "after": limit(metric="calls")},
        {"field": "actions.throttle", "before": {}, "after": None},
        {
            "field": "actions.block",
            "before": None,
            "after": {"duration_seconds": None},
        },
        {"field": "alert_steps", "before": [100], "after": [80, 100]},
    ]


def test_true_and_one_are_different():
    assert diff({"a": 1}, {"a": True}) == [{"field": "a", "before": 1, "after": True}]
