"""What the previews of policies say: spans, moments, and what a bar stands for."""

from datetime import UTC, datetime
from typing import Any, Final

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard.amounts import amount_text, duration_text, unit_text
from dashboard.charts import Stop
from dashboard.past_windows import Bucket, PastWindows
from dashboard.policy_fields import amount_shown
from policies.rules import micros_to_cost

register = template.Library()

_PER: Final = {
    "hour": _("%(what)s in the fullest hour of each day"),
    "span": _("%(what)s in the fullest span of each day"),
    "day": _("%(what)s of each day"),
    "week": _("%(what)s of each week"),
    "month": _("%(what)s of each month"),
    "quarter": _("%(what)s of each quarter"),
    "year": _("%(what)s of each year"),
    "total": _("%(what)s in all, counted from 30 days ago"),
}
_REACHED: Final = {
    "week": _("%(cap)s: reached in %(times)s of %(all)s weeks"),
    "month": _("%(cap)s: reached in %(times)s of %(all)s months"),
    "quarter": _("%(cap)s: reached in %(times)s of %(all)s quarters"),
    "year": _("%(cap)s: reached in %(times)s of %(all)s years"),
}
_ON_DAYS: Final = _("%(cap)s: reached on %(times)s of %(all)s days")
_LONG: Final = {"month": "M Y", "quarter": "M Y", "year": "Y"}


@register.filter
def span_text(seconds: int) -> str:
    """Show a span of time in its two largest units."""
    return duration_text(seconds)


@register.filter
def end_text(moment: datetime) -> str:
    """Show a moment in the account's zone."""
    # Translators: a moment of this or the next weeks, in Django's date format.
    return date_format(timezone.localtime(moment), gettext("D j M, H:i"))


@register.filter
def utc_text(moment: datetime) -> str:
    """Show a moment in UTC."""
    return date_format(moment.astimezone(UTC), gettext("D j M, H:i"))


@register.filter
def bar_title(bucket: Bucket, past: PastWindows) -> str:
    """Say which window a bar stands for."""
    # Translators: a day of the last weeks, in Django's date format.
    shape = _LONG.get(past.per) or gettext("D j M")
    return date_format(timezone.localtime(bucket.start), shape)


@register.filter
def past_title(past: PastWindows) -> str:
    """Say what the bars stand for."""
    metric = past.limit.metric
    what = gettext("Cost") if metric == "cost" else unit_text(metric, 2).capitalize()
    return _PER[past.per] % {"what": what}


@register.filter
def past_summary(past: PastWindows) -> str:
    """Say in a sentence what the picture of a cap on past usage shows."""
    metric, peak = past.limit.metric, past.peak
    if peak is None:
        return gettext("Nothing was used in this time.")
    told = gettext("Highest: %(amount)s (%(when)s).") % {
        "amount": amount_text(metric, peak.value),
        "when": bar_title(peak, past),
    }
    cap = amount_text(metric, past.limit.threshold)
    reached = len(past.reached)
    if not reached:
        never = gettext("The cap of %(cap)s was never reached.") % {"cap": cap}
        return f"{told} {never}"
    times = gettext("%(reached)s of %(all)s reached the cap of %(cap)s.") % {
        "reached": reached,
        "all": len(past.buckets),
        "cap": cap,
    }
    return f"{told} {times}"


@register.filter
def stop_text(stop: Stop, past: PastWindows) -> str:
    """Say how often a threshold would have been reached."""
    cap = amount_text(past.limit.metric, stop.threshold)
    return _reached(past, cap, str(stop.reached))


@register.filter
def stops_data(past: PastWindows) -> dict[str, Any]:
    """Return what the script of the slider needs: what to write, and what to say.

    `typed` is said of an amount between two stops, which `values` are counted for.
    """
    return {
        "stops": [
            {
                "at": _plain(stop.threshold, past),
                "text": stop_shown(stop, past),
                "said": stop_text(stop, past),
            }
            for stop in past.stops
        ],
        "values": [_plain(each.value, past) for each in past.buckets if each.value],
        "typed": _reached(past, "{cap}", "{times}"),
    }


@register.filter
def stop_shown(stop: Stop, past: PastWindows) -> str:
    """Show a threshold as the field of the form takes it."""
    if past.limit.metric == "cost":
        return str(micros_to_cost(stop.threshold))
    return amount_shown(past.limit.metric, stop.threshold)


@register.filter
def stop_place(past: PastWindows) -> int:
    """Return where among the stops the threshold is that is written."""
    return [each.threshold for each in past.stops].index(past.limit.threshold)


def _plain(amount: int, past: PastWindows) -> float:
    return amount / 1_000_000 if past.limit.metric == "cost" else amount


def _reached(past: PastWindows, cap: str, times: str) -> str:
    values = {"cap": cap, "times": times, "all": len(past.buckets)}
    return str(_REACHED.get(past.per, _ON_DAYS)) % values


@register.filter
def words_of(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()
