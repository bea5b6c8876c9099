"""The routes in OpenAPI that stand beside the API: probes, metrics, the schema."""

from typing import Any, Final

from api.schema_components import TEXT, Schema, answer, words


def _open(
    operation_id: str, summary: str, media_type: str, schema: Schema, example: Any
) -> Schema:
    content = {media_type: {"schema": schema, "example": example}}
    return {
        "operationId": f"system_{operation_id}",
        "summary": summary,
        "tags": ["system"],
        "security": [],
        "responses": {"200": {"description": summary, "content": content}},
    }


_CHECKS: Final = {"database": "ok", "migrations": "ok", "pages": "ok", "lane": "ok"}
_READY: Final = _open(
    "ready",
    "Say whether calls can be served",
    "application/json",
    answer(
        status=words("ready", "not_ready"),
        checks={"type": "object", "additionalProperties": TEXT},
    ),
    {"status": "ready", "checks": _CHECKS},
)
_READY["responses"]["503"] = {
    "description": "Something that is needed is not there",
    "content": {
        "application/json": {
            "schema": _READY["responses"]["200"]["content"]["application/json"][
                "schema"
            ],
            "example": {
                "status": "not_ready",
                "checks": {**_CHECKS, "database": "unreachable"},
            },
        }
    },
}
_METRICS: Final = _open(
    "metrics",
    "Read what the lane counts, for Prometheus",
    "text/plain",
    TEXT,
    "ledger_batches_total 42.0\n",
)
# From this machine it is open; from elsewhere a key that may read the audit is needed.
_METRICS["security"] = [{}, {"apiKey": []}]
_METRICS["responses"]["401"] = {"$ref": "#/components/responses/Unauthorized"}
_METRICS["responses"]["403"] = {"$ref": "#/components/responses/Forbidden"}

SYSTEM_PATHS: Final[dict[str, Schema]] = {
    "/healthz": {
        "get": _open(
            "health",
            "Say that the process answers",
            "application/json",
            answer(status=words("ok")),
            {"status": "ok"},
        )
    },
    "/readyz": {"get": _READY},
    "/metrics": {"get": _METRICS},
    "/api/schema": {
        "get": _open(
            "schema",
            "Read this description",
            "application/vnd.oai.openapi+json",
            {"type": "object", "additionalProperties": True},
            {"openapi": "3.1.0"},
        )
    },
    "/api/docs": {
        "get": _open(
            "docs", "Browse this description", "text/html", TEXT, "<!DOCTYPE html>"
        )
    },
}
