"""The admin's pages of alerts and their deliveries."""

from django.contrib import admin

from accounts.administration import Deed, FactAdmin, service_action
from alerts import services
from alerts.models import Alert, Delivery


@service_action(description="Acknowledge alerts", done="acknowledged")
def acknowledge(alert: Alert, deed: Deed) -> None:
    """Note that somebody has seen them."""
    services.acknowledge(alert=alert, actor=deed.actor, now=deed.now)


@service_action(
    description="Resend",
    question="These messages go out once more, to the same recipients.",
    done="put back into the outbox",
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

    @admin.display(description="recipient", ordering="recipient")
    def to(self, delivery: Delivery) -> str:
        """Name the recipient; an empty one stands for the owners."""
        return delivery.recipient or "the owners"
