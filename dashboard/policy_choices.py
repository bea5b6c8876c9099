"""What the forms of policies offer to choose from, in people's words."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from accounts.models import Bot, Project
from alerts.models import Webhook

# The words are lazy: they are said in the language of whoever looks.
Choices = Sequence[tuple[Any, Any]]

METRIC_LABELS: Final = {
    "tokens": _("Tokens"),
    "input_tokens": _("Input tokens"),
    "output_tokens": _("Output tokens"),
    "messages": _("Messages"),
    "conversations": _("Conversations"),
    "calls": _("Calls"),
    "cost": _("Cost in US dollars"),
}
WINDOWS: Final = [
    ("hour", _("each hour")),
    ("day", _("each day")),
    ("week", _("each week")),
    ("month", _("each month")),
    ("quarter", _("each quarter")),
    ("year", _("each year")),
    ("rolling", _("any span of the length below (rolling)")),
    ("fixed", _("the length below, from the first call")),
    ("lifetime", _("all time")),
]
SPAN_UNITS: Final = [
    ("60", _("minutes")),
    ("3600", _("hours")),
    ("86400", _("days")),
    ("1", _("seconds")),
]
WEEKDAYS: Final = [
    ("1", _("Monday")),
    ("2", _("Tuesday")),
    ("3", _("Wednesday")),
    ("4", _("Thursday")),
    ("5", _("Friday")),
    ("6", _("Saturday")),
    ("7", _("Sunday")),
]
ROLLOUT: Final = [
    ("enforce", _("Active: its actions take effect")),
    ("shadow", _("Evaluate (shadow): count and report only, refuse nothing")),
    ("off", _("Off: not evaluated")),
]
RETENTION_ROLLOUT: Final = [
    ("enforce", _("Active: what is due is deleted")),
    ("shadow", _("Evaluate (shadow): say what would be deleted, delete nothing")),
    ("off", _("Off: not evaluated")),
]
CONTENT_ROLLOUT: Final = [
    ("enforce", _("Active: what it finds is redacted, refused or noted")),
    ("shadow", _("Evaluate (shadow): note what it finds, change nothing")),
    ("off", _("Off: not evaluated")),
]
SUBJECTS: Final = [
    ("project", _("project")),
    ("bot", _("bot")),
    ("user", _("user")),
    ("model", _("model")),
]
FAIL_MODES: Final = [
    ("closed", _("refuse the call")),
    ("open", _("let the call pass")),
]
UNPRICED: Final = [
    ("deny", _("is refused by cost limits")),
    ("allow", _("passes")),
]
TARGETS: Final = [
    ("conversations", _("conversations with their messages")),
    ("message_text", _("the text of messages, not who wrote when")),
    ("usage_events", _("usage events")),
    ("decisions", _("decision records")),
]
DIRECTIONS: Final = [
    ("both", _("prompts and answers")),
    ("request", _("prompts")),
    ("response", _("answers")),
]
CONTENT_ACTIONS: Final = [
    ("redact", _("Redact: take it out, let the rest pass")),
    ("deny", _("Refuse the call")),
    ("warn", _("Warn: note it, change nothing")),
]
CATEGORIES: Final = [
    ("email", _("e-mail addresses")),
    ("phone", _("telephone numbers")),
    ("card", _("card numbers")),
    ("iban", _("bank accounts (IBAN)")),
    ("national_id", _("national ids")),
    ("ip", _("IP addresses")),
    ("secrets", _("secrets and keys")),
]


def rows_of(rows: Iterable[Bot | Project], everything: Any) -> Choices:
    """Return rows as choices, after the one that means all of them."""
    return [("", everything), *((row.public_id, row.name) for row in rows)]


def endpoints_of(webhooks: Iterable[Webhook]) -> Choices:
    """Return webhook endpoints as choices."""
    return [(each.public_id, each.description or each.url) for each in webhooks]
