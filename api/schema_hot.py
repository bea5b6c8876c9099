"""The hot routes in OpenAPI. The lane serves them, so no view describes them."""

from typing import Any, Final

from api import examples
from api.schema_components import (
    BOOLEAN,
    COST,
    COUNT,
    COUNT_OR_NULL,
    MOMENT,
    SCHEMAS,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    answer,
    array,
    body,
    ref,
)

_COUNTS: Final = dict.fromkeys(
    ("tokens", "input_tokens", "output_tokens", "messages", "calls"), COUNT
)
_EVENT: Final[Schema] = body(
    "bot",
    id=TEXT,
    bot=TEXT,
    user=TEXT_OR_NULL,
    model=TEXT_OR_NULL,
    conversation=TEXT_OR_NULL,
    **_COUNTS,
    conversations=COUNT,
    cost=COST,
    occurred_at=MOMENT,
    reservation=TEXT,
)
_CALL: Final[Schema] = body(
    "bot",
    bot=TEXT,
    user=TEXT_OR_NULL,
    model=TEXT_OR_NULL,
    conversation=TEXT_OR_NULL,
    estimate=body(**_COUNTS, cost=COST),
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
            error=_PROBLEM_ITEM,
        )
    )
)
_HOT_SCHEMAS: Final = {
    "UsageEvent": _EVENT,
    "Call": _CALL,
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
            "4XX": {
                "description": "Refused",
                "content": {"application/problem+json": {"schema": ref("Problem")}},
            },
            "503": {
                "description": "Nothing can be decided now",
                "content": {"application/problem+json": {"schema": ref("Problem")}},
            },
        },
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
        _parameter("Idempotency-Key", "header", TEXT, "for granted reservations"),
    ),
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
)
_RELEASE: Final = _operation(
    "reservations_release",
    "Release a reservation",
    "Frees what a reservation holds; an ended one is answered with its state.",
    returns=ref("Reservation"),
    shows=examples.RESERVATION,
    parameters=(_parameter("id", "path", TEXT, "the reservation"),),
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
    paths = {**result["paths"], **_PATHS}
    result["paths"] = dict(sorted(paths.items()))
    components = result.setdefault("components", {})
    schemas = {**components.get("schemas", {}), **SCHEMAS, **_HOT_SCHEMAS}
    components["schemas"] = dict(sorted(schemas.items()))
    return result
