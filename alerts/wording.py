"""Alerts in plain words: what it is, what PolicyHub did about it, what to do now."""

from datetime import UTC

from alerts.models import Alert

LIMIT = "limit"
BLOCK = "block"
UNBLOCK = "unblock"
REVOKE = "revoke"
FORECAST = "forecast"
DELIVERY_FAILING = "delivery_failing"
RETENTION_PAUSED = "retention_paused"
RETENTION_OVERDUE = "retention_overdue"

_STATES = {
    Alert.State.WARNING: "Warning",
    Alert.State.BREACHED: "Limit reached",
    Alert.State.RESOLVED: "Resolved",
}
_HEADLINES = {
    BLOCK: "Calls are blocked",
    UNBLOCK: "Calls may go on",
    REVOKE: "A bot was revoked",
    FORECAST: "A limit is likely to be reached",
    DELIVERY_FAILING: "A webhook endpoint was disabled",
    RETENTION_PAUSED: "Pruning waits for you",
    RETENTION_OVERDUE: "Pruning is overdue",
}
_NOTHING_DELETED = "Nothing was deleted that the policy does not cover."
_DONE = {
    BLOCK: "The calls that the block covers are refused until it ends or is lifted.",
    UNBLOCK: "The block was lifted; calls are decided by the policies again.",
    REVOKE: "The bot's calls are refused and the keys bound to it no longer work.",
    FORECAST: "Nothing was stopped. This is an estimate from the hours before.",
    DELIVERY_FAILING: "Nothing more is sent to this endpoint.",
    RETENTION_PAUSED: _NOTHING_DELETED,
    RETENTION_OVERDUE: _NOTHING_DELETED,
}
_ADVICE = {
    BLOCK: "If the calls should go on, clear the block on the policy's page.",
    UNBLOCK: "Nothing, unless you did not expect it.",
    REVOKE: "If the bot should go on, restore it on its page and give it a new key.",
    FORECAST: "Raise the limit, or slow the bots down, before it is reached.",
    DELIVERY_FAILING: "Repair the endpoint, enable it, and send what failed again.",
    RETENTION_PAUSED: "Look at what would go, and confirm it or edit the policy.",
    RETENTION_OVERDUE: "Look at the retention page, which says what waits and why.",
}


def headline_of(alert: Alert) -> str:
    """Return in a few words what an alert is."""
    return _HEADLINES.get(alert.kind) or _STATES[Alert.State(alert.state)]


def done_about(alert: Alert) -> str:
    """Return in a sentence what PolicyHub did about it."""
    if alert.kind in _DONE:
        return _DONE[alert.kind]
    if alert.late:
        return (
            "The window had ended when this usage was reported, so nothing was stopped."
        )
    if not alert.enforced:
        return "The policy is not enforced for these calls, so nothing was stopped."
    if alert.step < 100:
        return (
            "This is an early warning. The limit is not reached, nothing was stopped."
        )
    if alert.used is not None and alert.used < (alert.threshold or 0):
        return "A call was refused because what is left does not suffice for it."
    return _stopped(alert)


def _stopped(alert: Alert) -> str:
    """Return what the policy's strongest action does once a limit is reached."""
    until = ""
    if alert.resets_at is not None:
        until = f" until {alert.resets_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if "revoke" in alert.actions:
        return "The bot was revoked: its calls are refused and its keys do not work."
    if "block" in alert.actions:
        return f"All calls that the policy covers are refused{until or ' from now on'}."
    if "throttle" in alert.actions:
        return f"Calls that do not fit any more are refused{until}."
    return "Nothing was stopped: the policy tells, and refuses nothing."


def advice_about(alert: Alert) -> str:
    """Return in a sentence what a reader may do."""
    if alert.kind in _ADVICE:
        return _ADVICE[alert.kind]
    if alert.late or not alert.enforced:
        return "Nothing has to be done. The alert's page shows what was used by whom."
    if alert.step < 100:
        return (
            "Look at what uses it up; raise the limit or slow the bots down if needed."
        )
    return (
        "Wait until it resets; or raise the limit, or reset it, on the policy's page."
    )
