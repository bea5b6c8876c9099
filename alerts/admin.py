"""The admin's pages of alerts, their deliveries, and who gets them."""

from django.contrib import admin
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.administration import Deed, FactAdmin, service_action
from alerts import services
from alerts.models import (
    Alert,
    Delivery,
    MailHour,
    Notice,
    Recipient,
    Undeliverable,
    Webhook,
)
from alerts.services import recipients


@service_action(description=_("Acknowledge alerts"), done=_("acknowledged"))
def acknowledge(alert: Alert, deed: Deed) -> None:
    """Note that somebody has seen them."""
    services.acknowledge(alert=alert, actor=deed.actor, now=deed.now)


@service_action(
    description=_("Resend"),
    question=_("These messages go out once more, to the same recipients."),
    done=_("put back into the outbox"),
)
def resend(delivery: Delivery, deed: Deed) -> None:
    """Send messages once more."""
    services.resend(delivery=delivery, actor=deed.actor, now=deed.now)


@admin.register(Alert)
class AlertAdmin(FactAdmin):
    """What people were told about."""

    list_display = ["created_at", "account", "kind", "policy_name", "step", "state"]
    list_display += ["message", "acknowledged_at"]
    list_filter = ["state", "kind", "step", "late", "enforced", "account"]
    list_select_related = ["account"]
    search_fields = ["policy_name", "message", "=policy_id", "=bot_id", "=id"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    actions = [acknowledge]


@admin.register(Delivery)
class DeliveryAdmin(FactAdmin):
    """The outbox: what was sent to whom, or not yet."""

    list_display = ["created_at", "account", "channel", "to", "alert", "state"]
    list_display += ["attempts", "sent_at", "last_error"]
    list_filter = ["state", "channel", "account"]
    list_select_related = ["account", "alert"]
    search_fields = ["recipient", "alert__policy_name", "=id"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    actions = [resend]

    @admin.display(description=_("recipient"), ordering="recipient")
    def to(self, delivery: Delivery) -> str:
        """Name the recipient; an empty one stands for the owners."""
        return delivery.recipient or gettext("the owners")


@service_action(
    description=_("Disable"),
    question=_("Nothing is sent to these endpoints until somebody enables them."),
    done=_("disabled"),
)
def disable(webhook: Webhook, deed: Deed) -> None:
    """Send nothing more to endpoints."""
    _switch(webhook, deed, enabled=False)


@service_action(description=_("Enable"), done=_("enabled"))
def enable(webhook: Webhook, deed: Deed) -> None:
    """Send to endpoints again, their failures forgotten."""
    _switch(webhook, deed, enabled=True)


def _switch(webhook: Webhook, deed: Deed, *, enabled: bool) -> None:
    services.update_webhook(
        webhook=webhook, changes={"enabled": enabled}, actor=deed.actor, now=deed.now
    )


@admin.register(Webhook)
class WebhookAdmin(FactAdmin):
    """Endpoints, without the secrets that sign for them."""

    list_display = ["url", "account", "enabled", "failing_since", "last_success_at"]
    list_display += ["disabled_reason", "created_at"]
    list_filter = ["enabled", "account"]
    list_select_related = ["account"]
    search_fields = ["url", "description", "=id"]
    fields = ["account", "url", "description", "event_types", "enabled"]
    fields += ["disabled_at", "disabled_reason", "failing_since", "last_success_at"]
    fields += ["created_by", "created_at", "updated_at"]
    ordering = ["-id"]
    actions = [enable, disable]


@admin.register(Recipient)
class RecipientAdmin(FactAdmin):
    """Addresses outside an account that were asked whether they want its mail."""

    list_display = ["address", "account", "asked_at", "confirmed_at"]
    list_filter = ["account"]
    list_select_related = ["account"]
    search_fields = ["address"]
    ordering = ["-id"]


@service_action(
    description=_("Send mail there again"),
    question=_("These addresses bounced or complained; mail goes there again."),
    done=_("get mail again"),
)
def mail_again(marked: Undeliverable, deed: Deed) -> None:
    """Try addresses again."""
    recipients.mark_deliverable(marked=marked)


@admin.register(Undeliverable)
class UndeliverableAdmin(FactAdmin):
    """Addresses that no mail goes to any more."""

    list_display = ["address", "reason", "detail", "since"]
    list_filter = ["reason"]
    search_fields = ["address"]
    ordering = ["-since", "-id"]
    actions = [mail_again]


@admin.register(Notice)
class NoticeAdmin(FactAdmin):
    """What endpoints and hooks were told."""

    list_display = ["happened_at", "account", "type", "key", "dispatched_at"]
    list_filter = ["type", "account"]
    list_select_related = ["account"]
    search_fields = ["key", "=id"]
    date_hierarchy = "happened_at"
    ordering = ["-id"]


@admin.register(MailHour)
class MailHourAdmin(FactAdmin):
    """How many mails an account had in an hour."""

    list_display = ["hour", "account", "taken"]
    list_filter = ["account"]
    list_select_related = ["account"]
    search_fields = ["account__name"]
    ordering = ["-hour", "-id"]
