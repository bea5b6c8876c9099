"""Reads of decisions; always within one account.

What is foreign looks exactly like what is absent: NotFound (CONTRACT G2).
"""

from django.db.models import QuerySet

from accounts import ids
from accounts.errors import NotFound
from accounts.models import Account
from audit.models import DecisionRecord


def decisions(
    account: Account, *, project: str | None = None, bot: str | None = None
) -> QuerySet[DecisionRecord]:
    """Return the decisions, newest first; of a project or a bot by its public id."""
    found = DecisionRecord.objects.filter(account=account)
    if project is not None:
        found = found.filter(policy_project_id=project)
    if bot is not None:
        found = found.filter(policy_target=bot)
    return found.order_by("-id")


def decision_of(
    account: Account,
    public_id: str,
    *,
    project: str | None = None,
    bot: str | None = None,
) -> DecisionRecord:
    """Return one decision. Raises NotFound."""
    try:
        key = ids.decode_id("dec", public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = decisions(account, project=project, bot=bot).filter(id=key).first()
    if found is None:
        raise NotFound
    return found
