"""The admin's page of pruning runs: receipts, which are read."""

from django.contrib import admin

from accounts.administration import FactAdmin
from retention.models import PruneRun


@admin.register(PruneRun)
class PruneRunAdmin(FactAdmin):
    """What each run let go."""

    list_display = ["started_at", "account", "policy", "target", "cutoff", "state"]
    list_display += ["deleted", "remaining", "trigger"]
    list_filter = ["state", "target", "account"]
    list_select_related = ["account", "policy"]
    search_fields = ["policy__name", "=id"]
    date_hierarchy = "started_at"
    ordering = ["-id"]
