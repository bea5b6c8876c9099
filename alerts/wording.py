"""Alerts in plain words: what it is, what PolicyHub did about it, what to do now.

In the language that is active: of the mail's reader, or of the page's.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from alerts.models import Alert

LIMIT = "limit"
BLOCK = "block"
UNBLOCK = "unblock"
REVOKE = "revoke"
FORECAST = "forecast"
DELIVERY_FAILING = "delivery_failing"
RETENTION_PAUSED = "retention_paused"
RETENTION_OVERDUE = "retention_overdue"
KINDS = (
    LIMIT,
    BLOCK,
    UNBLOCK,
    REVOKE,
    FORECAST,
    DELIVERY_FAILING,
    RETENTION_PAUSED,
    RETENTION_OVERDUE,
)

_STATES = {
    Alert.State.WARNING: _("Warning"),
    Alert.State.BREACHED: _("Limit reached"),
    Alert.State.RESOLVED: _("Resolved"),
}
_HEADLINES = {
    BLOCK: _("Calls are blocked"),
    UNBLOCK: _("Calls may go on"),
    REVOKE: _("A bot was revoked"),
    FORECAST: _("A limit is likely to be reached"),
    DELIVERY_FAILING: _("A webhook endpoint was disabled"),
    RETENTION_PAUSED: _("Pruning waits for you"),
    RETENTION_OVERDUE: _("Pruning is overdue"),
}
_DONE = {
    BLOCK: _("The calls that the block covers are refused until it ends or is lifted."),
    UNBLOCK: _("The block was lifted; calls are decided by the policies again."),
    REVOKE: _("The bot's calls are refused and the keys bound to it no longer work."),
    FORECAST: _("Nothing was stopped. This is an estimate from the hours before."),
    DELIVERY_FAILING: _("Nothing more is sent to this endpoint."),
    RETENTION_PAUSED: _("Nothing of it is deleted until somebody confirms it."),
    RETENTION_OVERDUE: _("Pruning is tried again every minute."),
}
_ADVICE = {
    BLOCK: _("If the calls should go on, clear the block on the policy's page."),
    UNBLOCK: _("Nothing, unless you did not expect it."),
    REVOKE: _("If the bot should go on, restore it on its page and give it a new key."),
    FORECAST: _("Raise the limit, or slow the bots down, before it is reached."),
    DELIVERY_FAILING: _("Repair the endpoint, enable it, and send what failed again."),
    RETENTION_PAUSED: _("Look at what would go, and confirm it or edit the policy."),
    RETENTION_OVERDUE: _("Look at the retention page, which says what waits and why."),
}


def headline_of(alert: Alert) -> str:
    """Return in a few words what an alert is."""
    return gettext(_HEADLINES.get(alert.kind) or _STATES[Alert.State(alert.state)])


def in_utc(moment: datetime) -> str:
    """Write a moment as mails do: 2026-03-04 12:00 UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def done_about(alert: Alert, written: Callable[[datetime], str] = in_utc) -> str:
    """Return in a sentence what PolicyHub did about it.

    `written` writes a moment as its reader knows them.
    """
    if alert.kind in _DONE:
        return gettext(_DONE[alert.kind])
    if alert.late:
        return gettext(
            "The window had ended when this usage was reported, so nothing was stopped."
        )
    if not alert.enforced:
        return gettext(
            "The policy is not enforced for these calls, so nothing was stopped."
        )
    if alert.step < 100:
        return gettext(
            "This is an early warning. The limit is not reached, nothing was stopped."
        )
    if not _is_full(alert):
        return gettext(
            "A call was refused because what is left does not suffice for it."
        )
    return _stopped(alert, written)


def _is_full(alert: Alert) -> bool:
    """Say whether the limit was reached, and not only too near for one call."""
    return alert.used is None or alert.used >= (alert.threshold or 0)


def _stopped(alert: Alert, written: Callable[[datetime], str]) -> str:
    """Return what the policy's strongest action does once a limit is reached."""
    if "revoke" in alert.actions:
        return gettext(
            "The bot was revoked: its calls are refused and its keys do not work."
        )
    if alert.resets_at is None:
        until = ""
    else:
        moment = written(alert.resets_at)
        until = gettext(" until %(moment)s") % {"moment": moment}
    if "block" in alert.actions:
        # It lasts for as long as the policy says, and to the window's end at least.
        lasts = gettext(" at least until %(moment)s")
        until = lasts % {"moment": moment} if until else gettext(" from now on")
        told = gettext("All calls that the policy covers are refused%(until)s.")
        return told % {"until": until}
    if "throttle" in alert.actions:
        told = gettext("Calls that do not fit any more are refused%(until)s.")
        return told % {"until": until}
    return gettext("Nothing was stopped: the policy tells, and refuses nothing.")


def advice_about(alert: Alert) -> str:
    """Return in a sentence what a reader may do."""
    if alert.kind in _ADVICE:
        return gettext(_ADVICE[alert.kind])
    if alert.late or not alert.enforced:
        return gettext(
            "Nothing has to be done. The alert's page shows what was used by whom."
        )
    if alert.step < 100:
        return gettext(
            "Look at what uses it up; raise the limit or slow the bots down if needed."
        )
    if "revoke" in alert.actions and _is_full(alert):
        return gettext("If the bot should go on, restore it on its page.")
    if "block" in alert.actions and _is_full(alert):
        return gettext(
            "Wait until the block ends; or clear it, or raise the limit, on the"
            " policy's page."
        )
    return gettext(
        "Wait until it resets; or raise the limit, or reset it, on the policy's page."
    )
