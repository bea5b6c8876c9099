"""The forms of an account itself: its settings, its people."""

from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, Member
from dashboard.forms import ServiceForm

WEEK_DAYS = [
    (1, _("Monday")),
    (2, _("Tuesday")),
    (3, _("Wednesday")),
    (4, _("Thursday")),
    (5, _("Friday")),
    (6, _("Saturday")),
    (7, _("Sunday")),
]
ROLES = [
    ("owner", _("Owner: everything, also people and settings")),
    ("operator", _("Operator: policies, bots and keys")),
    ("auditor", _("Auditor: sees everything, changes nothing")),
    ("viewer", _("Viewer: sees all but decisions and keys")),
]


@lru_cache(maxsize=1)
def zones() -> list[tuple[str, str]]:
    """Return the time zones to choose from. They are files, so they are read once."""
    named = sorted(each for each in available_timezones() if "/" in each)
    places = [each for each in named if not each.startswith(("Etc/", "SystemV/"))]
    return [(each, each) for each in ("UTC", *places)]


class NewAccountForm(ServiceForm):
    """An account of one's own."""

    name = forms.CharField(
        label=_("Name of the account"),
        max_length=200,
        help_text=_("Your company or team. It can be changed later."),
    )
    timezone = forms.ChoiceField(
        label=_("Time zone"),
        choices=zones,
        initial="UTC",
        help_text=_("Days and months of pages are reckoned in it."),
    )


class AccountForm(ServiceForm):
    """What owners set for their account."""

    name = forms.CharField(label=_("Name"), max_length=200)
    timezone = forms.ChoiceField(
        label=_("Time zone"),
        choices=zones,
        help_text=_("Pages show times in it. Windows of policies name their own."),
    )
    week_start = forms.TypedChoiceField(
        label=_("Weeks start on"), choices=WEEK_DAYS, coerce=int
    )
    language = forms.ChoiceField(
        label=_("Language of mails"),
        choices=settings.LANGUAGES,
        required=False,
        help_text=_(
            "For whoever has chosen no language; members get mails in the one that"
            " they read pages in."
        ),
    )
    stores_text = forms.BooleanField(
        label=_("Store the text of messages"),
        required=False,
        help_text=_(
            "Off, only who, when and how long is kept. Text kept so far stays"
            " until a retention policy or you delete it."
        ),
    )

    @staticmethod
    def of(account: Account) -> dict[str, Any]:
        """Return the form's values of an account."""
        fields = ("name", "timezone", "week_start", "stores_text")
        usual = account.language or settings.LANGUAGE_CODE
        return {field: getattr(account, field) for field in fields} | {
            "language": usual
        }

    def changes(self) -> dict[str, Any]:
        """Return the values as the service takes them; what was not sent stays."""
        given = self.cleaned_data
        if given["language"]:
            return given
        return {name: given[name] for name in given if name != "language"}


class RoleForm(forms.Form):
    """Another role for a member."""

    role = forms.ChoiceField(label=_("Role"), choices=Member.Role.choices)


class InviteForm(ServiceForm):
    """Somebody to ask into the account."""

    email = forms.EmailField(label=_("E-mail address"), max_length=254)
    role = forms.ChoiceField(label=_("Role"), choices=ROLES, initial="operator")
