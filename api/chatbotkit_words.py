"""Errors in ChatBotKit's words: `message` and `code`. Needs no framework."""

from collections.abc import Mapping
from typing import Any, Final

ROUTES: Final = "/api/v1/policy/"

# By status; the words are those that ChatBotKit's published clients know.
CODES: Final[Mapping[int, str]] = {
    400: "BAD_REQUEST",
    401: "NOT_AUTHENTICATED",
    403: "NOT_AUTHORIZED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    409: "CONFLICT",
    413: "CONTENT_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "UNPROCESSABLE_ENTITY",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
    502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE",
    504: "GATEWAY_TIMEOUT",
}


def told(status: int, problem: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that says in their form what a problem says in ours."""
    faults = problem.get("errors") or []
    said = [f"{_field(fault['pointer'])} {fault['detail']}" for fault in faults]
    body: dict[str, Any] = {
        "message": "; ".join(each.strip() for each in said) or problem["detail"],
        "code": CODES.get(status, f"ERROR_{status}"),
        "reason": problem["code"],
    }
    return {**body, "errors": faults} if faults else body


def _field(pointer: str) -> str:
    """Return a JSON pointer as people write a path: `config.actions`."""
    name = pointer.lstrip("/").replace("/", ".")
    return name.replace("~1", "/").replace("~0", "~")
