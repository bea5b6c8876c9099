"""The hot routes in OpenAPI. The lane serves them, so no view describes them."""

from copy import deepcopy
from typing import Any, Final

from api import examples
from api.schema_components import (
    BOOLEAN,
    COST,
    COUNT,
    COUNT_OR_NULL,
    MOMENT_OR_NULL,
    SCHEMAS,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    answer,
    array,
    body,
    ref,
    words,
)
from api.schema_errors import name_errors
from api.schema_gateway import GATEWAY_PATHS, GATEWAY_SCHEMAS
from api.schema_reports import REPORT_SCHEMAS
from api.schema_system import SYSTEM_PATHS

_NO_NUL: Final = "^[^\\u0000]*$"


def _text(longest: int, *, null: bool = False) -> Schema:
    kind: Any = ["string", "null"] if null else "string"
    return {"type": kind, "minLength": 1, "maxLength": longest, "pattern": _NO_NUL}


_KEY: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[ -~]*$",
}
_NAME: Final = _text(200)
_NAME_OR_NULL: Final = _text(200, null=True)
_MAYBE_COST: Final[Schema] = {**COST, "type": ["string", "number", "null"]}
_COUNT: Final[Schema] = {**COUNT, "type": ["integer", "null"]}
_COUNTS: Final = dict.fromkeys(
    ("tokens", "input_tokens", "output_tokens", "messages", "calls"), _COUNT
)
_CALLER: Final[dict[str, Schema]] = {
    "bot": _NAME,
    "user": _text(256, null=True),
    "model": _NAME_OR_NULL,
    "conversation": _NAME_OR_NULL,
}
_DATA: Final[dict[str, Schema]] = {
    **_CALLER,
    **_COUNTS,
    "conversations": _COUNT,
    "cost": _MAYBE_COST,
    "reservation": _NAME_OR_NULL,
}
_EVENT: Final[Schema] = body(
    "bot", id=_NAME_OR_NULL, **_DATA, occurred_at=MOMENT_OR_NULL
)
_CLOUD_EVENT: Final[Schema] = {
    **answer(
        specversion=words("1.0"),
        id=_NAME,
        source=_NAME,
        type=_NAME,
        data=body("bot", **_DATA),
    ),
    "description": "A CloudEvents 1.0 envelope; extension attributes are ignored.",
}
_CLOUD_EVENT["properties"] |= {
    "time": MOMENT_OR_NULL,
    "datacontenttype": TEXT_OR_NULL,
}
_ESTIMATE: Final = body(**_COUNTS, cost=_MAYBE_COST)
_CALL: Final[Schema] = body(
    "bot",
    **_CALLER,
    estimate={**_ESTIMATE, "type": ["object", "null"]},
    reserve=BOOLEAN,
    ttl_seconds={"type": "integer", "minimum": 1, "maximum": 86_400, "default": 600},
)
_BATCH: Final[Schema] = body(
    "events",
    events={**array(ref("UsageEvent")), "minItems": 1, "maxItems": 1000},
)
_PROBLEM_ITEM: Final[Schema] = {
    "type": ["object", "null"],
    "properties": {"code": TEXT, "errors": array({"type": "object"})},
}
_RECORDED: Final[Schema] = answer(
    data=array(
        answer(
            id=TEXT_OR_NULL,
            status={"type": "string", "enum": ["recorded", "duplicate", "error"]},
            event=TEXT_OR_NULL,
            error=_PROBLEM_ITEM,
        )
    )
)
_HOT_SCHEMAS: Final = {
    "UsageEvent": _EVENT,
    "Call": _CALL,
    "CloudEvent": _CLOUD_EVENT,
    "RecordedEvents": _RECORDED,
    "Budget": answer(
        data=array(ref("PolicyReading")),
        bot=TEXT,
        user=TEXT_OR_NULL,
        model=TEXT_OR_NULL,
        allowed=BOOLEAN,
        reason_code=TEXT,
        message=TEXT,
        retry_after=COUNT_OR_NULL,
    ),
}


def _operation(
    operation_id: str,
    summary: str,
    description: str,
    *,
    shows: Any,
    returns: Schema,
    status: str = "200",
    sends: Any = None,
    takes: Schema | None = None,
    parameters: tuple[Schema, ...] = (),
) -> Schema:
    described: Schema = {
        "operationId": operation_id,
        "summary": summary,
        "description": description,
        "tags": [operation_id.partition("_")[0]],
        "security": [{"apiKey": []}],
        "parameters": list(parameters),
        "responses": {
            status: {
                "description": summary,
                "content": {"application/json": {"schema": returns, "example": shows}},
            },
            # `api.schema_errors` puts the statuses in its place.
            "4XX": {
                "description": "Refused",
                "content": {"application/problem+json": {"schema": ref("Problem")}},
            },
        },
        "x-hot": True,
    }
    if takes is not None:
        content = {"application/json": {"schema": takes, "example": sends}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameter(name: str, where: str, schema: Schema, text: str) -> Schema:
    return {
        "name": name,
        "in": where,
        "schema": schema,
        "description": text,
        "required": where == "path" or name == "bot",
    }


_AUTHORIZE: Final = _operation(
    "decide_authorize",
    "Ask whether a call may go ahead",
    "Decides by all matching policies. With `reserve` it holds the estimate in every "
    "matching counter; without, it is a pure check. Obey `allowed`.",
    takes=ref("Call"),
    sends=examples.CALL_SENT,
    returns=ref("Decision"),
    shows=examples.DECISION,
    parameters=(
        _parameter("dry_run", "query", {"type": "integer", "enum": [0, 1]}, "no trace"),
        _parameter("Idempotency-Key", "header", _KEY, "for granted reservations"),
    ),
)
_ONCE: Final = _parameter(
    "Idempotency-Key",
    "header",
    _KEY,
    "Sent again with the same body within 24 h, the first answer returns.",
)
_USAGE: Final = _operation(
    "usage_record",
    "Record what calls consumed",
    "One event, or up to 1,000 in `events`. Each is applied exactly once per id.",
    takes={"anyOf": [ref("UsageEvent"), _BATCH]},
    sends=examples.EVENT_SENT,
    returns=ref("RecordedEvents"),
    shows=examples.RECORDED,
    status="202",
    parameters=(_ONCE,),
)
_USAGE["requestBody"]["content"] |= {
    "application/cloudevents+json": {
        "schema": ref("CloudEvent"),
        "example": examples.CLOUD_EVENT,
    },
    "application/cloudevents-batch+json": {
        "schema": {**array(ref("CloudEvent")), "minItems": 1, "maxItems": 1000},
        "example": [examples.CLOUD_EVENT],
    },
}
_RELEASE: Final = _operation(
    "reservations_release",
    "Release a reservation",
    "Frees what a reservation holds; an ended one is answered with its state.",
    returns=ref("Reservation"),
    shows=examples.RESERVATION,
    parameters=(_parameter("id", "path", TEXT, "the reservation"), _ONCE),
)
_BUDGET: Final = _operation(
    "usage_budget",
    "Read what is left",
    "What is left in every policy that matches the call, and when it resets.",
    returns=ref("Budget"),
    shows=examples.BUDGET,
    parameters=(
        _parameter("bot", "query", TEXT, "id or external id of a bot"),
        _parameter("user", "query", TEXT, "the user of the call"),
        _parameter("model", "query", TEXT, "the model of the call"),
    ),
)
_PATHS: Final = {
    "/api/v1/authorize": {"post": _AUTHORIZE},
    "/api/v1/budget": {"get": _BUDGET},
    "/api/v1/reservations/{id}/release": {"post": _RELEASE},
    "/api/v1/usage": {"post": _USAGE},
}


def add_hot_routes(result: Schema, **_future: object) -> Schema:
    """Add the lane's routes, and the schemas that are written by hand."""
    paths = {**result["paths"], **deepcopy({**_PATHS, **SYSTEM_PATHS, **GATEWAY_PATHS})}
    result["paths"] = dict(sorted(paths.items()))
    components = result.setdefault("components", {})
    schemas = {**components.get("schemas", {}), **SCHEMAS, **_HOT_SCHEMAS}
    schemas |= GATEWAY_SCHEMAS
    schemas |= REPORT_SCHEMAS
    components["schemas"] = dict(sorted(schemas.items()))
    return name_errors(result)
