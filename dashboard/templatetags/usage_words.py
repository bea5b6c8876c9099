"""What metrics, buckets and groups are called on the pages about usage."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from django import template
from django.utils.functional import Promise
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy, pgettext_lazy

from dashboard.usage_caps import window_text
from dashboard.usage_series import Named
from policies.rules import Window

register = template.Library()

METRICS: Final[Mapping[str, Promise]] = {
    "tokens": gettext_lazy("Tokens"),
    "input_tokens": gettext_lazy("Input tokens"),
    "output_tokens": gettext_lazy("Output tokens"),
    "messages": gettext_lazy("Messages"),
    "conversations": gettext_lazy("Conversations"),
    "calls": gettext_lazy("Calls"),
    "cost": gettext_lazy("Cost"),
}
BUCKETS: Final[Mapping[str, Promise]] = {
    "hour": pgettext_lazy("a bar of a chart", "Hour"),
    "day": pgettext_lazy("a bar of a chart", "Day"),
    "week": pgettext_lazy("a bar of a chart", "Week"),
    "month": pgettext_lazy("a bar of a chart", "Month"),
}
GROUPS: Final[Mapping[str, Promise]] = {
    "project": gettext_lazy("Project"),
    "bot": gettext_lazy("Bot"),
    "user": gettext_lazy("User"),
    "model": gettext_lazy("Model"),
    "key": gettext_lazy("API key"),
}


@register.filter
def metric_name(metric: str) -> str:
    """Name a metric."""
    return str(METRICS.get(metric, metric))


@register.filter
def bucket_name(bucket: str) -> str:
    """Name the length of a bar."""
    return str(BUCKETS.get(bucket, bucket))


@register.filter
def group_name(group: str) -> str:
    """Name what usage is split by."""
    return str(GROUPS.get(group, group))


@register.simple_tag
def options(known: Iterable[Named], chosen: str | None) -> SafeString:
    """Write what a filter offers: some of it is hundreds of names."""
    rows = (
        f'<option value="{escape(each.id)}"{" selected" if each.id == chosen else ""}>'
        f"{escape(each.name)}</option>"
        for each in known
    )
    # Each text is escaped where it is put in.
    return mark_safe("".join(rows))  # noqa: S308


@register.simple_tag
def cells(table: Iterable[Sequence[str]]) -> SafeString:
    """Write the rows of a table of numbers, each after what it is about."""
    rows = (
        f"<tr><td>{escape(name)}</td>"
        + "".join(f'<td class="number">{escape(text)}</td>' for text in numbers)
        + "</tr>"
        for name, *numbers in table
    )
    # Each text is escaped where it is put in.
    return mark_safe("".join(rows))  # noqa: S308


@register.simple_tag
def percent(part: int, whole: int) -> str:
    """Say a share in per cent; little is less than 1, not nothing."""
    if not whole:
        return "—"
    share = part * 100 / whole
    return "< 1 %" if 0 < share < 1 else f"{share:.0f} %"


@register.filter
def as_json(value: object) -> str:
    """Write a value as JSON; text as it is, and nothing as a dash."""
    if value is None:
        return "—"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@register.filter
def window_name(window: Window) -> str:
    """Name a limit's window."""
    return window_text(window)
