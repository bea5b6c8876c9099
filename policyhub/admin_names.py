"""What the admin calls the apps and their tables, for translators.

The names are set when Django starts, in one place: written into each model they would
be migrations that change nothing.
"""

from collections.abc import Mapping
from typing import Final

from django.apps import apps
from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

APPS: Final[Mapping[str, Promise]] = {
    "accounts": pgettext_lazy("app", "Accounts"),
    "alerts": pgettext_lazy("app", "Alerts"),
    "api": pgettext_lazy("app", "API"),
    "audit": pgettext_lazy("app", "Audit"),
    "gateway": pgettext_lazy("app", "Gateway"),
    "policies": pgettext_lazy("app", "Policies"),
    "retention": pgettext_lazy("app", "Retention"),
    "usage": pgettext_lazy("app", "Usage"),
}
# One of them, and several.
MODELS: Final[Mapping[str, tuple[Promise, Promise]]] = {
    "accounts.Account": (
        pgettext_lazy("model", "account"),
        pgettext_lazy("model", "accounts"),
    ),
    "accounts.Person": (
        pgettext_lazy("model", "person"),
        pgettext_lazy("model", "people"),
    ),
    "accounts.Invitation": (
        pgettext_lazy("model", "invitation"),
        pgettext_lazy("model", "invitations"),
    ),
    "accounts.Member": (
        pgettext_lazy("model", "member"),
        pgettext_lazy("model", "members"),
    ),
    "accounts.Project": (
        pgettext_lazy("model", "project"),
        pgettext_lazy("model", "projects"),
    ),
    "accounts.Bot": (
        pgettext_lazy("model", "bot"),
        pgettext_lazy("model", "bots"),
    ),
    "accounts.ApiKey": (
        pgettext_lazy("model", "API key"),
        pgettext_lazy("model", "API keys"),
    ),
    "accounts.ChangeRecord": (
        pgettext_lazy("model", "change"),
        pgettext_lazy("model", "changes"),
    ),
    "accounts.Heartbeat": (
        pgettext_lazy("model", "heartbeat"),
        pgettext_lazy("model", "heartbeats"),
    ),
    "accounts.SavedView": (
        pgettext_lazy("model", "saved view"),
        pgettext_lazy("model", "saved views"),
    ),
    "alerts.Alert": (
        pgettext_lazy("model", "alert"),
        pgettext_lazy("model", "alerts"),
    ),
    "alerts.Delivery": (
        pgettext_lazy("model", "delivery"),
        pgettext_lazy("model", "deliveries"),
    ),
    "alerts.Webhook": (
        pgettext_lazy("model", "webhook"),
        pgettext_lazy("model", "webhooks"),
    ),
    "alerts.Recipient": (
        pgettext_lazy("model", "recipient"),
        pgettext_lazy("model", "recipients"),
    ),
    "alerts.Undeliverable": (
        pgettext_lazy("model", "undeliverable address"),
        pgettext_lazy("model", "undeliverable addresses"),
    ),
    "alerts.Notice": (
        pgettext_lazy("model", "notice"),
        pgettext_lazy("model", "notices"),
    ),
    "alerts.MailHour": (
        pgettext_lazy("model", "mail hour"),
        pgettext_lazy("model", "mail hours"),
    ),
    "api.IdempotentAnswer": (
        pgettext_lazy("model", "idempotent answer"),
        pgettext_lazy("model", "idempotent answers"),
    ),
    "audit.DecisionRecord": (
        pgettext_lazy("model", "decision"),
        pgettext_lazy("model", "decisions"),
    ),
    "gateway.Upstream": (
        pgettext_lazy("model", "upstream"),
        pgettext_lazy("model", "upstreams"),
    ),
    "policies.Policy": (
        pgettext_lazy("model", "policy"),
        pgettext_lazy("model", "policies"),
    ),
    "policies.PolicyRevision": (
        pgettext_lazy("model", "revision"),
        pgettext_lazy("model", "revisions"),
    ),
    "policies.Block": (
        pgettext_lazy("model", "block"),
        pgettext_lazy("model", "blocks"),
    ),
    "retention.PruneRun": (
        pgettext_lazy("model", "run"),
        pgettext_lazy("model", "runs"),
    ),
    "retention.LegalHold": (
        pgettext_lazy("model", "legal hold"),
        pgettext_lazy("model", "legal holds"),
    ),
    "retention.ClockReading": (
        pgettext_lazy("model", "clock reading"),
        pgettext_lazy("model", "clock readings"),
    ),
    "usage.UsageEvent": (
        pgettext_lazy("model", "usage event"),
        pgettext_lazy("model", "usage events"),
    ),
    "usage.EventId": (
        pgettext_lazy("model", "event id"),
        pgettext_lazy("model", "event ids"),
    ),
    "usage.FirstAnswer": (
        pgettext_lazy("model", "first answer"),
        pgettext_lazy("model", "first answers"),
    ),
    "usage.Counter": (
        pgettext_lazy("model", "counter"),
        pgettext_lazy("model", "counters"),
    ),
    "usage.Adjustment": (
        pgettext_lazy("model", "adjustment"),
        pgettext_lazy("model", "adjustments"),
    ),
    "usage.Reservation": (
        pgettext_lazy("model", "reservation"),
        pgettext_lazy("model", "reservations"),
    ),
    "usage.Conversation": (
        pgettext_lazy("model", "conversation"),
        pgettext_lazy("model", "conversations"),
    ),
    "usage.Message": (
        pgettext_lazy("model", "message"),
        pgettext_lazy("model", "messages"),
    ),
    "usage.ConversationSeen": (
        pgettext_lazy("model", "seen conversation"),
        pgettext_lazy("model", "seen conversations"),
    ),
    "usage.Price": (
        pgettext_lazy("model", "price"),
        pgettext_lazy("model", "prices"),
    ),
    "usage.HourlyRollup": (
        pgettext_lazy("model", "hourly rollup"),
        pgettext_lazy("model", "hourly rollups"),
    ),
    "usage.UsageSummary": (
        pgettext_lazy("model", "usage summary"),
        pgettext_lazy("model", "usage summaries"),
    ),
    "usage.SummaryZone": (
        pgettext_lazy("model", "summary zone"),
        pgettext_lazy("model", "summary zones"),
    ),
    "usage.RollupProgress": (
        pgettext_lazy("model", "rollup progress"),
        pgettext_lazy("model", "rollup progress"),
    ),
}


def give_names() -> None:
    """Name the apps and the tables of the house in the reader's language."""
    for label, name in APPS.items():
        apps.get_app_config(label).verbose_name = name  # type: ignore[assignment]
    for label, (one, several) in MODELS.items():
        options = apps.get_model(label)._meta  # noqa: SLF001
        options.verbose_name, options.verbose_name_plural = one, several
