"""Which decisions the explorer shows: read from the address, and put back into it.

The names are those of the API, so a filter is the same in both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Account
from accounts.selectors import bots, keys
from audit.models import DecisionRecord
from audit.selectors import decisions, narrowed
from dashboard.codes import words
from dashboard.policy_choices import CATEGORIES
from dashboard.visits import Visit
from policies.selectors import policies
from usage.selectors import models_seen

CHOICES: Final = 500
# Years of moments that are looked for.
EARLIEST: Final = 1970
LATEST: Final = 9000
RANGES: Final[Mapping[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
REASONS: Final = (
    "ok",
    "warned",
    "limit_exceeded",
    "throttled",
    "blocked",
    "revoked",
    "bot_disabled",
    "denylist",
    "redacted",
    "model_not_allowed",
    "unpriced_model",
    "fail_open",
    "enforcement_unavailable",
)
_NAMED: Final = (
    "decision",
    "reason_code",
    "policy",
    "bot",
    "model",
    "key",
    "rollout_mode",
    "user",
    "category",
)

Choices = Sequence[tuple[str, str]]


class FacetForm(forms.Form):
    """What decisions are chosen by. Nothing is required; strange values are dropped."""

    decision = forms.ChoiceField(label=gettext_lazy("Answer"), required=False)
    reason_code = forms.ChoiceField(label=gettext_lazy("Reason"), required=False)
    policy = forms.ChoiceField(label=gettext_lazy("Policy"), required=False)
    bot = forms.ChoiceField(label=gettext_lazy("Bot"), required=False)
    model = forms.ChoiceField(label=gettext_lazy("Model"), required=False)
    key = forms.ChoiceField(label=gettext_lazy("API key"), required=False)
    rollout_mode = forms.ChoiceField(label=gettext_lazy("Mode"), required=False)
    user = forms.CharField(label=gettext_lazy("User"), max_length=256, required=False)
    category = forms.ChoiceField(label=gettext_lazy("Category"), required=False)
    range = forms.ChoiceField(label=gettext_lazy("Made in"), required=False)
    since = forms.DateTimeField(
        label=gettext_lazy("From"),
        required=False,
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
    )
    until = forms.DateTimeField(
        label=gettext_lazy("Before"),
        required=False,
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
    )

    def clean(self) -> dict[str, object]:
        """Drop moments at the ends of the calendar: in UTC they may lie beyond it."""
        given = super().clean() or {}
        for name in ("since", "until"):
            moment = given.get(name)
            if moment is not None and not EARLIEST <= moment.year <= LATEST:
                del given[name]
        return given


@dataclass(frozen=True, slots=True)
class Chosen:
    """A filter that somebody chose. `query` is the address of the same, tidied."""

    form: FacetForm
    facets: Mapping[str, str]
    since: datetime | None
    until: datetime | None
    query: str
    bot_names: Mapping[str, str]

    @property
    def is_narrow(self) -> bool:
        """Whether anything is left out."""
        return bool(self.query)

    @property
    def is_detailed(self) -> bool:
        """Whether one of the rarer filters is among them."""
        rare = ("key", "rollout_mode", "user", "category", "since", "until")
        return any(self.form.cleaned_data.get(name) for name in rare)

    def rows(self, account: Account) -> QuerySet[DecisionRecord]:
        """Return the decisions that it lets through, the newest first."""
        return narrowed(
            decisions(account), self.facets, since=self.since, until=self.until
        )

    def export(self, account: Account, form: str) -> str:
        """Return the query of the API's export of the same decisions."""
        query = QueryDict(mutable=True)
        query.update({"account": account.slug, "format": form, **self.facets})
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None:
                query[name] = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return query.urlencode()


def chosen_by(visit: Visit) -> Chosen:
    """Read the filter from the address; what nobody offered is left out."""
    names = {
        each.public_id: each.name
        for each in bots(visit.account, include_archived=True)[:CHOICES]
    }
    form = _form(visit, names)
    form.is_valid()
    given = {name: value for name, value in form.cleaned_data.items() if value}
    since, until = given.get("since"), given.get("until")
    if "range" in given:
        since, until = visit.now - RANGES[given["range"]], None
    return Chosen(
        form=form,
        facets={name: str(given[name]) for name in _NAMED if name in given},
        since=since,
        until=until,
        query=_query(visit.request, given),
        bot_names=names,
    )


def _query(request: HttpRequest, given: Mapping[str, object]) -> str:
    tidy = QueryDict(mutable=True)
    for name in given:
        tidy[name] = request.GET[name]
    return tidy.urlencode()


def _form(visit: Visit, names: Mapping[str, str]) -> FacetForm:
    form = FacetForm(visit.request.GET.dict())
    account = visit.account
    found = policies(account, include_archived=True)
    offered: dict[str, Choices] = {
        "decision": [("allow", _("Allowed")), ("deny", _("Refused"))],
        "reason_code": [(code, words(code)) for code in REASONS],
        "policy": [(each.public_id, each.name) for each in found[:CHOICES]],
        "bot": list(names.items()),
        "model": [(name, name) for name in models_seen(account)[:CHOICES]],
        "key": [
            (each.public_id, f"{each.name or each.key_prefix} …{each.last4}")
            for each in keys(account)[:CHOICES]
        ],
        "rollout_mode": [("enforce", _("Enforced")), ("shadow", _("Shadow"))],
        "category": [(name, str(label)) for name, label in CATEGORIES],
        "range": [
            ("1h", _("the last hour")),
            ("24h", _("the last 24 hours")),
            ("7d", _("the last 7 days")),
            ("30d", _("the last 30 days")),
        ],
    }
    linked = visit.request.GET.get("model", "")[:200].replace("\x00", "")
    if linked and (linked, linked) not in offered["model"]:
        # A model that nothing was used of yet, as in the link of a refused call.
        offered["model"] = [*offered["model"], (linked, linked)]
    for name, choices in offered.items():
        form.fields[name].choices = [("", _("any")), *choices]  # type: ignore[attr-defined]
    return form
