"""Saved views: the address of a page's filter, kept under a name by one person.

Only what the page itself knows is kept of an address, written as the page writes it,
so that a view is recognised when it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.models import SavedView
from accounts.selectors import saved_views
from dashboard.decision_filters import FacetForm
from dashboard.usage_query import asked
from dashboard.visits import Visit

LONGEST: Final = 2_000


class ViewForm(forms.Form):
    """What a view is called."""

    name = forms.CharField(label=_("Name"), max_length=60, strip=True)
    query = forms.CharField(widget=forms.HiddenInput, max_length=LONGEST)


class View(Protocol):
    """What a page needs of a view to lead to it."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def query(self) -> str:
        """The query of the page's address."""


@dataclass(frozen=True, slots=True)
class Views:
    """The views of a page that somebody may choose, and the one that is shown.

    `query` is what would be saved, empty if there is nothing to save.
    """

    page: str
    rows: Sequence[View]
    query: str

    @property
    def shown(self) -> View | None:
        """The one whose filter the page shows."""
        return next((each for each in self.rows if each.query == self.query), None)


def views_of(
    visit: Visit, page: str, query: str, rows: Sequence[View] | None = None
) -> Views:
    """Return the visitor's views of a page that shows a query.

    `rows` are these views where they are read already.
    """
    if rows is None:
        rows = list(saved_views(visit.account, visit.person, page))
    return Views(page, rows, query.removeprefix("?"))


def may_see(visit: Visit, page: str) -> bool:
    """Whether the visitor may see the page at all."""
    return page != SavedView.Page.DECISIONS or visit.may_audit


def tidied(visit: Visit, page: str, query: str) -> str:
    """Return what a page knows of a query, as the page writes it; nothing of none."""
    given = QueryDict(query[:LONGEST])
    if not given:
        return ""
    if page == SavedView.Page.USAGE:
        wanted = asked(given, visit.account, visit.now, with_keys=visit.may_audit)
        return wanted.query().removeprefix("?")
    names = FacetForm.base_fields
    return urlencode({name: given[name] for name in names if given.get(name)})
