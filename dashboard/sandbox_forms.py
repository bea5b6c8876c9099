"""The form of the sandbox: a call that nobody makes."""

import json
from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Bot
from dashboard.forms import ServiceForm
from policies.rules import MAX_INTEGER, cost_to_micros, micros_to_cost

COUNTS: Final = ("tokens", "input_tokens", "output_tokens", "messages", "calls")


def _count(label: Any) -> forms.IntegerField:
    return forms.IntegerField(
        label=label, min_value=0, max_value=MAX_INTEGER, required=False
    )


class SandboxForm(ServiceForm):
    """Who would call what, and how much it is expected to use."""

    bot = forms.ChoiceField(label=_("Bot"))
    user = forms.CharField(
        label=_("User"),
        max_length=256,
        required=False,
        help_text=_("Empty: the bot's owner, if it has one."),
    )
    model = forms.CharField(label=_("Model"), max_length=200, required=False)
    tokens = _count(_("Tokens"))
    input_tokens = _count(_("Input tokens"))
    output_tokens = _count(_("Output tokens"))
    messages = _count(_("Messages"))
    calls = _count(_("Calls"))
    cost = forms.CharField(
        label=_("Cost in USD"),
        max_length=20,
        required=False,
        help_text=_("Empty: by the model's price."),
    )

    def __init__(self, data: Any = None, *, bots: Sequence[Bot]) -> None:
        super().__init__(data)
        offered = [(each.public_id, each.name) for each in bots]
        self.fields["bot"].choices = offered  # type: ignore[attr-defined]

    def clean_cost(self) -> int | None:
        """Return micro-USD."""
        text: str = self.cleaned_data["cost"].strip().removeprefix("$")
        if not text:
            return None
        try:
            return cost_to_micros(text)
        except ValueError as wrong:
            raise forms.ValidationError(str(wrong)) from None

    def estimate(self) -> dict[str, int]:
        """Return what the call would use, as far as it was said."""
        given = self.cleaned_data
        return {
            name: given[name] for name in (*COUNTS, "cost") if given[name] is not None
        }

    def body(self) -> str:
        """Return the same as the body of `POST /authorize`."""
        given = self.cleaned_data
        said: dict[str, Any] = {"bot": given["bot"]}
        said |= {name: given[name] for name in ("user", "model") if given[name]}
        estimate: dict[str, Any] = dict(self.estimate())
        if "cost" in estimate:
            estimate["cost"] = micros_to_cost(estimate["cost"])
        if estimate:
            said["estimate"] = estimate
        return json.dumps(said, ensure_ascii=False)
