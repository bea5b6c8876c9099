import pytest

from policies.compat import (
    KAVACH_LIMITS,
    KAVACH_USAGE,
    from_kavach,
    is_kavach,
    kavach_action,
)
from policies.rules import InvalidPolicy, parse
from tests.policies.drafts import usage

BODY = {"agentId": "a-7", "limits": {"maxTokensCostPerDay": 1000}, "action": "block"}


def problems(document, *, partial=False):
    with pytest.raises(InvalidPolicy) as caught:
        from_kavach(document, partial=partial)
    return [problem.pointer for problem in caught.value.problems]


def test_kavachs_limits_become_tokens_and_calls_in_utc_days_and_months():
    document = {
        "userId": "u-1",
        "tenantId": "acme",
        "limits": {
            "maxTokensCostPerDay": 1,
            "maxTokensCostPerMonth": 2,
            "maxCallsPerDay": 3,
            "maxCallsPerMonth": 4,
        },
        "action": "throttle",
    }

    translated = from_kavach(document)
    draft = parse(translated.document)

    assert translated.references == {"tenantId": "acme"}
    assert draft["type"] == "usage"
    assert draft["scope"] == {"user": "u-1"}
    assert draft["actions"] == {"throttle": {}}
    assert [
        (each["metric"], each["window"]["unit"], each["threshold"])
        for each in draft["limits"]
    ] == [
        ("tokens", "day", 1),
        ("tokens", "month", 2),
        ("calls", "day", 3),
        ("calls", "month", 4),
    ]
    assert {each["window"]["timezone"] for each in draft["limits"]} == {"UTC"}


def test_kavachs_block_has_no_duration():
    assert from_kavach(BODY).document["actions"] == {
        "block": {"duration_seconds": None}
    }


def test_the_name_is_made_from_the_rule():
    assert from_kavach(BODY).document["name"] == (
        "Block a-7 for the rest of the day after 1,000 tokens in a day"
    )


def test_a_made_name_is_never_too_long():
    body = {**BODY, "agentId": "a" * 200, "userId": "u" * 256}

    assert len(parse(from_kavach(body).document)["name"]) == 200


def test_a_given_name_is_kept():
    assert from_kavach({**BODY, "name": "Mine"}).document["name"] == "Mine"


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        ([], [""]),
        ({**BODY, "limits": {}}, ["/limits"]),
        ({**BODY, "limits": []}, ["/limits"]),
        (
            {**BODY, "limits": {"maxCallsPerDay": 1.5}},
            ["/limits/maxCallsPerDay"],
        ),
        ({**BODY, "limits": {"maxCost": 1, "maxCallsPerDay": 1}}, ["/limits/maxCost"]),
        ({**BODY, "action": "stop"}, ["/action"]),
        ({**BODY, "agentId": 7}, ["/agentId"]),
        ({**BODY, "userId": ""}, ["/userId"]),
        ({**BODY, "type": "retention"}, ["/type"]),
        ({**BODY, "actions": {}}, ["/actions"]),
        ({"agentId": "a"}, ["/limits", "/action"]),
    ],
)
def test_problems_point_into_the_document_as_it_was_given(document, pointers):
    assert problems(document) == pointers


def test_a_patch_translates_only_what_it_says():
    assert from_kavach({"action": "warn"}, partial=True).document == {
        "actions": {"warn": {}, "throttle": None, "block": None, "revoke": None}
    }


def test_a_patch_can_take_references_away():
    translated = from_kavach({"agentId": None, "userId": None}, partial=True)

    assert translated.references == {"agentId": None}
    assert translated.document == {"scope": {"user": None}}


@pytest.mark.parametrize(
    ("document", "verdict"),
    [
        (BODY, True),
        ({"limits": {}}, True),
        ({"action": "warn"}, True),
        ({"tenantId": None}, True),
        (usage(), False),
        ({"name": "x"}, False),
        ([], False),
        (None, False),
    ],
)
def test_kavachs_form_is_recognised(document, verdict):
    assert is_kavach(document) is verdict


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        ({"warn": {}, "revoke": {}}, "revoke"),
        ({"block": {}, "throttle": {}}, "block"),
        ({"throttle": {}, "email": {}}, "throttle"),
        ({"email": {}}, "warn"),
    ],
)
def test_our_actions_are_told_in_kavachs_words(actions, action):
    assert kavach_action(actions) == action


def test_usage_is_told_for_the_same_metrics_as_limits():
    assert list(KAVACH_USAGE.values()) == list(KAVACH_LIMITS.values())
