"""The small forms: reasons, bots and keys. Policies have a module of their own."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.errors import DomainError
from accounts.keys import SCOPES
from accounts.models import Bot, Project
from accounts.saying import say
from dashboard.faults import told
from dashboard.policy_choices import rows_of

BLOCK_LENGTHS: Final = [
    ("", _("until somebody lifts it")),
    ("900", _("for 15 minutes")),
    ("3600", _("for 1 hour")),
    ("86400", _("for 1 day")),
    ("604800", _("for 7 days")),
]
KEY_LENGTHS: Final = [
    ("", _("never")),
    ("2592000", _("in 30 days")),
    ("7776000", _("in 90 days")),
    ("31536000", _("in 1 year")),
]
KEY_USES: Final = [
    ("calls", _("Calls: authorize before a call, record usage after it")),
    ("read", _("Reading: see everything, change nothing")),
    ("all", _("Everything: also change policies, bots and keys")),
    ("custom", _("What is ticked below, and nothing else")),
]
KEY_OVERLAPS: Final = [
    ("86400", _("1 day")),
    ("3600", _("1 hour")),
    ("604800", _("7 days")),
    ("0", _("no longer: it stops now")),
]
PERIODS: Final = [
    ("day", _("limits of a day")),
    ("month", _("limits of a month")),
    ("all", _("every limit")),
]


class ReasonForm(forms.Form):
    """Why something is done; kept in the change history."""

    reason = forms.CharField(label=_("Reason"), max_length=500, strip=True)


class BlockForm(ReasonForm):
    """Why a bot is blocked, and for how long."""

    seconds = forms.TypedChoiceField(
        label=_("Block it"),
        choices=BLOCK_LENGTHS,
        required=False,
        coerce=lambda text: timedelta(seconds=int(text)),
        empty_value=None,
    )


class ResetForm(ReasonForm):
    """Which counters of a policy start again from 0."""

    period = forms.ChoiceField(label=_("Reset"), choices=PERIODS, initial="all")


class ConfirmForm(ReasonForm):
    """A step that cannot be undone: the name has to be typed."""

    name = forms.CharField(label=_("Type the name to confirm"), max_length=300)
    field_order = ("name", "reason")

    def __init__(
        self, data: QueryDict | None = None, *, expected: str, auto_id: str = "id_%s"
    ) -> None:
        super().__init__(data, auto_id=auto_id)
        self.expected = expected

    def clean_name(self) -> str:
        """Accept the name alone."""
        name: str = self.cleaned_data["name"]
        if name != self.expected.strip():
            raise forms.ValidationError(_("This is not the name."))
        return name


class ServiceForm(forms.Form):
    """A form whose faults are found by a service."""

    def blame(self, error: DomainError) -> None:
        """Put each fault beside the field that its pointer names."""
        for each in error.errors:
            field = each["pointer"].removeprefix("/")
            place = field if field in self.fields else None
            self.add_error(place, told(each["pointer"], each["detail"]))
        if not error.errors:
            self.add_error(None, say(error.detail))


class BotForm(ServiceForm):
    """A bot, new or changed."""

    name = forms.CharField(label=_("Name"), max_length=200)
    external_id = forms.CharField(
        label=_("Your own id"),
        max_length=200,
        required=False,
        help_text=_("Optional. Calls may name the bot by it."),
    )
    owner = forms.CharField(
        label=_("Owner"),
        max_length=200,
        required=False,
        help_text=_("Optional. The user of calls that name no user."),
    )
    project = forms.ChoiceField(label=_("Project"), required=False)
    description = forms.CharField(
        label=_("Description"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        projects: Sequence[Project],
        bot: Bot | None = None,
    ) -> None:
        super().__init__(data, initial=_bot_shown(bot) if bot else None)
        self.projects = {project.public_id: project for project in projects}
        self.fields["project"].choices = rows_of(projects, _("No project"))  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """Return the values as the services take them."""
        given = self.cleaned_data
        return {
            "name": given["name"],
            "external_id": given["external_id"] or None,
            "owner": given["owner"] or None,
            "project": self.projects.get(given["project"]),
            "description": given["description"].replace("\r\n", "\n"),
        }


class KeyForm(ServiceForm):
    """A new API key."""

    name = forms.CharField(
        label=_("Name"), max_length=200, help_text=_("Where it will be used.")
    )
    use = forms.ChoiceField(
        label=_("What it is for"),
        choices=KEY_USES,
        initial="calls",
        widget=forms.RadioSelect,
    )
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=[(scope, scope) for scope in sorted(SCOPES)],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    bot = forms.ChoiceField(label=_("Bound to bot"), required=False)
    project = forms.ChoiceField(label=_("Bound to project"), required=False)
    expires = forms.TypedChoiceField(
        label=_("Expires"),
        choices=KEY_LENGTHS,
        required=False,
        coerce=lambda text: timedelta(seconds=int(text)),
        empty_value=None,
    )

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        bots: Sequence[Bot],
        projects: Sequence[Project],
    ) -> None:
        super().__init__(data)
        self.bots = {bot.public_id: bot for bot in bots}
        self.projects = {project.public_id: project for project in projects}
        self.fields["bot"].choices = rows_of(bots, _("No bot"))  # type: ignore[attr-defined]
        self.fields["project"].choices = rows_of(projects, _("No project"))  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Ask for scopes where they are to be chosen one by one."""
        given: dict[str, Any] = self.cleaned_data
        if given.get("use") == "custom" and not given.get("scopes"):
            self.add_error("scopes", _("Tick at least one."))
        return given

    def values(self) -> dict[str, Any]:
        """Return the values as the service takes them; the expiry is not among them."""
        given = self.cleaned_data
        custom = given["use"] == "custom"
        return {
            "name": given["name"],
            "scopes": given["scopes"] if custom else scopes_of(given["use"]),
            "bot": self.bots.get(given["bot"]),
            "project": self.projects.get(given["project"]),
        }


class KeyRotationForm(forms.Form):
    """For how long the old key stays good beside the new one."""

    overlap = forms.TypedChoiceField(
        label=_("The old key stays good for"),
        choices=KEY_OVERLAPS,
        required=False,
        coerce=int,
        empty_value=None,
    )


def scopes_of(use: str) -> list[str]:
    """Return the scopes of one of the uses that the form offers."""
    if use == "all":
        return ["*"]
    if use == "read":
        return sorted(scope for scope in SCOPES if scope.endswith(":read"))
    calls = {"decide", "usage:write", "usage:read", "bots:read", "gateway"}
    return sorted(calls)


def _bot_shown(bot: Bot) -> dict[str, str]:
    return {
        "name": bot.name,
        "external_id": bot.external_id or "",
        "owner": bot.owner or "",
        "project": bot.project.public_id if bot.project else "",
        "description": bot.description,
    }
