"""For how long an alert is put aside: one of a few spans, or until a chosen moment."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.services.snoozing import LONGEST
from dashboard.visits import Visit

CUSTOM: Final = "custom"
# What the list offers at once; the alert's own page offers any moment.
SPANS: Final[Mapping[str, Promise]] = {
    "1h": gettext_lazy("for 1 hour"),
    "4h": gettext_lazy("for 4 hours"),
    "tomorrow": gettext_lazy("until tomorrow, 9:00"),
}
_HOURS: Final = {"1h": 1, "4h": 4}
_MORNING: Final = time(9)


class SnoozeForm(forms.Form):
    """Until when. Moments are of the account's zone."""

    span = forms.ChoiceField(
        label=gettext_lazy("Snooze it"),
        choices=[*SPANS.items(), (CUSTOM, gettext_lazy("until …"))],
        widget=forms.Select,
    )
    until = forms.DateTimeField(
        label=gettext_lazy("Until"),
        required=False,
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
    )

    def __init__(self, data: QueryDict | None = None, *, visit: Visit) -> None:
        super().__init__(data, auto_id="snooze_%s")
        self.visit = visit

    def clean(self) -> dict[str, Any]:
        """Turn the choice into a moment, `until`, that the service takes."""
        given = super().clean() or {}
        span, now = given.get("span", ""), self.visit.now
        if span in SPANS:
            given["until"] = _end(span, now, self.visit.account.timezone)
        elif "until" in given:
            chosen = given["until"]
            if chosen is None or not now < chosen <= now + LONGEST:
                told = _("Choose a moment within the next 90 days.")
                self.add_error("until", told)
        return given


def _end(span: str, now: datetime, zone: str) -> datetime:
    if span in _HOURS:
        return now.replace(microsecond=0) + timedelta(hours=_HOURS[span])
    tomorrow = now.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)
    return datetime.combine(tomorrow, _MORNING, ZoneInfo(zone)).astimezone(UTC)
