"""Which policies the list shows: of a type, about whom, in which state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from dashboard.paging import chosen
from dashboard.visits import Visit
from policies import selectors
from policies.models import Policy
from usage.selectors import readings

Choices = Mapping[str, Promise]

TYPES: Final[Choices] = {
    "usage": gettext_lazy("Usage"),
    "retention": gettext_lazy("Retention"),
    "content": gettext_lazy("Content"),
}
SCOPES: Final[Choices] = {
    "account": gettext_lazy("Everyone"),
    "project": gettext_lazy("One project"),
    "bot": gettext_lazy("One bot"),
    "user": gettext_lazy("One user"),
    "model": gettext_lazy("Some models"),
}
STATES: Final[Choices] = {
    "triggered": gettext_lazy("Triggered now"),
    "enforce": gettext_lazy("Active"),
    "shadow": gettext_lazy("Evaluated only"),
    "off": gettext_lazy("Off"),
    "archived": gettext_lazy("Archived"),
}
_COLUMNS: Final = ("scope_project", "scope_bot", "scope_user", "scope_model")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address asks for; None is all."""

    type: str | None
    scope: str | None
    state: str | None

    @property
    def choices(self) -> list[tuple[str, Promise, Choices, str | None]]:
        """The filters: name, label, what may be chosen, what is."""
        return [
            ("type", gettext_lazy("Type"), TYPES, self.type),
            ("scope", gettext_lazy("About"), SCOPES, self.scope),
            ("state", gettext_lazy("State"), STATES, self.state),
        ]

    @property
    def is_narrow(self) -> bool:
        """Whether anything is left out."""
        return any((self.type, self.scope, self.state))

    def rows(self, visit: Visit) -> QuerySet[Policy]:
        """Return the policies."""
        gone = self.state == "archived"
        found = selectors.policies(visit.account, type=self.type, include_archived=gone)
        if gone:
            found = found.exclude(archived_at=None)
        elif self.state == "triggered":
            found = found.filter(id__in=_triggered(visit, found))
        elif self.state is not None:
            found = found.filter(rollout_mode=self.state)
        if self.scope == "account":
            return found.filter(**dict.fromkeys(_COLUMNS))
        if self.scope is not None:
            return found.exclude(**{f"scope_{self.scope}": None})
        return found


def asked_policies(visit: Visit) -> Wanted:
    """Read the address."""
    query = visit.request
    return Wanted(
        type=chosen(query, "type", list(TYPES)),
        scope=chosen(query, "scope", list(SCOPES)),
        state=chosen(query, "state", list(STATES)),
    )


def _triggered(visit: Visit, found: QuerySet[Policy]) -> list[UUID]:
    """Return the keys of those of which a counter is full (CONTRACT C8)."""
    live = list(found.filter(type=Policy.Type.USAGE).exclude(rollout_mode="off"))
    read = readings(account=visit.account, policies=live, now=visit.now, most=1)
    return [
        policy.pk
        for policy in live
        if any(each.status == "triggered" for each in read[policy.public_id])
    ]
