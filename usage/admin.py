"""The admin's pages of what happened. All of it is read; none of it is edited."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.administration import Deed, FactAdmin, ServiceAdmin, service_action
from usage.models import (
    Adjustment,
    Conversation,
    ConversationSeen,
    Counter,
    EventId,
    FirstAnswer,
    HourlyRollup,
    Message,
    Price,
    Reservation,
    RollupProgress,
    SummaryZone,
    UsageEvent,
    UsageSummary,
)
from usage.prices import create_price, delete_price, update_price

_MICROS = 1_000_000


@admin.display(description=_("cost (USD)"), ordering="cost")
def dollars(row: Any) -> str:
    """Show micro-USD as dollars; a dash where no price was known."""
    return "–" if row.cost is None else f"{row.cost / _MICROS:,.6f}"


@admin.register(UsageEvent)
class UsageEventAdmin(FactAdmin):
    """What each call consumed."""

    list_display = ["public_id", "account", "bot", "user", "model", "tokens"]
    list_display += ["messages", "calls", dollars, "occurred_at"]
    list_filter = ["overrun", "estimated", "account"]
    list_select_related = ["account", "bot"]
    search_fields = ["=id", "=client_id", "=user", "bot__name"]
    date_hierarchy = "occurred_at"
    ordering = ["-id"]


@admin.register(EventId)
class EventIdAdmin(FactAdmin):
    """Ids that were used, so that a repeat is known."""

    list_display = ["client_id", "source", "account", "event_id", "created_at"]
    list_filter = ["account"]
    list_select_related = ["account"]
    search_fields = ["=client_id"]
    date_hierarchy = "created_at"
    ordering = ["-created_at", "id"]


@admin.register(FirstAnswer)
class FirstAnswerAdmin(FactAdmin):
    """Answers that an Idempotency-Key may ask for again."""

    list_display = ["id", "account", "status", "created_at"]
    list_filter = ["account"]
    list_select_related = ["account"]
    search_fields = ["=id"]
    date_hierarchy = "created_at"
    ordering = ["-created_at", "id"]


@admin.register(Counter)
class CounterAdmin(FactAdmin):
    """What limits have counted. Costs are in micro-USD."""

    list_display = ["policy", "account", "metric", "subject_key", "kind"]
    list_display += ["window_start", "window_end", "used", "held"]
    list_filter = ["metric", "kind", "account"]
    list_select_related = ["account", "policy"]
    search_fields = ["policy__name", "subject_key", "id"]
    date_hierarchy = "window_start"
    ordering = ["-updated_at", "id"]


@admin.register(Adjustment)
class AdjustmentAdmin(FactAdmin):
    """What resets, clears and grants added to counters."""

    list_display = ["created_at", "account", "policy", "metric", "amount", "kind"]
    list_display += ["actor_label"]
    list_filter = ["kind", "metric", "account"]
    list_select_related = ["account", "policy"]
    search_fields = ["policy__name", "actor_label", "reason"]
    date_hierarchy = "created_at"
    ordering = ["-id"]


@admin.register(Reservation)
class ReservationAdmin(FactAdmin):
    """Holds, open and ended."""

    list_display = ["public_id", "account", "bot", "state", "created_at", "expires_at"]
    list_filter = ["state", "dispatched", "account"]
    list_select_related = ["account", "bot"]
    search_fields = ["=id", "=user", "bot__name"]
    date_hierarchy = "created_at"
    ordering = ["-id"]


@admin.register(Conversation)
class ConversationAdmin(FactAdmin):
    """Conversations; what was said is not shown here."""

    list_display = ["public_id", "account", "bot", "user", "started_at"]
    list_display += ["last_activity_at"]
    list_filter = ["account"]
    list_select_related = ["account", "bot"]
    search_fields = ["=id", "=external_id", "=user", "bot__name"]
    date_hierarchy = "last_activity_at"
    ordering = ["-id"]
    fields = ["public_id", "account", "bot", "external_id", "user", "started_at"]
    fields += ["last_activity_at", "created_at"]


@admin.register(Message)
class MessageAdmin(FactAdmin):
    """Messages, without their text: that is for the account's own people."""

    list_display = ["public_id", "account", "conversation_id", "role", "tokens"]
    list_display += ["created_at"]
    list_filter = ["role", "account"]
    list_select_related = ["account"]
    search_fields = ["=id", "=conversation__id"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    fields = ["public_id", "account", "conversation_id", "role", "tokens"]
    fields += ["created_at"]


@admin.register(ConversationSeen)
class ConversationSeenAdmin(FactAdmin):
    """Digests of conversations that have been counted."""

    list_display = ["id", "account"]
    list_filter = ["account"]
    list_select_related = ["account"]
    search_fields = ["=id"]
    ordering = ["id"]


@service_action(
    description=_("Delete prices"),
    question=_("The maintained list of prices holds for these models again."),
    done=_("deleted"),
)
def delete(price: Price, deed: Deed) -> None:
    """Delete accounts' own prices."""
    delete_price(price=price, actor=deed.actor, now=deed.now, reason=deed.reason)


@admin.register(Price)
class PriceAdmin(ServiceAdmin):
    """Accounts' own prices, in micro-USD per million tokens."""

    list_display = ["model", "account", "input", "output", "total", "updated_at"]
    list_filter = ["account"]
    list_select_related = ["account"]
    search_fields = ["model"]
    autocomplete_fields = ["account"]
    ordering = ["account", "model"]
    fields = ["account", "model", "input", "output", "total"]
    actions = [delete]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Price | None = None
    ) -> list[str]:
        """A price stays with its account."""
        return [] if obj is None else ["account"]

    def write(
        self, row: Price, changes: dict[str, Any], deed: Deed, *, new: bool
    ) -> Price:
        """Save by the service."""
        if not new:
            return update_price(
                price=row, changes=changes, actor=deed.actor, now=deed.now
            )
        return create_price(
            account=row.account,
            model=row.model,
            input=row.input,
            output=row.output,
            total=row.total,
            actor=deed.actor,
            now=deed.now,
        )


@admin.register(HourlyRollup)
class HourlyRollupAdmin(FactAdmin):
    """An hour's usage of one combination."""

    list_display = ["hour", "account", "bot", "user", "model", "events", "tokens"]
    list_display += ["calls", dollars]
    list_filter = ["account"]
    list_select_related = ["account", "bot"]
    search_fields = ["=user", "model", "bot__name"]
    date_hierarchy = "hour"
    ordering = ["-hour", "id"]


@admin.register(UsageSummary)
class UsageSummaryAdmin(FactAdmin):
    """What one bot, user or key used in an hour, a day or a month."""

    list_display = ["start", "grain", "account", "dimension", "value", "model"]
    list_display += ["events", "tokens", "calls", dollars]
    list_filter = ["grain", "dimension", "account"]
    list_select_related = ["account"]
    search_fields = ["=value", "model"]
    date_hierarchy = "start"
    ordering = ["-start", "id"]


@admin.register(SummaryZone)
class SummaryZoneAdmin(FactAdmin):
    """The zones that summaries are in."""

    list_display = ["account", "zone"]
    list_select_related = ["account"]
    search_fields = ["=zone", "account__slug"]
    ordering = ["account"]


@admin.register(RollupProgress)
class RollupProgressAdmin(FactAdmin):
    """How far the rollups have read."""

    list_display = ["horizon", "updated_at"]
    search_fields = ["=horizon"]
    ordering = ["id"]
