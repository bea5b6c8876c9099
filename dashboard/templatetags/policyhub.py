"""What templates say again and again: icons, moments, statuses and amounts."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_noop as _

from accounts.saying import say
from dashboard import amounts
from dashboard.browsers import browser_name
from dashboard.codes import act, deed, words
from dashboard.themes import theme_of
from policies.rules import sentence

register = template.Library()

CENT = 10_000  # micro-USD
# How a state is shown: always an icon and a word, never colour alone.
STATUSES: Mapping[str, tuple[str, str, str]] = {
    "active": ("good", "circle-check", _("Active")),
    "triggered": ("bad", "octagon-alert", _("Triggered")),
    "disabled": ("", "circle-off", _("Disabled")),
    "archived": ("", "archive", _("Archived")),
    "paused": ("warn", "circle-pause", _("Paused")),
    "throttled": ("warn", "gauge", _("Throttled")),
    "revoked": ("bad", "ban", _("Revoked")),
    "expired": ("", "clock", _("Expired")),
    "enforce": ("good", "shield", _("Enforced")),
    "shadow": ("calm", "eye", _("Shadow")),
    "off": ("", "circle-off", _("Off")),
    "warning": ("warn", "triangle-alert", _("Warning")),
    "breached": ("bad", "octagon-alert", _("Breached")),
    "resolved": ("good", "circle-check", _("Resolved")),
    "acknowledged": ("calm", "check", _("Acknowledged")),
    "snoozed": ("calm", "clock", _("Snoozed")),
    "pending": ("calm", "hourglass", _("Waiting")),
    "sent": ("good", "send", _("Sent")),
    "failed": ("bad", "circle-x", _("Failed")),
    "held": ("calm", "inbox", _("In a digest")),
    "redirected": ("warn", "users", _("To the owners")),
    "running": ("calm", "circle-play", _("Running")),
    "completed": ("good", "circle-check", _("Completed")),
    "stopped": ("", "circle-off", _("Stopped")),
    "allow": ("good", "circle-check", _("Allowed")),
    "deny": ("bad", "ban", _("Refused")),
    "would-deny": ("calm", "eye", _("Would refuse")),
    "lifted": ("", "rotate-ccw", _("Lifted")),
    "ended": ("", "clock", _("Ended")),
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw an icon of the sprite; the words beside it say what it means."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false">'
        '<use href="{}#{}"></use></svg>',
        static("policyhub/icons.svg"),
        name,
    )


@register.simple_tag
def status(word: str, text: str = "") -> SafeString:
    """Show a state as an icon with its word; `text` replaces the word."""
    tone, name, label = STATUSES.get(word, ("", "info", word.replace("_", " ")))
    return format_html(
        '<span class="tag {}">{}{}</span>', tone, icon(name), text or gettext(label)
    )


@register.simple_tag
def moment(value: datetime | None, form: str = "minute") -> SafeString | str:
    """Show a moment in the account's zone, with UTC in the title.

    `form` is minute, second or day.
    """
    if value is None:
        return "—"
    local = timezone.localtime(value)
    shapes = {
        # Translators: how moments are written, in Django's date format.
        "minute": gettext("j M Y, H:i"),
        "second": gettext("j M Y, H:i:s"),
        "day": gettext("j M Y"),
    }
    utc = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        date_format(local, shapes[form]),
    )


@register.simple_tag
def instant(text: str) -> SafeString | str:
    """Show a moment that was kept as text, to the second."""
    return moment(datetime.fromisoformat(text), "second")


@register.simple_tag
def until(value: datetime, now: datetime) -> SafeString:
    """Say how long it is until a moment, with the moment in the title."""
    local = date_format(timezone.localtime(value), gettext("j M Y, H:i"))
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{local} ({value.astimezone(UTC):%Y-%m-%d %H:%M} UTC)",
        amounts.span_until(value, now),
    )


@register.filter
def amount(value: int | None, metric: str) -> str:
    """Show an amount with its unit: 1,000 tokens, $12.50."""
    return "—" if value is None else amounts.amount_text(metric, value)


@register.filter
def quantity(value: int | None, metric: str) -> str:
    """Show an amount without its unit: 1,000, $12.50."""
    return "—" if value is None else amounts.quantity_text(metric, value)


@register.filter
def brief(value: int, metric: str) -> str:
    """Show an amount without its unit, and dollars in whole cents, rounded down.

    Down, so that what is not yet spent never looks spent.
    """
    if metric != "cost" or value < CENT:
        return quantity(value, metric)
    return amounts.dollars(value - value % CENT)


@register.filter
def unit(metric: str) -> str:
    """Name what a metric counts; cost carries its unit in the amount."""
    return "" if metric == "cost" else amounts.unit_text(metric, 2)


register.filter("words", words)
register.filter("deed", deed)
register.filter("act", act)
register.filter("browser", browser_name)


@register.simple_tag
def rows_of(table: str, count: int) -> str:
    """Say how many rows of a table, as a receipt names it: 2 conversations."""
    number = amounts.number_text(count)
    match table:
        case "usage_conversation" | "usage_message":
            metric = table.removeprefix("usage_") + "s"
            return f"{number} {amounts.unit_text(metric, count)}"
        case "usage_usageevent":
            told = ngettext("%(number)s usage event", "%(number)s usage events", count)
            return told % {"number": number}
        case "audit_decisionrecord":
            told = ngettext("%(number)s decision", "%(number)s decisions", count)
            return told % {"number": number}
    return f"{number} {words(table.partition('_')[2].replace('.', ' '))}"


@register.filter
def said(text: str) -> str:
    """Say in the reader's language what a service wrote in English."""
    return say(text)


@register.filter
def beside(text: str, name: str) -> str:
    """Leave out the name in front of a text that stands beside that name already."""
    rest = text.removeprefix(f"{name}: ")
    # An address is written as it is, also at the beginning.
    return rest if "@" in rest.split(" ", 1)[0] else rest[:1].upper() + rest[1:]


@register.simple_tag
def rule(document: Mapping[str, Any], names: Mapping[str, str] | None = None) -> str:
    """Say a policy's rule in one sentence."""
    return sentence(document, names or {}, amounts.language())


@register.simple_tag(takes_context=True)
def theme(context: template.RequestContext) -> SafeString | str:
    """Give `<html>` the theme that the person chose; without a choice, nothing."""
    chosen = theme_of(context.get("request"))
    return format_html(' data-theme="{}"', chosen) if chosen else ""


@register.simple_tag
def named(public_id: str, names: Mapping[str, str]) -> str:
    """Show what people call a thing, or its id if it has gone."""
    return names.get(public_id, public_id)


@register.simple_tag
def document(value: Mapping[str, Any]) -> str:
    """Show a document as people read JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def plain(value: object) -> str:
    """Show a value of a change record: text as it is, the rest as JSON."""
    if value is None or value == "":
        return "—"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
