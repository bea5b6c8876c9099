"""The admin's pages of retention: receipts, which are read, and legal holds."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.administration import Deed, FactAdmin, service_action
from retention.holding import release_hold
from retention.models import ClockReading, LegalHold, PruneRun


@admin.register(PruneRun)
class PruneRunAdmin(FactAdmin):
    """What each run let go."""

    list_display = ["started_at", "account", "policy", "target", "cutoff", "state"]
    list_display += ["waiting_for", "due", "deleted", "held", "remaining", "trigger"]
    list_filter = ["state", "target", "account"]
    list_select_related = ["account", "policy"]
    search_fields = ["policy__name", "=id"]
    date_hierarchy = "started_at"
    ordering = ["-id"]


@service_action(
    description=_("Release"),
    question=_("What these holds keep is deleted by the next run if it is due."),
    done=_("released"),
)
def release(hold: LegalHold, deed: Deed) -> None:
    """Release legal holds."""
    release_hold(hold=hold, actor=deed.actor, reason=deed.reason, now=deed.now)


@admin.register(LegalHold)
class LegalHoldAdmin(FactAdmin):
    """What must not be deleted, why, and who answers for it."""

    list_display = ["created_at", "account", "kind", "ref", "owner", "until"]
    list_display += ["released_at"]
    list_filter = ["kind", "account"]
    list_select_related = ["account"]
    search_fields = ["ref", "reason", "owner"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    actions = [release]


@admin.register(ClockReading)
class ClockReadingAdmin(FactAdmin):
    """What the clocks read at the last run."""

    list_display = ["boot", "wall", "steady_seconds"]
    search_fields = ["boot"]
    ordering = ["-wall"]
