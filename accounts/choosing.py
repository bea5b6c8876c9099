"""Choosing a row among thousands in the admin, under the strict policy.

Django's own widget (select2) writes style attributes, which our policy blocks. This
one is a search box and a plain list beside it, filled from the same address, so the
admin's rights and search fields hold as they do there.
"""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext


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
