"""Mails: an alert, a digest of several, whether somebody wants them, and tests.

What happened, what PolicyHub did, what to do, where to look. Nothing in them comes from
a prompt or an answer: an alert holds none.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override

from accounts.saying import say
from accounts.selectors import languages_of
from alerts.confirming import link_to_confirm, link_to_stop
from alerts.models import Alert, Delivery, Recipient
from alerts.wording import advice_about, done_about, headline_of

_SUBJECT_MAX = 180
_LISTED = 50
_FULL = 100


def letters(
    delivery: Delivery, addresses: Sequence[str]
) -> list[EmailMultiAlternatives]:
    """Return the messages of a delivery: one for each language of its readers."""
    readers: dict[str, list[str]] = {}
    languages = languages_of(account=delivery.account, addresses=addresses)
    for address in addresses:
        readers.setdefault(languages[address], []).append(address)
    return [
        compose(delivery, each, language=language, part=language if number else "")
        for number, (language, each) in enumerate(readers.items())
    ]


def compose(
    delivery: Delivery, addresses: Sequence[str], *, language: str = "", part: str = ""
) -> EmailMultiAlternatives:
    """Return a message of a delivery, the same at each attempt but for its date.

    `language` is that of the readers, else the account's; `part` tells the message
    from the delivery's others.
    """
    stop_link = link_to_stop(account=delivery.account, address=delivery.recipient)
    with override(language or delivery.account.language or settings.LANGUAGE_CODE):
        template, context = _content(delivery)
        context["stop_link"] = stop_link
        body = render_to_string(f"alerts/{template}.txt", context)
        page = render_to_string(f"alerts/{template}.html", context)
    name = f"{delivery.message_id}.{part}" if part else delivery.message_id
    message = EmailMultiAlternatives(
        subject=context["subject"],
        body=body,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=list(addresses),
        headers={
            "Message-ID": f"<{name}@policyhub>",
            "Auto-Submitted": "auto-generated",
            **_stopping(stop_link),
        },
    )
    message.attach_alternative(page, "text/html")
    return message


def _stopping(link: str) -> dict[str, str]:
    """Return the headers by which programs for mail offer to end it (RFC 8058)."""
    if not link:
        return {}
    one_click = "List-Unsubscribe=One-Click"
    return {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": one_click}


def _content(delivery: Delivery) -> tuple[str, dict[str, Any]]:
    if delivery.purpose == Delivery.Purpose.CONFIRMATION:
        return "confirmation", _confirmation(delivery)
    if delivery.purpose == Delivery.Purpose.TEST:
        return "test", _test(delivery)
    if delivery.purpose == Delivery.Purpose.DIGEST or delivery.alert is None:
        return "digest", _digest(delivery)
    return "mail", {**context_of(delivery.alert), "instead_of": _instead_of(delivery)}


def subject_of(alert: Alert) -> str:
    """Return the subject: one line, whatever the policy is called."""
    name = f": {say(alert.policy_name)}" if alert.policy_name else ""
    return _subject(f"{headline_of(alert)}{name}")


def one_line(text: str) -> str:
    """Return the text without anything that could end a header or turn it around.

    Control, format (such as right-to-left overrides) and separator characters become
    spaces, then runs of spaces become one.
    """
    kept = (" " if _is_unprintable(char) else char for char in text)
    return " ".join("".join(kept).split())


def link_of(alert: Alert) -> str:
    """Return the address of the alert's page."""
    return f"{_pages(alert.account.slug)}/alerts/{alert.public_id}/"


def context_of(alert: Alert) -> dict[str, Any]:
    """Return what the templates of the mail show."""
    return {
        "alert": alert,
        "subject": subject_of(alert),
        "headline": headline_of(alert),
        "account": one_line(alert.account.name),
        "policy": one_line(say(alert.policy_name)),
        "happened": one_line(say(alert.message)) or subject_of(alert),
        "did": done_about(alert),
        "advice": advice_about(alert),
        "gauge": gauge_of(alert),
        "resets_at": alert.resets_at,
        "link": link_of(alert),
    }


def gauge_of(alert: Alert) -> Mapping[str, Any] | None:
    """Return a bar in whole per cent: the widths of two cells, and a word for it."""
    if alert.used is None or not alert.threshold:
        return None
    percent = alert.used * 100 // alert.threshold
    full = min(max(percent, 0), _FULL)
    reached = alert.step == _FULL
    return {
        "percent": percent,
        "full": full,
        "rest": _FULL - full,
        "colour": "#b3261e" if reached else "#b26a00",
    }


def _instead_of(delivery: Delivery) -> list[str]:
    """Return whom the owners get a message for, with the reason."""
    if delivery.recipient or delivery.alert_id is None:
        return []
    siblings = Delivery.objects.filter(
        alert_id=delivery.alert_id, state=Delivery.State.REDIRECTED
    )
    return [one_line(say(sibling.last_error)) for sibling in siblings.order_by("id")]


def _digest(delivery: Delivery) -> dict[str, Any]:
    parts = Delivery.objects.filter(digest_id=delivery.id).select_related(
        "alert__account"
    )
    count = parts.count()
    account = one_line(delivery.account.name)
    subject = ngettext(
        "%(count)s more alert in %(account)s",
        "%(count)s more alerts in %(account)s",
        count,
    )
    alerts = [part.alert for part in parts.order_by("id")[:_LISTED] if part.alert]
    return {
        "subject": _subject(subject % {"count": count, "account": account}),
        "account": account,
        "count": count,
        "more": max(count - len(alerts), 0),
        "most": settings.POLICYHUB_MAILS_PER_HOUR,
        "rows": [context_of(alert) for alert in alerts],
        "link": f"{_pages(delivery.account.slug)}/alerts/",
    }


def _confirmation(delivery: Delivery) -> dict[str, Any]:
    recipient = Recipient.objects.filter(
        account_id=delivery.account_id, address__iexact=delivery.recipient
    ).first()
    account = one_line(delivery.account.name)
    return {
        "subject": _subject(
            _("Do you want alerts of %(account)s?") % {"account": account}
        ),
        "account": account,
        "address": one_line(delivery.recipient),
        "link": "" if recipient is None else link_to_confirm(recipient),
    }


def _test(delivery: Delivery) -> dict[str, Any]:
    account = one_line(delivery.account.name)
    return {
        "subject": _subject(
            _("A test for the alerts of %(account)s") % {"account": account}
        ),
        "account": account,
        "address": one_line(delivery.recipient),
        "link": f"{_pages(delivery.account.slug)}/alerts/",
    }


def _subject(text: str) -> str:
    return one_line(f"[PolicyHub] {text}")[:_SUBJECT_MAX]


def _pages(slug: str) -> str:
    return f"{settings.POLICYHUB_SITE_URL.rstrip('/')}/app/{quote(slug)}"


def _is_unprintable(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
