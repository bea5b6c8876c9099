"""Every refusal in OpenAI's shape (CONTRACT H2). No figures of anybody's spending."""

from collections.abc import Mapping
from typing import Any, Final

from accounts.errors import (
    BodyTooLarge,
    DomainError,
    InvalidKey,
    MissingScope,
    NotFound,
    UnknownReference,
)
from gateway.limits import Allowance
from gateway.protocol import Refusal

BUDGET: Final = "policy_budget_exceeded"
_SPENT: Final = frozenset({"limit_exceeded", "blocked"})
_FORBIDDEN: Final = {
    "blocked": "This bot is blocked.",
    "revoked": "This bot has been revoked.",
    "bot_disabled": "This bot is disabled.",
    "denylist": "The content of this request is not allowed.",
    "model_not_allowed": "This key may not use this model.",
    "unpriced_model": "No price is known for this model, and a policy needs one.",
}


def of_decision(body: Mapping[str, Any]) -> Refusal:
    """Return the refusal of a call that the ledger decided against."""
    reason, policy, seconds = (
        body["reason_code"],
        body["policy_id"],
        body["retry_after"],
    )
    if reason == "throttled":
        refusal = Refusal(
            429,
            f"A limit is reached.{_again(seconds)}",
            kind="rate_limit_exceeded",
            code="rate_limit_exceeded",
            seconds=seconds,
        )
    elif reason in _SPENT and policy is not None:
        # Trying again by itself would help nobody: it costs a call and changes nothing.
        refusal = Refusal(
            429,
            f"The budget for this call is spent.{_again(seconds)}",
            kind="insufficient_quota",
            code=BUDGET,
            seconds=seconds,
            retry=False,
        )
    else:
        message = _FORBIDDEN.get(reason, "This call is not allowed.")
        refusal = Refusal(
            403, message, kind="permission_error", code=reason, retry=False
        )
    refusal.headers = decision_headers(body)
    return refusal


def decision_headers(body: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """Return the headers that name the decision and its policy."""
    told = [(b"x-policyhub-decision", body["id"].encode("ascii"))]
    if body["policy_id"] is not None:
        told.append((b"x-policy-id", body["policy_id"].encode("ascii")))
    return told


def _again(seconds: int | None) -> str:
    if seconds is None:
        return ""
    minutes, hours = -(-seconds // 60), -(-seconds // 3600)
    if seconds < 120:
        return f" Try again in {seconds} s."
    if minutes < 120:
        return f" Try again in {minutes} min."
    return f" Try again in {hours} h."


def of_error(error: DomainError) -> Refusal:
    """Return an error of the house as OpenAI's clients read it."""
    if isinstance(error, InvalidKey):
        return Refusal(
            401,
            "Incorrect API key provided. Send a key of PolicyHub as Bearer.",
            code="invalid_api_key",
        )
    if isinstance(error, MissingScope):
        return Refusal(403, error.detail, kind="permission_error", code=error.code)
    if isinstance(error, BodyTooLarge):
        return Refusal(413, "The body is too large.", code="request_too_large")
    if isinstance(error, UnknownReference):
        return Refusal(
            400,
            "The conversation does not exist.",
            code=error.code,
            param="X-Policy-Conversation",
        )
    if isinstance(error, NotFound):
        message = "There is no such bot."
        return Refusal(404, message, code="bot_not_found", param="X-Policy-Target")
    if error.status >= 500:
        return Refusal(
            503,
            "The policies cannot be checked now. Try again.",
            kind="server_error",
            code=error.code,
            seconds=error.retry_after,
        )
    return Refusal(error.status, error.title, code=error.code)


def of_allowance(allowance: Allowance) -> Refusal:
    """Return the refusal of a key that has asked too often."""
    return Refusal(
        429,
        f"Rate limit reached: {allowance.limit} requests a minute."
        f" Try again in {allowance.wait} s.",
        kind="rate_limit_exceeded",
        code="rate_limit_exceeded",
        seconds=allowance.wait,
        headers=allowance.headers(),
    )


def too_many_at_once() -> Refusal:
    """Return the refusal of a call for which no place became free."""
    return Refusal(
        429,
        "Too many requests of this key are under way. Try again.",
        kind="rate_limit_exceeded",
        code="rate_limit_exceeded",
        seconds=1,
    )
