"""Policy documents to start a test from."""

from typing import Any

from policies.rules import UsageRule, parse, usage_rule

DAY = {"kind": "calendar", "unit": "day", "timezone": "UTC"}
WEBHOOK = "whk_01h455vb4pex5vsknk084sn02q"


def usage(**changes: Any) -> dict[str, Any]:
    return {
        "type": "usage",
        "name": "Daily cap",
        "limits": [{"metric": "tokens", "threshold": 1000, "window": DAY}],
        "actions": {"throttle": {}},
        **changes,
    }


def limit(**changes: Any) -> dict[str, Any]:
    return {"metric": "tokens", "threshold": 1000, "window": DAY, **changes}


def retention(**changes: Any) -> dict[str, Any]:
    rule = {"target": "conversations", "max_age_days": 30}
    return {"type": "retention", "name": "Keep 30 days", "retention": rule, **changes}


def content(**changes: Any) -> dict[str, Any]:
    rule = {"direction": "response", "action": "redact", "categories": ["card"]}
    return {"type": "content", "name": "No cards", "content": rule, **changes}


def rule(policy_id: str = "pol_1", **changes: Any) -> UsageRule:
    return usage_rule(policy_id=policy_id, revision=1, document=parse(usage(**changes)))
