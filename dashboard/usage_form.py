"""The form of usage policies, with a row for each limit."""

import re
from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard import policy_choices as choices
from dashboard import policy_fields as fields
from dashboard.faults import told
from dashboard.policy_draft import Document, PolicyForm
from policies.rules import METRICS

MAX_LIMITS: Final = 20


class LimitForm(forms.Form):
    """One limit: how much of what, in which window."""

    metric = fields.choice(
        _("Count"), [(metric, choices.METRIC_LABELS[metric]) for metric in METRICS]
    )
    threshold = fields.text(
        _("At most"), _("For cost: US dollars."), inputmode="decimal"
    )
    window = fields.choice(_("In"), choices.WINDOWS)
    length = fields.text(
        _("Length"), _("Of a rolling or fixed window."), inputmode="numeric"
    )
    length_unit = fields.choice(_("Unit"), choices.SPAN_UNITS)
    timezone = fields.text(_("Time zone"), _("Of calendar windows."), list="timezones")
    week_start = fields.choice(_("Week starts on"), choices.WEEKDAYS)

    @property
    def is_blank(self) -> bool:
        """Whether no amount was typed: then the limit is not wanted."""
        return not self["threshold"].value()

    def limit(self) -> Document:
        """Return the limit as JSON."""
        return fields.limit_of(fields.typed(self))


class UsageForm(PolicyForm):
    """A usage policy, with its limits as rows of their own."""

    type_name = "usage"

    model = fields.text(_("Model"), _("Optional. May end with *, such as gpt-4*."))
    group_by = fields.several(_("Count apart for each"), choices.SUBJECTS)
    warn = fields.box(_("Warn"), _("The answer says so; nothing is refused."))
    throttle = fields.box(_("Throttle"), _("Refuse each call that is over the limit."))
    block = fields.box(_("Block"), _("Refuse all its calls for a while."))
    block_for = fields.text(_("Block for"), _("Empty: until the window ends."))
    block_unit = fields.choice(_("Unit"), choices.SPAN_UNITS)
    revoke = fields.box(
        _("Revoke"), _("Take the bot's keys, until a person restores it.")
    )
    email = fields.box(_("E-mail"), _("Tell people once in each window."))
    email_to = fields.long_text(
        _("Addresses"), _("One a line. Empty: the account's owners.")
    )
    webhook = fields.box(_("Webhook"), _("Tell your own endpoints, signed."))
    webhook_to = fields.several(_("Endpoints"), [])
    alert_steps = fields.text(_("Tell at (per cent)"), _("Such as 80, 100."))
    rollout_percent = fields.text(
        _("Share of users (per cent)"), "", inputmode="numeric"
    )
    fail_mode = fields.choice(_("If nothing can be decided"), choices.FAIL_MODES)
    on_unpriced = fields.choice(_("A model without a price"), choices.UNPRICED)
    notify_in_shadow = fields.box(_("Send e-mails while it is only evaluated"))
    hold_tokens = fields.text(_("tokens"))
    hold_input_tokens = fields.text(_("input tokens"))
    hold_output_tokens = fields.text(_("output tokens"))
    hold_messages = fields.text(_("messages"))
    hold_calls = fields.text(_("calls"))
    hold_cost = fields.text(_("cost in dollars"))

    def __init__(self, data: QueryDict | None = None, **options: Any) -> None:
        self.zone: str = options.pop("timezone", "UTC")
        self.monday: int = options.pop("week_start", 1)
        super().__init__(data, **options)
        self.limits = self._limit_forms(data)

    @property
    def holds(self) -> list[forms.BoundField]:
        """The fields of the default hold."""
        return [self[name] for name in self.fields if name.startswith("hold_")]

    def shown(self, document: Document) -> Document:
        return {**super().shown(document), **fields.usage_shown(document)}

    def document(self) -> Document:
        kept = [form for form in self.limits if not form.is_blank]
        self.rows = [self.limits.index(form) for form in kept]
        return {
            **super().document(),
            **fields.usage_of(fields.typed(self)),
            "limits": [form.limit() for form in kept],
        }

    def is_valid(self) -> bool:
        rows = [form.is_valid() for form in self.limits]
        return super().is_valid() and all(rows)

    def blame_field(self, place: str, detail: str, pointer: str) -> None:
        row = re.fullmatch(r"limits-(\d+)-(\w+)", place)
        if row is None:
            super().blame_field(place, detail, pointer)
            return
        index = int(row[1])
        form = self.limits[self.rows[index] if self.rows else 0]
        form.add_error(row[2], told(pointer, detail))
        if not self.non_field_errors():
            self.add_error(None, gettext("A limit is not right; see below."))

    def _limit_forms(self, data: QueryDict | None) -> list[LimitForm]:
        plain = fields.limit_shown({}, zone=self.zone, week_start=self.monday)
        if data is None:
            return self._written_limits()
        count = _row_count(data)
        filled = [
            LimitForm(data, prefix=f"limits-{index}")
            for index in range(count)
            if f"limits-{index}-metric" in data
        ]
        if "add_limit" in data and len(filled) < MAX_LIMITS:
            added = LimitForm(prefix=f"limits-{count}", initial=plain)
            # Who asked for it goes on there, and not at the top of the page.
            added.fields["metric"].widget.attrs["autofocus"] = True
            filled.append(added)
        return filled or [LimitForm(prefix="limits-0", initial=plain)]

    def _written_limits(self) -> list[LimitForm]:
        shown = [
            fields.limit_shown(each, zone=self.zone, week_start=self.monday)
            for each in self.before.get("limits") or [{}]
        ]
        return [
            LimitForm(prefix=f"limits-{index}", initial=each)
            for index, each in enumerate(shown)
        ]


def _row_count(data: QueryDict) -> int:
    rows = (re.fullmatch(r"limits-(\d{1,2})-metric", name) for name in data)
    return min(MAX_LIMITS, 1 + max((int(row[1]) for row in rows if row), default=-1))
