"""What was used: a picture with its caps, a table, and both to take along."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.http import Http404, HttpResponse, JsonResponse

from accounts.selectors import saved_views
from accounts.tables import csv_text
from dashboard.saved_views import views_of
from dashboard.usage_caps import focus
from dashboard.usage_held import policies_and_held
from dashboard.usage_picture import (
    Picture,
    as_data,
    picture,
    table_of,
)
from dashboard.usage_query import BUCKETS, SPANS, Asked, asked
from dashboard.usage_series import Named, offered
from dashboard.usage_svg import svg_of
from dashboard.visits import Visit, page, render
from policies.rules import METRICS, micros_to_cost
from usage.reports import GROUPS

FORMS: Final = ("csv", "json")
COLUMNS: Final = ("start", "end", "group", "metric", "value")
MARKS_LISTED: Final = 5
PARTIAL_LISTED: Final = 8


@page()
def usage(visit: Visit) -> HttpResponse:
    """Show what was used over time beside the caps on it."""
    wanted, known = _wanted(visit)
    policies, held = policies_and_held(visit, wanted)
    shown = picture(visit, wanted, known, policies, held=held)
    context = {
        "asked": wanted,
        "picture": shown,
        "spans": [*SPANS.items()],
        "buckets": BUCKETS,
        "metrics": METRICS,
        "groups": [each for each in GROUPS if visit.may_audit or each != "key"],
        "known": {
            kind: [each for each in known if each.kind == kind]
            for kind in ("bot", "project", "key")
        },
        "strange": _strange(wanted, known),
        "views": views_of(
            visit,
            "usage",
            # What nobody has chosen is no view to be saved.
            wanted.query() if visit.request.GET else "",
            [each for each in known if each.kind == "view"],
        ),
        "site": visit.request.build_absolute_uri("/").rstrip("/"),
        **({} if shown.is_empty else _drawn(visit, shown)),
    }
    return render(visit, "usage.html", context, place="usage")


@page()
def export(visit: Visit, form: str) -> HttpResponse:
    """Give the same numbers as a table: CSV, or JSON."""
    if form not in FORMS:
        raise Http404
    wanted, known = _wanted(visit)
    policies, _ = policies_and_held(visit, wanted)
    rows = _rows(picture(visit, wanted, known, policies))
    name = f"usage-{visit.account.slug}-{wanted.edges[0]:%Y-%m-%d}"
    if form == "json":
        answer: HttpResponse = JsonResponse({"data": rows})
    else:
        text = csv_text(COLUMNS, rows)
        answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    answer["Cache-Control"] = "no-store"
    return answer


def _wanted(visit: Visit) -> tuple[Asked, list[Named]]:
    facts = visit.may_audit
    wanted = asked(visit.request.GET, visit.account, visit.now, with_keys=facts)
    views = saved_views(visit.account, visit.person, "usage")
    return wanted, offered(visit.account, with_keys=facts, views=views)


def _drawn(visit: Visit, shown: Picture) -> dict[str, Any]:
    wanted = shown.asked
    return {
        "drawn": svg_of(shown),
        "data": as_data(shown),
        "table": table_of(shown),
        "choices": [(each, wanted.query(window=each.key)) for each in shown.choices],
        "marks": shown.marks[:MARKS_LISTED],
        "partial": [
            {"policy": each.policy, "focus": focus(each, wanted)}
            for each in shown.partial[:PARTIAL_LISTED]
        ],
        **{
            form: visit.address("usage-export", form) + wanted.query() for form in FORMS
        },
    }


def _strange(wanted: Asked, known: Sequence[Named]) -> dict[str, str]:
    """Return the filters by id that a list does not offer: gone, or too many."""
    offers = {each.id for each in known}
    return {
        name: wanted.named[name]
        for name in ("bot", "project", "key")
        if name in wanted.named and wanted.named[name] not in offers
    }


def _rows(shown: Picture) -> list[dict[str, Any]]:
    edges, metric = shown.asked.edges, shown.asked.metric
    return [
        {
            "start": _instant(edges[n]),
            "end": _instant(edges[n + 1]),
            "group": part.name or None,
            "metric": metric,
            "value": micros_to_cost(value) if metric == "cost" else value,
        }
        for n in range(len(shown.buckets))
        for part in shown.parts
        if (value := part.values[n]) or not shown.used.parts
    ]


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
