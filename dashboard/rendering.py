"""How forms are written: lists of choices by hand, all else by Django's templates.

A template for each of 600 time zones, or of 300 bots, takes longer than all else that
a page does.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.forms.renderers import DjangoTemplates
from django.http import HttpRequest
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

_SELECT: Final = "django/forms/widgets/select.html"
_OPTION: Final = "django/forms/widgets/select_option.html"


class QuickChoices(DjangoTemplates):
    """Writes what Django's templates would, and the lists in one go."""

    def render(
        self,
        template_name: str,
        context: dict[str, Any],
        request: HttpRequest | None = None,
    ) -> SafeString:
        """Render a widget."""
        widget = context.get("widget", {})
        if template_name == _SELECT and _is_plain(widget):
            # Each part is escaped where it is put together.
            return mark_safe("".join(_select(widget)))  # noqa: S308
        return mark_safe(super().render(template_name, context, request))  # noqa: S308


def _is_plain(widget: Mapping[str, Any]) -> bool:
    return all(
        option["template_name"] == _OPTION
        for _, options, _ in widget["optgroups"]
        for option in options
    )


def _attributes(named: Mapping[str, Any]) -> str:
    """Write attributes in the order of Django's template."""
    return "".join(
        f" {name}" if value is True else f' {name}="{conditional_escape(str(value))}"'
        for name, value in named.items()
        if value is not False
    )


def _select(widget: Mapping[str, Any]) -> Iterator[str]:
    name = conditional_escape(widget["name"])
    yield f'<select name="{name}"{_attributes(widget["attrs"])}>'
    for group, options, _ in widget["optgroups"]:
        if group:
            yield f'<optgroup label="{conditional_escape(group)}">'
        for option in options:
            value = conditional_escape(str(option["value"]))
            attributes = _attributes(option["attrs"]) if option["attrs"] else ""
            label = conditional_escape(option["label"])
            yield f'<option value="{value}"{attributes}>{label}</option>'
        if group:
            yield "</optgroup>"
    yield "</select>"
