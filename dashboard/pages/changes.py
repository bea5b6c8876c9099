"""Who changed what: every edit with its author, its moment and its fields."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from django import forms
from django.http import HttpResponse
from django.urls import NoReverseMatch
from django.utils.translation import gettext_lazy as _

from accounts.selectors import changes, narrowed_changes
from dashboard.fragments import wants_part
from dashboard.paging import page_of
from dashboard.target_names import target_names
from dashboard.visits import Visit, page, render

AREAS: Final = (
    ("", _("everything")),
    ("account", _("the account")),
    ("bot", _("bots")),
    ("delivery", _("deliveries")),
    ("hold", _("legal holds")),
    ("invitation", _("invitations")),
    ("key", _("API keys")),
    ("member", _("members")),
    ("policy", _("policies")),
    ("price", _("prices")),
    ("project", _("projects")),
    ("upstream", _("upstreams")),
    ("webhook", _("webhooks")),
)
ACTORS: Final = (
    ("", _("anybody")),
    ("person", _("people")),
    ("key", _("API keys")),
    ("system", _("PolicyHub itself")),
)
# The pages of what a change may be about, by the prefix of its id.
_PAGES: Final[Mapping[str, str]] = {
    "alr": "alert",
    "bot": "bot",
    "cnv": "conversation",
    "hld": "hold",
    "pol": "policy",
    "run": "run",
    "whk": "webhook",
}


class ChangeForm(forms.Form):
    """Which changes are shown."""

    area = forms.ChoiceField(label=_("Changes of"), choices=AREAS, required=False)
    actor = forms.ChoiceField(label=_("Made by"), choices=ACTORS, required=False)
    target = forms.CharField(label=_("Id"), max_length=40, required=False)


@page(facts=True)
def listing(visit: Visit) -> HttpResponse:
    """List the changes, the newest first."""
    form = ChangeForm(visit.request.GET)
    form.is_valid()
    given = {name: value for name, value in form.cleaned_data.items() if value}
    found = narrowed_changes(
        changes(visit.account, target=given.get("target")),
        area=given.get("area"),
        actor=given.get("actor"),
    )
    shown = page_of(found, visit.request)
    names = target_names(visit.account, {row.target for row in shown.rows})
    rows = [
        {
            "change": row,
            "link": "" if _is_gone(row.target, names) else _link(visit, row.target),
            "name": names.get(row.target) or "",
        }
        for row in shown.rows
    ]
    context = {
        "page": shown,
        "rows": rows,
        "form": form,
        "narrow": bool(given),
        # The names are those of the API.
        "export": urlencode({"account": visit.account.slug, **given}),
    }
    part = wants_part(visit.request)
    template = "parts/changes_found.html" if part else "changes.html"
    return render(visit, template, context, place="decisions")


def _is_gone(target: str, names: Mapping[str, str]) -> bool:
    """Say whether something is of a kind that is deleted, and not there any more."""
    return target[:3] in ("cnv", "whk") and target not in names


def _link(visit: Visit, target: str) -> str:
    """Return the address of what was changed; empty if it has no page."""
    name = _PAGES.get(target[:3])
    try:
        return "" if name is None else visit.address(name, target)
    except NoReverseMatch:
        return ""
