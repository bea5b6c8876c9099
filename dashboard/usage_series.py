"""What was used in each bucket, by whom: numbers for the usage page, from summaries.

A bucket's groups are the largest of the whole stretch, and one more for all others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import CharField, F, QuerySet, Value
from django.utils.translation import gettext

from accounts import ids
from accounts.models import Account, SavedView
from accounts.selectors import bots, keys, projects
from dashboard.usage_query import Asked
from usage.reports import Group, Report, Sums, grain_of, slices_of

# As many colours are told apart; whoever wants more looks at the table of one.
GROUPS_SHOWN = 6
# What a filter offers of each kind; what is not among them can be typed.
OFFERED = 300

_PREFIX = {"project": "prj", "bot": "bot", "key": "key", "view": "viw"}


@dataclass(frozen=True, slots=True)
class Named:
    """A bot, a project or a key that a filter offers; `group` is its row's id.

    Or a saved view, with its `query`.
    """

    kind: str
    group: UUID
    id: str
    name: str
    query: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What one group used in each bucket; `only` is the query that shows it alone."""

    name: str
    only: str
    other: bool
    values: list[int]

    @property
    def total(self) -> int:
        """What it used in all buckets."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Used:
    """What was used. `whole` has a value for each bucket, `before` for earlier ones.

    `unpriced` counts the events without a price, `events` all, in the shown buckets.
    """

    whole: list[int]
    before: list[int]
    parts: list[Part]
    events: int
    unpriced: int


def offered(
    account: Account,
    *,
    with_keys: bool,
    views: QuerySet[SavedView] | None = None,
) -> list[Named]:
    """Return what people may filter by, by name; with saved `views`, these too."""
    kinds: list[tuple[str, QuerySet[Any]]] = [
        ("bot", bots(account)),
        ("project", projects(account)),
    ]
    if with_keys:
        kinds.append(("key", keys(account)))
    if views is not None:
        kinds.append(("view", views))
    first, *others = [
        rows.annotate(
            kind=Value(kind, output_field=CharField()),
            text=F("query") if kind == "view" else Value("", CharField()),
        )
        .order_by("name", "id")
        .values_list("kind", "id", "name", "text")[:OFFERED]
        for kind, rows in kinds
    ]
    found = first.union(*others, all=True)
    return [
        Named(kind, key, ids.encode_id(_PREFIX[kind], key), name, text)
        for kind, key, name, text in found
    ]


def used(
    account: Account, asked: Asked, lead: Sequence[datetime], known: Sequence[Named]
) -> Used:
    """Read what was used; `lead` are the edges before those that are shown.

    The last edge of the lead is the first one shown.
    """
    grain = grain_of(asked.bucket)
    edges = [*lead[:-1], *asked.edges]
    report = Report(account, asked.filters)
    names = list(dict.fromkeys([asked.metric, "events", "unpriced"]))
    rows = report.series(edges, grain, names=names)
    sums = {row.bucket: row.sums for row in rows}
    skipped = len(lead) - 1
    values = [_of(sums.get(n), asked.metric) for n in range(len(edges) - 1)]
    shown = [row for n, row in sums.items() if n >= skipped]
    return Used(
        whole=values[skipped:],
        before=values[:skipped],
        parts=_parts(report, asked, values[skipped:], known),
        events=sum(row["events"] for row in shown),
        unpriced=sum(row["unpriced"] for row in shown),
    )


def _parts(
    whole_report: Report, asked: Asked, whole: list[int], known: Sequence[Named]
) -> list[Part]:
    if asked.group_by is None or not any(whole):
        return []
    report = whole_report.by(asked.group_by)
    slices = slices_of(report.account, asked.edges[0], asked.edges[-1])
    order = (asked.metric, "events")
    largest = report.largest(slices, order=order, limit=GROUPS_SHOWN + 1)
    groups = largest[:GROUPS_SHOWN]
    values = {group: [0] * len(whole) for group in groups}
    grain = grain_of(asked.bucket)
    for row in report.series(asked.edges, grain, groups, names=[asked.metric]):
        values[row.group][row.bucket] += row.sums[asked.metric]
    names = {each.group: each.name for each in known}
    parts = [_part(asked, group, values[group], names) for group in groups]
    if len(largest) > GROUPS_SHOWN:
        rest = [
            max(0, all_ - sum(values[group][n] for group in groups))
            for n, all_ in enumerate(whole)
        ]
        parts.append(Part(gettext("All others"), "", True, rest))
    return parts


def _part(
    asked: Asked, group: Group, values: list[int], names: Mapping[UUID, str]
) -> Part:
    kind = asked.group_by or ""
    if group is None:
        only = asked.only(kind, None) if kind in ("project", "user", "model") else ""
        return Part(_without(kind), only, False, values)
    if isinstance(group, UUID):
        public = ids.encode_id(_PREFIX[kind], group)
        return Part(names.get(group, public), asked.only(kind, public), False, values)
    return Part(group, asked.only(kind, group), False, values)


def _without(kind: str) -> str:
    told = {
        "project": gettext("No project"),
        "user": gettext("No user"),
        "model": gettext("No model"),
        "key": gettext("No key"),
    }
    return told.get(kind, "—")


def _of(sums: Sums | None, metric: str) -> int:
    return 0 if sums is None else sums[metric]
