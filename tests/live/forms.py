"""The forms in which an error may be answered, by whose route it is."""

import json

PROBLEM = {"type", "title", "status", "detail", "code", "errors"}


def wrong_with(path: str, status: int, media_type: str, body: bytes) -> str:
    """Say what is wrong with the form of an error; nothing if all is well."""
    kind = media_type.partition(";")[0]
    try:
        told = json.loads(body)
    except ValueError:
        return f"no JSON: {body[:200]!r}"
    if path.startswith("/v1/"):
        wanted, told, right = (
            {"message", "type", "param", "code"},
            told.get("error", {}),
            "application/json",
        )
    elif path.startswith("/api/v1/policy/"):
        wanted, right = {"message", "code"}, "application/json"
    else:
        wanted, right = PROBLEM, "application/problem+json"
        if told.get("status") != status:
            return f"it says {told.get('status')}"
        if any(not {"pointer", "detail"} <= set(e) for e in told.get("errors", ())):
            return f"errors without pointer or detail: {told['errors']}"
    if kind != right:
        return f"its type is {kind}"
    missing = wanted - set(told)
    return f"without {sorted(missing)}" if missing else ""


def told_of_an_upstream(path: str, body: bytes) -> bool:
    """Say whether a gateway's answer tells of an upstream that fails, not of us.

    The accounts that are attacked get upstreams that nobody runs.
    """
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, LookupError, TypeError):
        return False
    return path.startswith("/v1/") and str(code).startswith("upstream_")
