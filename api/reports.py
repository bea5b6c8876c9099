"""What was used: by time (`/usage/series`) and by whom (`/usage/attribution`)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import ids
from accounts.selectors import bots, keys, projects
from accounts.tables import csv_text
from api import examples
from api.callers import Caller
from api.endpoint import Endpoint
from api.moments import moment_text
from api.report_queries import (
    FILTER_TEXTS,
    FILTERS,
    bucket_in,
    choice_in,
    count_in,
    edges_in,
    filters_of,
    metrics_in,
    period_in,
)
from api.schema import operation
from api.schema_components import ref
from api.tables import CsvRenderer
from policies.rules import METRICS, micros_to_cost
from usage.reports import (
    GROUPS,
    Group,
    Report,
    Row,
    Sums,
    as_of,
    grain_of,
    less,
    none,
    slices_of,
)
from usage.rollups import catch_up

_PREFIX: Final = {"project": "prj", "bot": "bot", "key": "key"}
_ERRORS_FROM: Final = 400
_ORDERS: Final = ("cost", "tokens", "calls")
_MOST_GROUPS: Final = 50
_MOST_ROWS: Final = 1_000
_NONE, _OTHER = "(none)", "(other)"

_USED: Final = {
    "tokens": 48_210,
    "input_tokens": 40_000,
    "output_tokens": 8_210,
    "messages": 120,
    "conversations": 14,
    "calls": 96,
    "cost": "0.6421",
    "unpriced": 0,
}
_SERIES: Final = {
    "bucket": "day",
    "from": "2026-03-01T00:00:00Z",
    "to": "2026-03-02T00:00:00Z",
    "timezone": "UTC",
    "week_start": 1,
    "as_of": examples.MORNING,
    "group_by": None,
    "metrics": list(METRICS),
    "totals": _USED,
    "data": [{"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z", **_USED}],
    "previous": None,
}
_ATTRIBUTION: Final = {
    "from": "2026-03-01T00:00:00Z",
    "to": "2026-04-01T00:00:00Z",
    "timezone": "UTC",
    "as_of": examples.MORNING,
    "group_by": "bot",
    "order": "cost",
    "totals": _USED,
    "data": [
        {
            "group": examples.BOT_ID,
            "name": "Support bot",
            "other": False,
            "share": 1.0,
            **_USED,
        }
    ],
}


def _parameters(**described: str) -> list[OpenApiParameter]:
    return [
        OpenApiParameter(name.rstrip("_"), OpenApiTypes.STR, description=text)
        for name, text in {**described, **FILTER_TEXTS}.items()
    ]


class ReportEndpoint(Endpoint):
    """A report, as JSON or as CSV (`Accept: text/csv` or `?format=csv`)."""

    scopes = {"GET": "usage:read"}
    renderer_classes = [JSONRenderer, CsvRenderer, BrowsableAPIRenderer]

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Answer errors as problems, also where a table was asked for."""
        if response.status_code >= _ERRORS_FROM:
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = "application/json"
        return super().finalize_response(request, response, *args, **kwargs)

    def answered(
        self, answer: dict[str, Any], columns: Sequence[str], name: str
    ) -> Response:
        """Answer a report in the form that was asked for; a table is its rows."""
        if getattr(self.request.accepted_renderer, "format", "") != "csv":
            return Response(answer)
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return Response(csv_text(columns, answer["data"]), headers=headers)


class Series(ReportEndpoint):
    """What was used over time."""

    queries = FILTERS | {
        "format",
        "bucket",
        "from",
        "to",
        "metrics",
        "group_by",
        "limit",
        "previous",
    }

    @operation(
        "usage_series",
        "Read what was used over time",
        answer=ref("UsageSeries"),
        table=True,
        shows=_SERIES,
        parameters=_parameters(
            bucket="hour, day (if absent), week, month, quarter or year",
            from_="a date or moment; its bucket is the first one",
            format_="csv: a table",
            to="a date or moment, not included; if absent the bucket under way ends it",
            metrics="some of the metrics, with commas; all if absent",
            group_by="project, bot, user, model or key",
            limit="how many groups, 1 to 50; 10 if absent. The rest is one more",
            previous="true: also as many buckets right before these",
        ),
    )
    def get(self, request: Request) -> Response:
        """Read buckets of the account's zone, oldest first; groups, largest first."""
        now, account = timezone.now(), self.caller.account
        bucket, metrics = bucket_in(self), metrics_in(self)
        edges, before = edges_in(self, now, bucket)
        shown = _Shown(self, bucket, metrics)
        limit = count_in(self, "limit", 10, _MOST_GROUPS)
        previous = self.flag("previous")
        catch_up(now=now)
        answer = {
            "bucket": bucket,
            "from": moment_text(edges[0]),
            "to": moment_text(edges[-1]),
            "timezone": account.timezone,
            "week_start": account.week_start,
            "as_of": moment_text(as_of()),
            "group_by": shown.group_by,
            "metrics": metrics,
            **shown.over(edges, limit),
            "previous": shown.over(before, limit) if previous else None,
        }
        columns = ["start", "end", *shown.columns, *shown.figures]
        return self.answered(answer, columns, f"usage-by-{bucket}")


class Attribution(ReportEndpoint):
    """Who used how much in a billing period."""

    queries = FILTERS | {"format", "period", "from", "to", "group_by", "order", "limit"}

    @operation(
        "usage_attribution",
        "Read who used how much",
        answer=ref("UsageAttribution"),
        table=True,
        shows=_ATTRIBUTION,
        parameters=_parameters(
            period="a year, month or day such as 2026-03; this month if absent",
            from_="instead: a date or moment",
            format_="csv: a table",
            to="with from: a date or moment, not included; now if absent",
            group_by="bot (if absent), user, project, model or key",
            order="what sorts and shares are of: cost (if absent), tokens or calls",
            limit="how many groups, 1 to 1000; 100 if absent. The rest is one more",
        ),
    )
    def get(self, request: Request) -> Response:
        """Read the sums of each group in a period of the account's zone."""
        now, account = timezone.now(), self.caller.account
        start, end = period_in(self, now)
        group_by = choice_in(self, "group_by", GROUPS) or "bot"
        order = choice_in(self, "order", _ORDERS) or "cost"
        limit = count_in(self, "limit", 100, _MOST_ROWS)
        filters = filters_of(self)
        catch_up(now=now)
        slices = slices_of(account, start, end)
        orders = [order, *(name for name in _ORDERS if name != order)]
        found = Report(account, filters, group_by).ranked(
            slices, order=orders, limit=limit + 1
        )
        whole = Report(account, filters).totals(slices)[0][1]
        groups = _with_rest(found, whole, limit)
        names = _names(self.caller, group_by, [group for group, _, _ in groups])
        data = [
            {
                **_label(group_by, group, names, other=other),
                "share": _share(sums[order], whole[order]),
                **_figures(sums, METRICS),
            }
            for group, sums, other in groups
        ]
        answer = {
            "from": moment_text(start),
            "to": moment_text(end),
            "timezone": account.timezone,
            "as_of": moment_text(as_of()),
            "group_by": group_by,
            "order": order,
            "totals": _figures(whole, METRICS),
            "data": data,
        }
        columns = ["group", "name", "share", *METRICS, "unpriced"]
        return self.answered(answer, columns, f"attribution-{start:%Y-%m-%d}")


_Rows = Iterable[tuple[int, dict[str, Any], Sums]]


class _Shown:
    """How a series is shown: its groups, its metrics, its filters."""

    def __init__(self, endpoint: Endpoint, bucket: str, metrics: Sequence[str]) -> None:
        self.caller, self.metrics = endpoint.caller, metrics
        self.group_by = choice_in(endpoint, "group_by", GROUPS)
        self.filters = filters_of(endpoint)
        self.grain = grain_of(bucket)
        self.columns = ["group", "name"] if self.group_by else []
        self.figures = [*metrics, *(["unpriced"] if "cost" in metrics else [])]

    def over(self, edges: Sequence[datetime], limit: int) -> dict[str, Any]:
        """Return the totals and the rows of some buckets."""
        account = self.caller.account
        plain = Report(account, self.filters)
        whole = [none() for _ in edges[1:]]
        for row in plain.series(edges, self.grain):
            whole[row.bucket] = row.sums
        total = _added(whole)
        if self.group_by is None:
            rows: _Rows = [(n, {}, sums) for n, sums in enumerate(whole)]
        else:
            rows = self._grouped(edges, whole, limit)
        data = [
            {
                "start": moment_text(edges[n]),
                "end": moment_text(edges[n + 1]),
                **label,
                **_figures(sums, self.metrics),
            }
            for n, label, sums in rows
        ]
        return {"totals": _figures(total, self.metrics), "data": data}

    def _grouped(
        self, edges: Sequence[datetime], whole: list[Sums], limit: int
    ) -> _Rows:
        """Give the rows in which a group used something, by bucket and size."""
        account, group_by = self.caller.account, self.group_by or ""
        report = Report(account, self.filters, group_by)
        order = [self.metrics[0], *(n for n in _ORDERS if n != self.metrics[0])]
        slices = slices_of(account, edges[0], edges[-1])
        largest = report.largest(slices, order=order, limit=limit + 1)
        ranks = {group: n for n, group in enumerate(largest[:limit])}
        if not ranks:
            return
        names = _names(self.caller, group_by, ranks)
        by_bucket: list[list[Row]] = [[] for _ in whole]
        for row in report.series(edges, self.grain, ranks):
            by_bucket[row.bucket].append(row)
        for n, rows in enumerate(by_bucket):
            for row in sorted(rows, key=lambda row: ranks[row.group]):
                yield n, _label(group_by, row.group, names), row.sums
            rest = less(whole[n], (row.sums for row in rows))
            if len(largest) > limit and rest["events"] > 0:
                yield n, _label(group_by, None, names, other=True), rest


def _added(parts: Iterable[Sums]) -> Sums:
    total = none()
    for part in parts:
        for name, amount in part.items():
            total[name] += amount
    return total


def _with_rest(
    found: Sequence[tuple[Group, Sums]], whole: Sums, limit: int
) -> list[tuple[Group, Sums, bool]]:
    """Return the groups, and all others as one more if there are any."""
    shown: list[tuple[Group, Sums, bool]] = [(g, s, False) for g, s in found[:limit]]
    if len(found) > limit:
        shown.append((None, less(whole, (sums for _, sums, _ in shown)), True))
    return shown


def _names(caller: Caller, group_by: str, groups: Iterable[Group]) -> dict[UUID, str]:
    """Return what the groups are called that the caller may know of."""
    wanted = [group for group in groups if isinstance(group, UUID)]
    account, project = caller.account, caller.project
    rows: QuerySet[Any]
    if group_by == "project":
        rows = projects(account, project=project, include_archived=True)
    elif group_by == "bot":
        rows = bots(account, project=project, include_archived=True)
    elif group_by == "key":
        rows = keys(account, project=project)
    else:
        return {}
    # One parameter, not a thousand: the statement stays the same and is kept.
    named = RawSQL("SELECT unnest(%s::uuid[])", [wanted])
    return dict(rows.filter(id__in=named).values_list("id", "name"))


def _label(
    group_by: str, group: Group, names: Mapping[UUID, str], *, other: bool = False
) -> dict[str, Any]:
    if group is None:
        return {"group": None, "name": _OTHER if other else _NONE, "other": other}
    if isinstance(group, UUID):
        shown = ids.encode_id(_PREFIX[group_by], group)
        return {"group": shown, "name": names.get(group), "other": False}
    return {"group": group, "name": group, "other": False}


def _figures(sums: Sums, metrics: Sequence[str]) -> dict[str, Any]:
    """Return sums as they are answered. A cost of which nothing is known is null."""
    shown: dict[str, Any] = {name: sums[name] for name in metrics if name != "cost"}
    if "cost" not in metrics:
        return shown
    unknown = sums["unpriced"] == sums["events"] > 0
    shown["cost"] = None if unknown else micros_to_cost(sums["cost"])
    shown["unpriced"] = sums["unpriced"]
    return {name: shown[name] for name in (*metrics, "unpriced")}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
