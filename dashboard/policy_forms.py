"""The forms of policies: fields in, a policy document out, problems back to the fields.

The forms check nothing themselves. They turn what was typed into the JSON that the API
takes too; `policies.rules.parse` judges it, and each of its problems goes to the field
that its pointer names.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from django import forms
from django.http import QueryDict

from accounts.models import Bot, Project
from dashboard import policy_fields as fields
from policies.rules import METRICS, SCOPE_FIELDS, InvalidPolicy, parse

Document = dict[str, Any]
MAX_LIMITS: Final = 20
PLACES: Final = (
    (r"/name", "name"),
    (r"/description", "description"),
    (r"/scope/(project|bot|user|model)", r"\1"),
    (r"/group_by.*", "group_by"),
    (r"/limits", "limits-0-threshold"),
    (r"/limits/(\d+)/(metric|threshold)", r"limits-\1-\2"),
    (r"/limits/(\d+)/window/seconds", r"limits-\1-length"),
    (r"/limits/(\d+)/window/(timezone|week_start)", r"limits-\1-\2"),
    (r"/limits/(\d+).*", r"limits-\1-window"),
    (r"/actions/block.*", "block_for"),
    (r"/actions/email.*", "email_to"),
    (r"/actions.*", "warn"),
    (r"/alert_steps.*", "alert_steps"),
    (r"/default_hold/(\w+)", r"hold_\1"),
    (r"/retention/(target|max_age_days)", r"\1"),
    (r"/content/(direction|categories|action|denylist|allowlist).*", r"\1"),
    (r"/(rollout_mode|rollout_percent|fail_mode|on_unpriced|notify_in_shadow)", r"\1"),
)


class LimitForm(forms.Form):
    """One limit: how much of what, in which window."""

    metric = fields.choice("Count", [(m, fields.METRIC_LABELS[m]) for m in METRICS])
    threshold = fields.text("At most", "For cost: US dollars.", inputmode="decimal")
    window = fields.choice("In", fields.WINDOWS)
    length = fields.text("Length", "Of a rolling or fixed window.", inputmode="numeric")
    length_unit = fields.choice("Unit", fields.SPAN_UNITS)
    timezone = fields.text("Time zone", "Of calendar windows.", list="timezones")
    week_start = fields.choice("Week starts on", fields.WEEKDAYS)

    @property
    def is_blank(self) -> bool:
        """Whether no amount was typed: then the limit is not wanted."""
        return not self["threshold"].value()

    def limit(self) -> Document:
        """Return the limit as JSON."""
        return fields.limit_of(fields.typed(self))


class PolicyForm(forms.Form):
    """What every type of policy has."""

    type_name: str = ""

    name = fields.text("Name")
    description = fields.long_text("Description", "Optional. Why this policy exists.")
    bot = fields.choice("Bot", [])
    project = fields.choice("Project", [])
    user = fields.text("User", "Optional. One end user, as your calls name them.")
    rollout_mode = fields.radio("Mode", fields.ROLLOUT)
    reason = fields.text("Why this change?", "Optional. Kept with the revision.")
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        bots: Sequence[Bot],
        projects: Sequence[Project],
        document: Document | None = None,
        **initial: Any,
    ) -> None:
        self.before = document or {}
        self.sent = data
        super().__init__(data, initial={**self.shown(self.before), **initial})
        self.fields["bot"].choices = fields.rows_of(bots, "Every bot")  # type: ignore[attr-defined]
        self.fields["project"].choices = fields.rows_of(projects, "Every project")  # type: ignore[attr-defined]

    def shown(self, document: Document) -> Document:
        """Return a document as the fields show it."""
        scope = document.get("scope", {})
        return {
            "name": document.get("name", ""),
            "description": document.get("description", ""),
            "rollout_mode": document.get("rollout_mode", "enforce"),
            **{field: scope.get(field, "") for field in SCOPE_FIELDS},
        }

    def document(self) -> Document:
        """Return what was typed as a document, not yet judged."""
        typed = fields.typed(self)
        named = {field: typed.get(field, "") for field in SCOPE_FIELDS}
        return {
            **deepcopy(self.before),
            "type": self.type_name,
            "name": typed["name"],
            "description": typed["description"].replace("\r\n", "\n"),
            "scope": {field: value for field, value in named.items() if value},
            "rollout_mode": typed["rollout_mode"],
        }

    def parsed(self) -> Document | None:
        """Return the canonical document, or None after telling the fields why not."""
        if not self.is_valid():
            return None
        try:
            return parse(self.document())
        except InvalidPolicy as error:
            self.blame((each.pointer, each.detail) for each in error.problems)
            return None

    def renew(self, revision: int) -> None:
        """Let the next save replace this revision, with all that was typed kept."""
        if self.sent is not None:
            data = self.sent.copy()
            data["revision"] = str(revision)
            self.data = data

    def blame(self, problems: Iterable[tuple[str, str]]) -> None:
        """Put each problem beside the field that its JSON pointer names."""
        for pointer, detail in problems:
            self.blame_field(_place(pointer), detail, pointer)

    def blame_field(self, place: str, detail: str, pointer: str) -> None:
        """Put one problem beside a field; without such a field, above the form."""
        if place in self.fields:
            self.add_error(place, _told(pointer, detail))
        else:
            self.add_error(None, f"{pointer or '/'}: {detail}")


class RetentionForm(PolicyForm):
    """A retention policy."""

    type_name = "retention"

    target = fields.choice("Delete", fields.TARGETS)
    max_age_days = fields.text("After (days)", "", inputmode="numeric")

    def shown(self, document: Document) -> Document:
        rule = document.get("retention", {"target": "conversations"})
        return {**super().shown(document), **rule}

    def document(self) -> Document:
        typed = fields.typed(self)
        rule = {"target": typed["target"], "max_age_days": typed["max_age_days"]}
        rule["max_age_days"] = fields.number(rule["max_age_days"])
        return {**super().document(), "retention": rule}


class ContentForm(PolicyForm):
    """A content policy of the gateway."""

    type_name = "content"

    model = fields.text("Model", "Optional. May end with *, such as gpt-4*.")
    direction = fields.choice("Look at", fields.DIRECTIONS)
    action = fields.radio("When something is found", fields.CONTENT_ACTIONS)
    categories = fields.several("Look for", fields.CATEGORIES)
    denylist = fields.long_text(
        "And for these phrases",
        "One a line. RE2 patterns too, such as proj-\\d+; re: in front says that a"
        " line is one.",
    )
    allowlist = fields.long_text("But never mind these", "One a line.")
    rollout_percent = fields.text("Share of users (per cent)", "", inputmode="numeric")

    def shown(self, document: Document) -> Document:
        content = document.get("content", {"direction": "both", "action": "redact"})
        return {
            **super().shown(document),
            "direction": content["direction"],
            "action": content["action"],
            "categories": content.get("categories", []),
            "denylist": "\n".join(content.get("denylist", [])),
            "allowlist": "\n".join(content.get("allowlist", [])),
            "rollout_percent": document.get("rollout_percent", 100),
        }

    def document(self) -> Document:
        typed = fields.typed(self)
        return {
            **super().document(),
            "rollout_percent": fields.number(typed["rollout_percent"]),
            "content": {
                "direction": typed["direction"],
                "action": typed["action"],
                "categories": typed["categories"],
                "denylist": _lines(typed["denylist"]),
                "allowlist": _lines(typed["allowlist"]),
            },
        }


class UsageForm(PolicyForm):
    """A usage policy, with its limits as rows of their own."""

    type_name = "usage"

    model = fields.text("Model", "Optional. May end with *, such as gpt-4*.")
    group_by = fields.several("Count apart for each", fields.SUBJECTS)
    warn = fields.box("Warn", "The answer says so; nothing is refused.")
    throttle = fields.box("Throttle", "Refuse each call that is over the limit.")
    block = fields.box("Block", "Refuse all its calls for a while.")
    block_for = fields.text("Block for", "Empty: until the window ends.")
    block_unit = fields.choice("Unit", fields.SPAN_UNITS)
    revoke = fields.box("Revoke", "Take the bot's keys, until a person restores it.")
    email = fields.box("E-mail", "Tell people once in each window.")
    email_to = fields.long_text("Addresses", "One a line. Empty: the account's owners.")
    alert_steps = fields.text("Tell at (per cent)", "Such as 80, 100.")
    rollout_percent = fields.text("Share of users (per cent)", "", inputmode="numeric")
    fail_mode = fields.choice("If nothing can be decided", fields.FAIL_MODES)
    on_unpriced = fields.choice("A model without a price", fields.UNPRICED)
    notify_in_shadow = fields.box("Send e-mails in shadow too", "")
    hold_tokens = fields.text("tokens")
    hold_input_tokens = fields.text("input tokens")
    hold_output_tokens = fields.text("output tokens")
    hold_messages = fields.text("messages")
    hold_calls = fields.text("calls")
    hold_cost = fields.text("cost in dollars")

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
            **fields.usage_of(fields.typed(self), self.before),
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
        form.add_error(row[2], _told(pointer, detail))
        if not self.non_field_errors():
            self.add_error(None, "A limit is not right; see below.")

    def _limit_forms(self, data: QueryDict | None) -> list[LimitForm]:
        plain = fields.limit_shown({}, zone=self.zone, week_start=self.monday)
        if data is None:
            written = self.before.get("limits") or [{}]
            shown = [
                fields.limit_shown(each, zone=self.zone, week_start=self.monday)
                for each in written
            ]
            return [
                LimitForm(prefix=f"limits-{index}", initial=each)
                for index, each in enumerate(shown)
            ]
        count = _row_count(data)
        filled = [
            LimitForm(data, prefix=f"limits-{index}")
            for index in range(count)
            if f"limits-{index}-metric" in data
        ]
        if "add_limit" in data and len(filled) < MAX_LIMITS:
            filled.append(LimitForm(prefix=f"limits-{count}", initial=plain))
        return filled or [LimitForm(prefix="limits-0", initial=plain)]


FORMS: Mapping[str, type[PolicyForm]] = {
    "usage": UsageForm,
    "retention": RetentionForm,
    "content": ContentForm,
}


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _row_count(data: QueryDict) -> int:
    rows = (re.fullmatch(r"limits-(\d{1,2})-metric", name) for name in data)
    return min(MAX_LIMITS, 1 + max((int(row[1]) for row in rows if row), default=-1))


def _place(pointer: str) -> str:
    for pattern, place in PLACES:
        found = re.fullmatch(pattern, pointer)
        if found:
            return found.expand(place)
    return ""


def _told(pointer: str, detail: str) -> str:
    entry = re.search(r"/(to|alert_steps)/(\d+)$", pointer)
    if entry:
        return f"Entry {int(entry[2]) + 1} {detail}."
    span = " seconds" if pointer.endswith("seconds") else ""
    return f"This {detail}{span}."
