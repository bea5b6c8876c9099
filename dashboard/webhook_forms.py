"""The forms of webhook endpoints."""

from typing import Any, Final

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.errors import DomainError
from accounts.saying import say
from alerts.event_types import EVENT_TYPES, EVERY_TYPE, SUBSCRIBABLE
from alerts.models import Webhook
from dashboard.faults import told
from dashboard.forms import ServiceForm

OVERLAPS: Final = (
    ("86400", _("for 1 day")),
    ("3600", _("for 1 hour")),
    ("604800", _("for 7 days")),
    ("0", _("not at all: the old one stops now")),
)
STATES: Final = (
    ("", _("any state")),
    ("pending", _("waiting")),
    ("sent", _("sent")),
    ("failed", _("failed")),
)


class WebhookForm(ServiceForm):
    """An endpoint, new or changed."""

    url = forms.CharField(
        label=_("URL"),
        max_length=2_000,
        widget=forms.URLInput(
            attrs={"placeholder": "https://hooks.example.com/policyhub"}
        ),
        help_text=_("https, port 443 or 8443, and a host that the internet can reach."),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=500,
        required=False,
        help_text=_("Optional. Who listens there."),
    )
    everything = forms.BooleanField(
        label=_("Send everything"),
        required=False,
        help_text=_("Also types that are added later."),
    )
    event_types = forms.MultipleChoiceField(
        label=_("Or only these"),
        choices=[
            (name, format_lazy("{}: {}", name, _(EVENT_TYPES[name])))
            for name in SUBSCRIBABLE
        ],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None is good for an endpoint that only policies name."),
    )

    @staticmethod
    def of(webhook: Webhook) -> dict[str, Any]:
        """Return the form's values of an endpoint."""
        return {
            "url": webhook.url,
            "description": webhook.description,
            "everything": EVERY_TYPE in webhook.event_types,
            "event_types": webhook.event_types,
        }

    def values(self) -> dict[str, Any]:
        """Return the values as the services take them."""
        given = self.cleaned_data
        types = [EVERY_TYPE] if given["everything"] else given["event_types"]
        return {
            "url": given["url"],
            "description": given["description"],
            "event_types": types,
        }

    def blame(self, error: DomainError) -> None:
        """Put each fault beside its field; one of a list beside the whole list."""
        for each in error.errors:
            field = each["pointer"].split("/")[1]
            place = field if field in self.fields else None
            self.add_error(place, told(each["pointer"], each["detail"]))
        if not error.errors:
            self.add_error(None, say(error.detail))


class RotateForm(forms.Form):
    """For how long messages bear the old secret's signature too."""

    overlap = forms.TypedChoiceField(
        label=_("Sign with the old one too"), choices=OVERLAPS, coerce=int
    )


class LogForm(forms.Form):
    """Which messages of the delivery log are shown."""

    state = forms.ChoiceField(label=_("State"), choices=STATES, required=False)
    type = forms.ChoiceField(
        label=_("Type"),
        choices=[("", _("every type")), *((name, name) for name in EVENT_TYPES)],
        required=False,
    )
