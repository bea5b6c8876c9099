"""The admin's pages of policies, revisions and blocks; all of them are read.

Policies are written in the dashboard and the API. What resets, clears or prunes is
attached by the apps that know of counters and rows.
"""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.administration import FactAdmin
from policies import rules
from policies.models import Block, Policy, PolicyRevision


@admin.register(Policy)
class PolicyAdmin(FactAdmin):
    """Policies, with the rule in a sentence."""

    list_display = ["name", "account", "type", "rollout_mode", "sentence", "revision"]
    list_display += ["updated_at", "archived_at"]
    list_filter = [
        "type",
        "rollout_mode",
        ("archived_at", admin.EmptyFieldListFilter),
        "account",
    ]
    list_select_related = ["account", "scope_bot"]
    search_fields = ["name", "description", "scope_bot__name", "id"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    fields = [
        "public_id",
        "account",
        "project",
        "type",
        "name",
        "description",
        "sentence",
        "document",
        "rollout_mode",
        "counting_since",
        "revision",
        "alias",
        "meta",
        "created_at",
        "updated_at",
        "archived_at",
    ]

    @admin.display(description=_("rule"))
    def sentence(self, policy: Policy) -> str:
        """The rule as people read it."""
        bot = policy.scope_bot
        names = {} if bot is None else {bot.public_id: bot.name}
        return rules.sentence(policy.document, names=names)


@admin.register(PolicyRevision)
class PolicyRevisionAdmin(FactAdmin):
    """Every policy as it stood after each edit."""

    list_display = ["policy", "number", "account", "actor_label", "created_at"]
    list_filter = ["actor_kind", "account"]
    list_select_related = ["policy", "account"]
    search_fields = ["policy__name", "actor_label", "reason", "policy__id"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    fields = ["public_id", "account", "policy", "number", "created_at", "actor_kind"]
    fields += ["actor_id", "actor_label", "reason", "changes", "document"]


@admin.register(Block)
class BlockAdmin(FactAdmin):
    """What refuses calls, or did."""

    list_display = ["public_id", "account", "kind", "bot", "policy", "enforced"]
    list_display += ["starts_at", "ends_at", "lifted_at"]
    list_filter = [
        "kind",
        "enforced",
        ("lifted_at", admin.EmptyFieldListFilter),
        "account",
    ]
    list_select_related = ["account", "bot", "policy"]
    search_fields = ["bot__name", "policy__name", "reason", "id"]
    date_hierarchy = "starts_at"
    ordering = ["-id"]
    fields = ["public_id", "account", "kind", "policy", "bot", "subject", "enforced"]
    fields += ["reason", "counter", "window_start", "starts_at", "ends_at"]
    fields += ["lifted_at", "lifted_by", "lift_reason"]
