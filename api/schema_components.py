"""The OpenAPI schemas of what has no serializer: policies, decisions, problems."""

from collections.abc import Mapping
from typing import Any, Final

from api import examples
from policies.rules import (
    CALENDAR_UNITS,
    MAX_INTEGER,
    METRICS,
    ROLLOUT_MODES,
    SCOPE_FIELDS,
)

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
BOOLEAN: Final[Schema] = {"type": "boolean"}
MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
MOMENT_OR_NULL: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
COUNT_OR_NULL: Final[Schema] = {"type": ["integer", "null"]}
COST: Final[Schema] = {
    "type": ["string", "number"],
    "description": "decimal US dollars, at most 6 places",
}
AMOUNT: Final[Schema] = {
    "type": ["integer", "string", "number"],
    "description": "a whole number; decimal US dollars where the metric is cost",
}
AMOUNT_OR_NULL: Final[Schema] = {"type": ["integer", "string", "null"]}


def words(*choices: str) -> Schema:
    """Return the schema of one of some words."""
    return {"type": "string", "enum": list(choices)}


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def ref(name: str) -> Schema:
    """Return a reference to one of these schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def body(*required: str, **properties: Schema) -> Schema:
    """Return the schema of an object that is sent: unknown members are errors."""
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return {**schema, "required": list(required)} if required else schema


def answer(**properties: Schema) -> Schema:
    """Return the schema of an object that is answered with all its members."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


_WINDOW: Final[Schema] = {
    "oneOf": [
        body(
            "kind",
            "unit",
            kind=words("calendar"),
            unit=words(*CALENDAR_UNITS),
            timezone={"type": "string", "default": "UTC"},
            week_start={"type": "integer", "minimum": 1, "maximum": 7},
        ),
        body(
            "kind",
            "seconds",
            kind=words("fixed"),
            seconds={"type": "integer", "minimum": 1},
        ),
        body(
            "kind",
            "seconds",
            kind=words("rolling"),
            seconds={"type": "integer", "minimum": 60},
        ),
        body("kind", kind=words("lifetime")),
    ]
}
_SECONDS_OR_NULL: Final[Schema] = {"type": ["integer", "null"], "minimum": 1}
_ACTIONS: Final[Schema] = {
    **body(
        warn=body(),
        throttle=body(),
        block=body(duration_seconds=_SECONDS_OR_NULL),
        revoke=body(),
        email=body(to=array({"type": "string", "format": "email"})),
        webhook=body(to=array(TEXT)),
    ),
    "minProperties": 1,
}
_PERCENT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 100}
_COMMON: Final[dict[str, Schema]] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": {"type": "string", "maxLength": 2000},
    "scope": ref("Scope"),
    "rollout_mode": words(*ROLLOUT_MODES),
}
_USAGE: Final[dict[str, Schema]] = {
    "group_by": array(words(*SCOPE_FIELDS)),
    "limits": {**array(ref("Limit")), "minItems": 1, "maxItems": 20},
    "actions": ref("Actions"),
    "alert_steps": array({"type": "integer", "minimum": 1, "maximum": 100}),
    "rollout_percent": _PERCENT,
    "fail_mode": words("closed", "open"),
    "on_unpriced": words("deny", "allow"),
    "default_hold": {"type": ["object", "null"]},
    "notify_in_shadow": BOOLEAN,
}
_RETENTION: Final[Schema] = body(
    "target",
    "max_age_days",
    target=words("conversations", "message_text", "usage_events", "decisions"),
    max_age_days={"type": "integer", "minimum": 1, "maximum": 36500},
)
_CONTENT: Final[Schema] = body(
    "direction",
    "action",
    direction=words("request", "response", "both"),
    action=words("deny", "redact", "warn"),
    categories=array(
        words("email", "phone", "card", "iban", "national_id", "ip", "secrets")
    ),
    allowlist=array(TEXT),
    denylist=array(TEXT),
)
_KAVACH_AMOUNTS: Final[dict[str, Schema]] = {
    "maxTokensCostPerDay": COUNT,
    "maxTokensCostPerMonth": COUNT,
    "maxCallsPerDay": COUNT,
    "maxCallsPerMonth": COUNT,
}
_READING: Final[dict[str, Schema]] = {
    "policy_id": TEXT,
    "revision": COUNT,
    "action": TEXT,
    "metric": words(*METRICS),
    "threshold": AMOUNT,
    "used": AMOUNT_OR_NULL,
    "held": AMOUNT_OR_NULL,
    "remaining": AMOUNT_OR_NULL,
    "resets_at": MOMENT_OR_NULL,
    "exceeded": BOOLEAN,
    "enforced": BOOLEAN,
}
_DECISION: Final[dict[str, Schema]] = {
    "id": TEXT,
    "allowed": BOOLEAN,
    "decision": words("allow", "deny"),
    "reason_code": TEXT,
    "message": TEXT,
    "enforced": BOOLEAN,
    "rollout_mode": TEXT_OR_NULL,
    "policy_id": TEXT_OR_NULL,
    "policy_target": TEXT,
    "policy_user": TEXT_OR_NULL,
    "policy_project_id": TEXT_OR_NULL,
    "model": TEXT_OR_NULL,
    "triggered_categories": array(TEXT),
    "allowlist_hits": array(TEXT),
    "denylist_hits": array(TEXT),
    "retry_after": COUNT_OR_NULL,
    "created_at": MOMENT,
    "policies": array(ref("PolicyReading")),
}
_ACTOR: Final[Schema] = answer(
    kind=words("person", "key", "system"), id=TEXT, label=TEXT
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Problem": {
        **answer(
            type=TEXT,
            title=TEXT,
            status=COUNT,
            detail=TEXT,
            code={**TEXT, "description": "stays the same for ever"},
            errors=array(answer(pointer=TEXT, detail=TEXT)),
        ),
        "description": "What went wrong (RFC 9457).",
        "examples": [examples.PROBLEM],
    },
    "Window": _WINDOW,
    "Limit": body(
        "metric",
        "threshold",
        "window",
        metric=words(*METRICS),
        threshold=AMOUNT,
        window=ref("Window"),
    ),
    "Scope": body(**dict.fromkeys(SCOPE_FIELDS, TEXT_OR_NULL)),
    "Actions": _ACTIONS,
    "UsagePolicy": body(
        "type", "name", "limits", "actions", type=words("usage"), **_COMMON, **_USAGE
    ),
    "RetentionPolicy": body(
        "type",
        "name",
        "retention",
        type=words("retention"),
        **_COMMON,
        retention=_RETENTION,
    ),
    "ContentPolicy": body(
        "type",
        "name",
        "content",
        type=words("content"),
        **_COMMON,
        content=_CONTENT,
    ),
    "KavachPolicy": {
        **body(
            "limits",
            "action",
            type=words("usage"),
            name=TEXT,
            agentId=TEXT_OR_NULL,
            userId=TEXT_OR_NULL,
            tenantId=TEXT_OR_NULL,
            limits={**body(**_KAVACH_AMOUNTS), "minProperties": 1},
            action=words("warn", "throttle", "block", "revoke"),
        ),
        "description": "KavachOS's form of a budget policy.",
    },
    "PolicyDocument": {
        "anyOf": [
            ref("UsagePolicy"),
            ref("RetentionPolicy"),
            ref("ContentPolicy"),
            ref("KavachPolicy"),
        ]
    },
    "PolicyPatch": {
        "type": "object",
        "description": "A merge patch (RFC 7396) of the document; null removes.",
        "additionalProperties": True,
    },
    "Policy": {
        "type": "object",
        "description": "The document of a policy, and what PolicyHub adds.",
        "properties": {
            "id": TEXT,
            "status": words("active", "triggered", "disabled"),
            "revision": COUNT,
            "type": words("usage", "retention", "content"),
            **_COMMON,
            **_USAGE,
            "retention": _RETENTION,
            "content": _CONTENT,
            "project": TEXT_OR_NULL,
            "counting_since": MOMENT_OR_NULL,
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "agentId": TEXT_OR_NULL,
            "userId": TEXT_OR_NULL,
            "tenantId": TEXT,
            "action": words("warn", "throttle", "block", "revoke"),
            "currentUsage": answer(
                tokensCostToday=COUNT_OR_NULL,
                tokensCostThisMonth=COUNT_OR_NULL,
                callsToday=COUNT_OR_NULL,
                callsThisMonth=COUNT_OR_NULL,
            ),
        },
        "required": ["id", "status", "revision", "type", "name", "created_at"],
    },
    "Reading": answer(
        metric=words(*METRICS),
        subject={"type": "object", "additionalProperties": TEXT_OR_NULL},
        window=ref("Window"),
        window_start=MOMENT_OR_NULL,
        resets_at=MOMENT_OR_NULL,
        threshold=AMOUNT,
        used=AMOUNT_OR_NULL,
        held=AMOUNT_OR_NULL,
        remaining=AMOUNT_OR_NULL,
        exceeded=BOOLEAN,
        status=words("active", "triggered", "disabled"),
    ),
    "PolicyRevision": answer(
        id=TEXT,
        number=COUNT,
        document={"type": "object", "additionalProperties": True},
        changes=array({"type": "object", "additionalProperties": True}),
        actor=_ACTOR,
        reason=TEXT,
        created_at=MOMENT,
    ),
    "Block": answer(
        id=TEXT,
        kind=words("person", "policy", "revoke"),
        policy_id=TEXT_OR_NULL,
        bot=TEXT_OR_NULL,
        subject={"type": "object", "additionalProperties": TEXT_OR_NULL},
        enforced=BOOLEAN,
        reason=TEXT,
        live=BOOLEAN,
        starts_at=MOMENT,
        ends_at=MOMENT_OR_NULL,
        lifted_at=MOMENT_OR_NULL,
        lifted_by=TEXT,
        lift_reason=TEXT,
    ),
    "PolicyReading": answer(**_READING),
    "Reservation": answer(
        id=TEXT,
        state=words("open", "settled", "released", "expired"),
        expires_at=MOMENT,
        ttl_seconds=COUNT,
    ),
    "Decision": answer(
        **_DECISION,
        reservation={"anyOf": [ref("Reservation"), {"type": "null"}]},
    ),
    "DecisionRecord": answer(
        **_DECISION,
        sequence=COUNT,
        kind=TEXT,
        key_id=TEXT,
        estimate={"type": "object", "additionalProperties": AMOUNT},
        tags={"type": "object", "additionalProperties": TEXT},
        reservation_id=TEXT_OR_NULL,
    ),
}
