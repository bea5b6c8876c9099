"""Reads of decisions; always within one account.

What is foreign looks exactly like what is absent: NotFound (CONTRACT G2).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from django.db.models import QuerySet

from accounts import ids
from accounts.errors import NotFound
from accounts.models import Account
from audit.models import DecisionRecord

RECENT = 3_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# What decisions are chosen by, and the column that holds it.
FACETS: Final[Mapping[str, str]] = {
    "bot": "policy_target",
    "user": "policy_user",
    "policy": "policy_id",
    "project": "policy_project_id",
    "reason_code": "reason_code",
    "decision": "decision",
    "rollout_mode": "rollout_mode",
    "model": "model",
    "kind": "kind",
    "key": "key_id",
    "category": "triggered_categories__contains",
}


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


def narrowed(
    found: QuerySet[DecisionRecord],
    facets: Mapping[str, str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[DecisionRecord]:
    """Keep the decisions with these values of FACETS, made in [since, until)."""
    wanted = {FACETS[name]: value for name, value in facets.items()}
    found = found.filter(
        **{
            column: [value] if column.endswith("__contains") else value
            for column, value in wanted.items()
        }
    )
    if since is not None:
        # A row is never older than its id says, which is what the index knows.
        first = ids.first_id_at(max(since, _EPOCH))
        found = found.filter(id__gte=first, created_at__gte=since)
    return found if until is None else found.filter(created_at__lt=until)


def recent_about(
    account: Account, policy_id: str, *, most: int
) -> list[DecisionRecord]:
    """Return the decisions that name a policy, newest first, of the last few thousand.

    They have no index of policies, which every call would pay for; so the search is
    bounded. The list of decisions finds older ones.
    """
    last = decisions(account).values_list("id", "policy_id")[:RECENT]
    keys = [key for key, named in last if named == policy_id]
    return list(decisions(account).filter(id__in=keys[:most]))


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
