"""The admin's page of upstreams: read, switched off, removed; secrets stay out."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.administration import Deed, FactAdmin, service_action
from gateway.models import Upstream
from gateway.services import archive_upstream, update_upstream


@service_action(description=_("Switch upstreams off"), done=_("switched off"))
def switch_off(upstream: Upstream, deed: Deed) -> None:
    """Send no more calls to upstreams."""
    values = {"enabled": False}
    update_upstream(upstream=upstream, values=values, actor=deed.actor, now=deed.now)


@service_action(description=_("Switch upstreams on"), done=_("switched on"))
def switch_on(upstream: Upstream, deed: Deed) -> None:
    """Send calls to upstreams again."""
    values = {"enabled": True}
    update_upstream(upstream=upstream, values=values, actor=deed.actor, now=deed.now)


@service_action(
    description=_("Remove upstreams"),
    question=_(
        "No call goes to these upstreams any more; their secrets are forgotten."
    ),
    done=_("removed"),
)
def remove(upstream: Upstream, deed: Deed) -> None:
    """Take upstreams out of use for good."""
    archive_upstream(upstream=upstream, actor=deed.actor, now=deed.now)


@admin.register(Upstream)
class UpstreamAdmin(FactAdmin):
    """Upstreams are written through the API and the pages, where their secret is."""

    list_display = ["name", "account", "project", "base_url", "position", "enabled"]
    list_filter = ["enabled"]
    list_select_related = ["account", "project"]
    search_fields = ["name", "base_url", "id", "account__slug"]
    date_hierarchy = "created_at"
    ordering = ["account", "position", "id"]
    actions = [switch_off, switch_on, remove]
    exclude = ["secret"]
