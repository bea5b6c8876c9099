"""The forms of retention: a hold, its release, a person's word, an erasure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.errors import NotFound
from accounts.models import Account, Bot, Project
from dashboard.forms import ServiceForm
from dashboard.policy_choices import rows_of
from usage.conversations import conversation_by_reference
from usage.models import Conversation

KINDS: Final = [
    ("user", _("one end user")),
    ("conversation", _("one conversation")),
    ("bot", _("a bot, with all its conversations")),
    ("project", _("a project, with all its bots")),
    ("account", _("everything in this account")),
]
LAST_YEAR: Final = 9000
Held = Account | Project | Bot | Conversation | str


class HoldForm(ServiceForm):
    """A legal hold: on what, why, who answers for it, and until when."""

    kind = forms.ChoiceField(
        label=_("Hold"), choices=KINDS, initial="user", widget=forms.RadioSelect
    )
    user = forms.CharField(
        label=_("User"),
        max_length=256,
        required=False,
        help_text=_("As your calls name them."),
    )
    conversation = forms.CharField(
        label=_("Conversation"),
        max_length=200,
        required=False,
        help_text=_("Its id, cnv_…, or your own id of it."),
    )
    bot = forms.ChoiceField(label=_("Bot"), required=False)
    project = forms.ChoiceField(label=_("Project"), required=False)
    reason = forms.CharField(
        label=_("Reason"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Such as the number of the case."),
    )
    owner = forms.CharField(
        label=_("Who answers for it"),
        max_length=300,
        required=False,
        help_text=_("Optional. Empty: you."),
    )
    until = forms.DateTimeField(
        label=_("Until"),
        required=False,
        help_text=_("Optional. Empty: until somebody releases it."),
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
    )

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        account: Account,
        bots: Sequence[Bot],
        projects: Sequence[Project],
        **initial: Any,
    ) -> None:
        super().__init__(data, initial=initial)
        self.account = account
        self.bots = {bot.public_id: bot for bot in bots}
        self.projects = {project.public_id: project for project in projects}
        self.fields["bot"].choices = rows_of(bots, _("Choose a bot"))  # type: ignore[attr-defined]
        self.fields["project"].choices = rows_of(projects, _("Choose a project"))  # type: ignore[attr-defined]

    def clean_until(self) -> datetime | None:
        """Refuse the last years of the calendar: in UTC they may lie beyond it."""
        until: datetime | None = self.cleaned_data["until"]
        if until is not None and until.year > LAST_YEAR:
            raise forms.ValidationError(_("This lies too far ahead."))
        return until

    def clean(self) -> dict[str, Any]:
        """Find what is to be held."""
        given = dict(super().clean() or {})
        kind = given.get("kind")
        if kind is not None and kind not in self.errors:
            given["what"] = self._held(kind, given.get(kind))
            if given["what"] is None and kind not in self.errors:
                self.add_error(kind, gettext("Say which one."))
        return given

    def values(self) -> dict[str, Any]:
        """Return the values as the service takes them."""
        given = self.cleaned_data
        until: datetime | None = given["until"]
        return {
            "what": given["what"],
            "reason": given["reason"].replace("\r\n", "\n"),
            "owner": given["owner"] or None,
            "until": until,
        }

    def _held(self, kind: str, ref: str | None) -> Held | None:
        if kind == "account":
            return self.account
        if not ref:
            return None
        if kind == "bot":
            return self.bots.get(ref)
        if kind == "project":
            return self.projects.get(ref)
        return ref if kind == "user" else self._conversation(ref)

    def _conversation(self, ref: str) -> Conversation | None:
        try:
            return conversation_by_reference(self.account, ref)
        except NotFound:
            told = gettext("There is no such conversation, or several bots have one.")
            self.add_error("conversation", told)
            return None


class ReleaseForm(forms.Form):
    """Why a hold is released."""

    reason = forms.CharField(label=_("Reason"), max_length=2000)


class WordForm(ServiceForm):
    """A person's word for a run that waits."""

    confirm = forms.CharField(
        label=_("Type the policy's name, or the number of rows, to confirm"),
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class EraseForm(ServiceForm):
    """An erasure, confirmed by typing the user's name again."""

    user = forms.CharField(max_length=256, widget=forms.HiddenInput, strip=False)
    typed = forms.CharField(
        label=_("Type the user's name to confirm"),
        max_length=256,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        """Accept the same name alone."""
        given = dict(super().clean() or {})
        typed = given.get("typed")
        if typed is not None and typed != str(given.get("user", "")).strip():
            self.add_error("typed", gettext("This is not the name."))
        return given
