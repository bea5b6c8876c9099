"""What a caller is told about a decision."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from policies.decision_types import BlockView, Call, Decision, Reading
from policies.estimates import amount_of
from policies.phrases import quantity_text, span_until, used_text

# Nothing of anybody's spending: fit for end users and for keys of one project.
PLAIN_MESSAGES: Final[Mapping[str, str]] = {
    "revoked": "This bot has been revoked",
    "bot_disabled": "This bot is disabled",
    "blocked": "This bot is blocked",
    "throttled": "A limit is reached",
    "limit_exceeded": "A limit is reached",
    "unpriced_model": "No price is known for this model",
    "denylist": "The content is not allowed",
    "model_not_allowed": "This model is not allowed",
    "redacted": "Allowed, with parts of the content removed",
    "warned": "Allowed, with a warning",
    "ok": "Allowed",
}


def reading_message(reading: Reading, call: Call, now: datetime) -> str:
    """Say where a limit stands that a call is over.

    `Daily cap: 1,000 of 1,000 tokens used, resets in 1 h 30 min`
    """
    metric, threshold = reading.limit.metric, reading.limit.threshold
    text = f"{reading.rule.name}: {used_text(metric, reading.used, threshold)}"
    if reading.held > 0:
        text += f", {quantity_text(metric, reading.held)} held"
    if reading.remaining > 0:
        cost = reading.cost
        if cost is None:
            cost = amount_of(call.amounts, metric) or 0
        text += f", this call needs {quantity_text(metric, cost)}"
    if reading.resets_at is not None and reading.resets_at > now:
        text += f", resets in {span_until(reading.resets_at, now)}"
    return text


def block_message(block: BlockView, now: datetime) -> str:
    """Say who or what blocks, why, and until when."""
    lead = "Revoked" if block.kind == "revoke" else "Blocked"
    if block.kind == "person":
        lead = "Blocked by a person"
    text = f"{lead}: {block.reason}" if block.reason else lead
    if block.kind != "revoke" and block.ends_at is not None and block.ends_at > now:
        text += f", ends in {span_until(block.ends_at, now)}"
    return text


def message_without_figures(decision: Decision, now: datetime) -> str:
    """Return a message that tells nothing of anybody's spending (G7, H2)."""
    text = PLAIN_MESSAGES[decision.reason_code]
    if decision.retry_at is None or decision.retry_at <= now:
        return text
    return f"{text}, try again in {span_until(decision.retry_at, now)}"
