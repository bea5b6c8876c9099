"""The admin's page of decisions. They are read, never edited."""

from django.contrib import admin

from accounts.administration import FactAdmin
from audit.models import DecisionRecord


@admin.register(DecisionRecord)
class DecisionRecordAdmin(FactAdmin):
    """Every decision as it was made."""

    list_display = ["created_at", "account", "decision", "reason_code", "enforced"]
    list_display += ["policy_target", "policy_user", "model", "message"]
    list_filter = ["decision", "reason_code", "enforced", "account"]
    list_select_related = ["account"]
    search_fields = ["=id", "=policy_target", "=policy_user", "=policy_id"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
