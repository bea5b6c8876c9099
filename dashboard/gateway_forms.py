"""The forms of the gateway's page: an upstream, and a text to try policies on."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Project
from dashboard.forms import ServiceForm
from gateway.models import Upstream

# What the playground takes at once, characters.
LONGEST_TEXT: Final = 20_000
_MODELS = _(
    "One a line: the name your clients use, or name = the upstream’s name for it."
)


class UpstreamForm(ServiceForm):
    """A provider, new or changed."""

    name = forms.CharField(label=_("Name"), max_length=200)
    base_url = forms.CharField(
        label=_("Base URL"),
        max_length=2000,
        help_text=_("Such as https://api.example.com/v1"),
    )
    secret = forms.CharField(
        label=_("Its API key"),
        max_length=4000,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=_("Kept encrypted and never shown again. Empty: as it is."),
    )
    project = forms.ChoiceField(label=_("Project"), required=False)
    chat_models = forms.CharField(
        label=_("Chat models"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_MODELS,
    )
    embedding_models = forms.CharField(
        label=_("Embedding models"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_MODELS,
    )
    position = forms.IntegerField(
        label=_("Order"),
        min_value=0,
        max_value=1000,
        initial=0,
        help_text=_("Of several that serve a model, the smallest is asked first."),
    )
    total_seconds = forms.IntegerField(
        label=_("Longest answer (seconds)"), min_value=1, max_value=3600, initial=600
    )
    enabled = forms.BooleanField(label=_("In use"), required=False, initial=True)

    def __init__(
        self, data: Any = None, *, projects: Sequence[Project], **options: Any
    ) -> None:
        super().__init__(data, **options)
        self._projects = {each.public_id: each for each in projects}
        choices = [(each.public_id, each.name) for each in projects]
        self.fields["project"].choices = [("", _("Every project")), *choices]  # type: ignore[attr-defined]

    @staticmethod
    def of(upstream: Upstream) -> dict[str, Any]:
        """Return the form's values of an upstream; its secret stays unseen."""
        same = ("name", "base_url", "position", "total_seconds", "enabled")
        return {
            **{field: getattr(upstream, field) for field in same},
            "project": upstream.project.public_id if upstream.project else "",
            "chat_models": _written(upstream.chat_models),
            "embedding_models": _written(upstream.embedding_models),
        }

    def values(self) -> dict[str, Any]:
        """Return what a service takes; a secret that was not typed is left out."""
        typed = dict(self.cleaned_data)
        if not typed["secret"]:
            del typed["secret"]
        typed["project"] = self._projects.get(typed["project"])
        for field in ("chat_models", "embedding_models"):
            typed[field] = _read(typed[field])
        return typed


class PlaygroundForm(forms.Form):
    """A text to see what content policies make of it. It is stored nowhere."""

    text = forms.CharField(
        label=_("A text"),
        max_length=LONGEST_TEXT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    direction = forms.ChoiceField(
        label=_("As"),
        choices=[("response", _("an answer")), ("request", _("a prompt"))],
    )


def _written(models: Mapping[str, str]) -> str:
    return "\n".join(
        name if name == model else f"{name} = {model}" for name, model in models.items()
    )


def _read(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines() if line.strip())
    return {name.strip(): model.strip() or name.strip() for name, __, model in lines}
