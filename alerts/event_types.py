"""What endpoints and hooks can be told of: the types, each with what it means.

Pure. A type never changes its meaning; what is new gets a type of its own.
"""

from typing import Final


def _(text: str) -> str:
    """Mark a text for translators; programs read it in English."""
    return text


ALERT_OPENED: Final = "alert.opened"
ALERT_RESOLVED: Final = "alert.resolved"
POLICY_TRIGGERED: Final = "policy.triggered"
POLICY_RESET: Final = "policy.reset"
BOT_BLOCKED: Final = "bot.blocked"
BOT_UNBLOCKED: Final = "bot.unblocked"
BOT_REVOKED: Final = "bot.revoked"
BOT_RESTORED: Final = "bot.restored"
DECISION_DENIED: Final = "decision.denied"
RETENTION_RUN_COMPLETED: Final = "retention.run.completed"
WEBHOOK_DISABLED: Final = "webhook.disabled"
WEBHOOK_TEST: Final = "webhook.test"

EVENT_TYPES: Final[dict[str, str]] = {
    ALERT_OPENED: _("An alert was opened, of whatever kind and step."),
    ALERT_RESOLVED: _("An alert is over: its window ended, or its cause is gone."),
    POLICY_TRIGGERED: _("A limit was reached or refused its first call in a window."),
    POLICY_RESET: _("Somebody reset counters of a policy, or cleared a block."),
    BOT_BLOCKED: _("A block began: a policy's or a person's."),
    BOT_UNBLOCKED: _("A block ended, or somebody lifted it."),
    BOT_REVOKED: _("A bot lost the right to call: by a policy or a person."),
    BOT_RESTORED: _("A person made a revoked or disabled bot active again."),
    DECISION_DENIED: _("A call was refused. There may be many of these."),
    RETENTION_RUN_COMPLETED: _("A retention run ended and left its receipt."),
    WEBHOOK_DISABLED: _("An endpoint failed for so long that it was disabled."),
    WEBHOOK_TEST: _("Somebody asked for a test; it goes to that endpoint alone."),
}
# Sent on request alone, so nobody has to subscribe to it.
SUBSCRIBABLE: Final = tuple(name for name in EVENT_TYPES if name != WEBHOOK_TEST)
EVERY_TYPE: Final = "*"
