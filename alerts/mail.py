"""An alert as an e-mail: what happened, what PolicyHub did, when it resets, where.

Nothing in it comes from a prompt or an answer: an alert holds none.
"""

import unicodedata
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from accounts.selectors import owner_emails
from alerts.models import Alert, Delivery

_SUBJECT_MAX = 180
_HEADLINES = {
    Alert.State.WARNING: "Warning",
    Alert.State.BREACHED: "Limit reached",
    Alert.State.RESOLVED: "Resolved",
}
_KIND_HEADLINES = {
    "retention_paused": "Pruning waits for you",
    "retention_overdue": "Pruning is overdue",
}


class NobodyToTell(Exception):
    """The account has no owner whom the message could reach."""


def recipients_of(delivery: Delivery) -> list[str]:
    """Return the addresses; those of the owners where no recipient is named.

    Raises NobodyToTell if there is none.
    """
    if delivery.recipient:
        return [delivery.recipient]
    owners = owner_emails(delivery.account)
    if not owners:
        raise NobodyToTell("the account has no active owner")
    return owners


def subject_of(alert: Alert) -> str:
    """Return the subject: one line, whatever the policy is called."""
    headline = _KIND_HEADLINES.get(alert.kind) or _HEADLINES[Alert.State(alert.state)]
    name = f": {alert.policy_name}" if alert.policy_name else ""
    return one_line(f"[PolicyHub] {headline}{name}")[:_SUBJECT_MAX]


def one_line(text: str) -> str:
    """Return the text without anything that could end a header or turn it around.

    Control, format (such as right-to-left overrides) and separator characters become
    spaces, then runs of spaces become one.
    """
    kept = (" " if _is_unprintable(char) else char for char in text)
    return " ".join("".join(kept).split())


def link_of(alert: Alert) -> str:
    """Return the address of the alert's page."""
    site = settings.POLICYHUB_SITE_URL.rstrip("/")
    return f"{site}/app/{quote(alert.account.slug)}/alerts/{alert.public_id}/"


def context_of(alert: Alert) -> dict[str, Any]:
    """Return what the templates of the mail show."""
    return {
        "alert": alert,
        "subject": subject_of(alert),
        "account": one_line(alert.account.name),
        "policy": one_line(alert.policy_name),
        "happened": one_line(alert.message) or subject_of(alert),
        "did": done_about(alert),
        "resets_at": alert.resets_at,
        "link": link_of(alert),
    }


def done_about(alert: Alert) -> str:
    """Return in a sentence what PolicyHub did about it."""
    if alert.kind != "limit":
        return "Nothing was deleted that the policy does not cover."
    if alert.late:
        return (
            "The window had ended when this usage was reported, so nothing was stopped."
        )
    if not alert.enforced:
        return "The policy is not enforced for these calls, so nothing was stopped."
    if alert.state == Alert.State.WARNING:
        return (
            "This is an early warning. The limit is not reached, nothing was stopped."
        )
    if alert.used is not None and alert.used < (alert.threshold or 0):
        return "A call was refused because what is left does not suffice for it."
    return "The policy's actions took effect with this usage."


def compose(delivery: Delivery) -> EmailMultiAlternatives:
    """Return the message of a delivery, the same at each attempt but for its date.

    Raises NobodyToTell when the account has no owner to send it to.
    """
    context = context_of(delivery.alert)
    message = EmailMultiAlternatives(
        subject=context["subject"],
        body=render_to_string("alerts/mail.txt", context),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=recipients_of(delivery),
        headers={
            "Message-ID": f"<{delivery.message_id}@policyhub>",
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(
        render_to_string("alerts/mail.html", context), "text/html"
    )
    return message


def _is_unprintable(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
