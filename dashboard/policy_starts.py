"""The policies that most people write first, as drafts to begin with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from policies.rules import SCOPE_FIELDS

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """A draft: what it is called in addresses and by people, and what it says."""

    slug: str
    kind: str
    name: Any
    told: Any
    document: Mapping[str, Any]


STARTS: Final = (
    Start(
        "monthly-ceiling",
        "usage",
        _("Monthly ceiling"),
        _("Block everything after $100 in a month, and tell the owner"),
        {
            "limits": [{"metric": "cost", "threshold": "100", "window": "month"}],
            "actions": {"block": {"duration_seconds": None}, "email": {}},
        },
    ),
    Start(
        "hourly-loop-guard",
        "usage",
        _("Hourly loop guard"),
        _("Block a bot for an hour after 500 calls in an hour"),
        {
            "limits": [{"metric": "calls", "threshold": 500, "window": "hour"}],
            "actions": {"block": {"duration_seconds": 3600}, "email": {}},
            "group_by": ["bot"],
        },
    ),
    Start(
        "notify-only",
        "usage",
        _("Tell me about heavy days"),
        _("Only an e-mail after a million tokens in a day"),
        {
            "limits": [{"metric": "tokens", "threshold": 1_000_000, "window": "day"}],
            "actions": {"email": {}},
        },
    ),
    Start(
        "30-day-retention",
        "retention",
        _("Keep 30 days"),
        _("Delete conversations with their messages after 30 days"),
        {"retention": {"target": "conversations", "max_age_days": 30}},
    ),
)


def start_of(slug: str) -> Start | None:
    """Return the start that an address names."""
    return next((each for each in STARTS if each.slug == slug), None)


def begun(account: Account, kind: str, asked: Mapping[str, str]) -> Document:
    """Return the draft that an address asks to begin with; mostly an empty one.

    `asked` is the query: `template` names a start; `bot`, `project`, `user` and
    `model` fill the scope.
    """
    start = start_of(asked.get("template", ""))
    draft: Document = {}
    if start is not None and start.kind == kind:
        draft = {**start.document, "name": str(start.name)}
    scope = {field: asked[field] for field in SCOPE_FIELDS if asked.get(field)}
    if kind == "usage":
        limits = draft.get("limits", [])
        draft["limits"] = [_limit(account, limit) for limit in limits]
    return {**draft, "scope": scope}


def _limit(account: Account, limit: Mapping[str, Any]) -> Document:
    window = {"kind": "calendar", "unit": limit["window"], "timezone": account.timezone}
    return {**limit, "window": window}
