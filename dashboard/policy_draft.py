"""What the forms of all policies have: fields in, a document out, problems back.

The forms check nothing themselves. They turn what was typed into the JSON that the API
takes too; `policies.rules.parse` judges it, and each of its problems goes to the field
that its pointer names.
"""

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.models import Bot, Project
from accounts.saying import say
from alerts.models import Webhook
from dashboard import policy_choices as choices
from dashboard import policy_fields as fields
from dashboard.faults import told
from policies.rules import SCOPE_FIELDS, InvalidPolicy, parse

Document = dict[str, Any]
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
    (r"/actions/webhook.*", "webhook_to"),
    (r"/actions.*", "warn"),
    (r"/alert_steps.*", "alert_steps"),
    (r"/default_hold/(\w+)", r"hold_\1"),
    (r"/retention/(target|max_age_days)", r"\1"),
    (r"/content/(direction|categories|action|denylist|allowlist).*", r"\1"),
    (r"/(rollout_mode|rollout_percent|fail_mode|on_unpriced|notify_in_shadow)", r"\1"),
)


class PolicyForm(forms.Form):
    """What every type of policy has."""

    type_name: str = ""

    name = fields.text(_("Name"))
    description = fields.long_text(
        _("Description"), _("Optional. Why this policy exists.")
    )
    bot = fields.choice(_("Bot"), [])
    project = fields.choice(_("Project"), [])
    user = fields.text(_("User"), _("Optional. One end user, as your calls name them."))
    rollout_mode = fields.radio(_("Mode"), choices.ROLLOUT)
    reason = fields.text(_("Why this change?"), _("Optional. Kept with the revision."))
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        bots: Sequence[Bot],
        projects: Sequence[Project],
        webhooks: Sequence[Webhook] = (),
        document: Document | None = None,
        **initial: Any,
    ) -> None:
        self.before = document or {}
        super().__init__(data, initial={**self.shown(self.before), **initial})
        self._offer("bot", choices.rows_of(bots, _("Every bot")))
        self._offer("project", choices.rows_of(projects, _("Every project")))
        if "webhook_to" in self.fields:
            self._offer("webhook_to", choices.endpoints_of(webhooks))

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

    def parsed(self, *, unnamed: str = "") -> Document | None:
        """Return the canonical document, or None after telling the fields why not.

        `unnamed` is taken for a name that is not typed yet.
        """
        if not self.is_valid():
            return None
        try:
            written = self.document()
            return parse({**written, "name": written["name"] or unnamed})
        except InvalidPolicy as error:
            self.blame((each.pointer, each.detail) for each in error.problems)
            return None

    def named(self) -> dict[str, str]:
        """Return what people call the bots and projects that the form offers."""
        offered = [*self._offered("bot"), *self._offered("project")]
        return {str(public_id): str(name) for public_id, name in offered if public_id}

    def blame(self, problems: Iterable[tuple[str, str]]) -> None:
        """Put each problem beside the field that its JSON pointer names."""
        for pointer, detail in problems:
            self.blame_field(_place(pointer), detail, pointer)

    def blame_field(self, place: str, detail: str, pointer: str) -> None:
        """Put one problem beside a field; without such a field, above the form."""
        if place in self.fields:
            self.add_error(place, told(pointer, detail))
        else:
            self.add_error(None, f"{pointer or '/'}: {say(detail)}")

    def _offer(self, field: str, offered: choices.Choices) -> None:
        self.fields[field].choices = offered  # type: ignore[attr-defined]

    def _offered(self, field: str) -> choices.Choices:
        found: choices.Choices = self.fields[field].choices  # type: ignore[attr-defined]
        return found


def _place(pointer: str) -> str:
    for pattern, place in PLACES:
        found = re.fullmatch(pattern, pointer)
        if found:
            return found.expand(place)
    return ""
