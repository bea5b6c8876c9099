"""Reads of upstreams; always within one account.

What is foreign looks exactly like what is absent: NotFound (CONTRACT G2).
"""

from django.db.models import QuerySet

from accounts import ids
from accounts.errors import NotFound
from accounts.models import Account, Project
from gateway.models import Upstream


def upstreams(
    account: Account, *, project: Project | None = None
) -> QuerySet[Upstream]:
    """Return the upstreams in use; only those of a project if one is given."""
    rows = Upstream.objects.filter(account=account, archived_at=None)
    rows = rows.select_related("account", "project")
    return rows if project is None else rows.filter(project=project)


def upstream_of(
    account: Account, public_id: str, *, project: Project | None = None
) -> Upstream:
    """Return one of them by its id. Raises NotFound."""
    try:
        key = ids.decode_id("ups", public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = upstreams(account, project=project).filter(id=key).first()
    if found is None:
        raise NotFound
    return found
