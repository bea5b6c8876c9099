"""The admin's page of remembered answers: that they are there, not what they say."""

from django.contrib import admin

from accounts.administration import FactAdmin
from api.models import IdempotentAnswer


@admin.register(IdempotentAnswer)
class IdempotentAnswerAdmin(FactAdmin):
    """First answers to requests with an Idempotency-Key, for a day."""

    list_display = ["created_at", "account", "status", "etag"]
    list_filter = ["status", "account"]
    list_select_related = ["account"]
    search_fields = ["=id"]
    date_hierarchy = "created_at"
    fields = ["id", "account", "request_digest", "status", "etag", "created_at"]
    ordering = ["-created_at"]
