"""Choosing a row among thousands in the admin, under the strict policy.

Django's own widget (select2) writes style attributes, which our policy blocks. This
one is a search box and a plain list beside it, filled from the same address, so the
admin's rights and search fields hold as they do there.
"""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext


def _fits(key: "models.Field[Any, Any]", value: str) -> bool:
    """Say whether a text may be a key: the database would not be asked otherwise."""
    try:
        key.to_python(value)
    except ValidationError:
        return False
    return True


class Chooser(AutocompleteSelect):
    """A list that a search box beside it narrows."""

    def build_attrs(
        self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Say of which field it is, as the address wants to know."""
        meta = self.field.model._meta  # noqa: SLF001
        return {
            **base_attrs,
            **(extra_attrs or {}),
            "data-app-label": meta.app_label,
            "data-model-name": meta.model_name,
            "data-field-name": self.field.name,
            "class": "chosen-row",
        }

    def optgroups(
        self, name: str, value: Sequence[str], attr: Any = None
    ) -> list[tuple[str | None, list[dict[str, Any]], int | None]]:
        """Offer the row that is chosen; what can be no row's key is none."""
        key = self.field.target_field
        return super().optgroups(name, [each for each in value if _fits(key, each)])

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: Any = None,
    ) -> SafeString:
        """Render the search box before the list."""
        listed = super().render(name, value, attrs, renderer)
        return format_html(
            '<input type="search" class="chooser vTextField" autocomplete="off"'
            ' data-list="{}" data-from="{}" aria-label="{}" placeholder="{}"> {}',
            (attrs or {}).get("id", ""),
            self.get_url(),
            gettext("Search: %(name)s") % {"name": self.field.verbose_name},
            gettext("Search"),
            listed,
        )

    @property
    def media(self) -> forms.Media:
        """The script that fills the list."""
        return forms.Media(js=("policyhub/chooser.js",))
