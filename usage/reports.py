"""Reports: what was used, by group and by time. They read no events.

Where at most one of bot, user and key is asked for (as a group or as a filter), the
summaries answer, a month by one row for each; two of them at once are read from the
hourly rollups. Both give the same sums.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    DateTimeField,
    F,
    Func,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    Value,
)

from accounts.models import Account
from usage.models import HourlyRollup, RollupProgress, UsageSummary
from usage.summaries import SUMS, WHOLE, current
from usage.windows import calendar_bounds

GROUPS: Final = ("project", "bot", "user", "model", "key")
BUCKETS: Final = ("hour", "day", "week", "month", "quarter", "year")
MAX_BUCKETS: Final = 1_000

_DIMENSIONS: Final = ("bot", "user", "key")
_GRAINS: Final = {"hour": "hour", "day": "day", "week": "day"}
# Groups whose rows are found by name rather than by reading all.
_FEW: Final = 200
_MOMENT: Final = timedelta(microseconds=1)
# How a group is called in the table that is read.
_SUMMARY: Final = {"project": "project_id", "model": "model"}
_ROLLUP: Final = {
    "project": "project_id",
    "bot": "bot_id",
    "user": "user",
    "model": "model",
    "key": "key_id",
}

Group = UUID | str | None
Sums = dict[str, int]


@dataclass(frozen=True, slots=True)
class Filters:
    """Of what a report is: None is all. `user` and `model` empty is none.

    `no_project` is what has none, `models` what models start with.
    """

    project: UUID | None = None
    bot: UUID | None = None
    user: str | None = None
    model: str | None = None
    key: UUID | None = None
    no_project: bool = False
    models: str = ""

    def named(self) -> dict[str, Any]:
        """Return those that are set."""
        given = {name: getattr(self, name) for name in GROUPS}
        return {name: value for name, value in given.items() if value is not None}


class Slice(NamedTuple):
    """Rows of one grain that start in a stretch of time."""

    grain: str
    start: datetime
    end: datetime


class Row(NamedTuple):
    """The sums of one group in one bucket (0 is the first)."""

    bucket: int
    group: Group
    sums: Sums


@dataclass(slots=True)
class Report:
    """An account's usage, of what the filters say. Asks for nothing by itself."""

    account: Account
    filters: Filters = field(default_factory=Filters)
    group_by: str | None = None
    _current: bool | None = None

    def by(self, group_by: str) -> "Report":
        """Return the same report by group; it asks nothing twice."""
        return Report(self.account, self.filters, group_by, self._current)

    def totals(
        self,
        slices: Sequence[Slice],
        *,
        order: Sequence[str] = ("cost", "tokens", "calls"),
        limit: int | None = None,
    ) -> list[tuple[Group, Sums]]:
        """Return the sums of each group, the largest first; at most `limit`."""
        rows, column = self._rows(slices)
        if column is None:
            return [(None, _taken(rows.aggregate(**_sums())))]
        summed = rows.values(column).annotate(**_sums())
        found = _largest_first(summed, order, column)[:limit]
        return [(self._group(row, column), _taken(row)) for row in found]

    def ranked(
        self, slices: Sequence[Slice], *, order: Sequence[str], limit: int
    ) -> list[tuple[Group, Sums]]:
        """Return what `totals` does; quicker where most groups are not shown.

        All groups are ranked by the few sums that rank them, and the rest is summed up
        for those alone that are shown.
        """
        if limit > _FEW:
            return self.totals(slices, order=order, limit=limit)
        shown = self.largest(slices, order=order, limit=limit)
        rows, column = self._rows(slices, shown)
        if column is None or not shown:
            return []
        summed = rows.values(column).annotate(**_sums())
        found = {self._group(row, column): _taken(row) for row in summed}
        return [(group, found[group]) for group in shown if group in found]

    def largest(
        self, slices: Sequence[Slice], *, order: Sequence[str], limit: int
    ) -> list[Group]:
        """Return the groups with the largest sums, without the sums."""
        rows, column = self._rows(slices)
        if column is None:
            return []
        summed = rows.values(column).annotate(**_sums(order))
        found = _largest_first(summed, order, column)[:limit]
        return [self._group(row, column) for row in found]

    def series(
        self,
        edges: Sequence[datetime],
        grain: str,
        groups: Iterable[Group] = (),
        *,
        names: Sequence[str] = SUMS,
    ) -> list[Row]:
        """Return the sums by bucket, and group; `edges` are where buckets begin.

        The last edge is where the last bucket ends. Only the groups that are named.
        `names` are the sums that are wanted.
        """
        rows, column = self._rows([Slice(grain, edges[0], edges[-1])], groups)
        start = "start" if self._from_summaries() else "hour"
        bucket = Func(
            F(start),
            Value(list(edges), output_field=ArrayField(DateTimeField())),
            function="width_bucket",
            output_field=IntegerField(),
        )
        columns = ["bucket", column] if column else ["bucket"]
        # Named apart, or the model's own column would be meant.
        found = rows.annotate(bucket=bucket).values(*columns).annotate(**_sums(names))
        return [
            Row(row["bucket"] - 1, self._group(row, column), _taken(row, names))
            for row in found.order_by(*columns)
        ]

    def _from_summaries(self) -> bool:
        asked = {*self.filters.named(), self.group_by}
        if len(asked & set(_DIMENSIONS)) > 1:
            return False
        if self._current is None:
            self._current = current(self.account)
        return self._current

    def _rows(
        self, slices: Sequence[Slice], groups: Iterable[Group] = ()
    ) -> tuple[QuerySet[Any], str | None]:
        rows: QuerySet[Any]
        if self._from_summaries():
            rows, column = self._summaries(slices)
        else:
            rows, column = self._rollups(slices)
        if self.filters.no_project:
            rows = rows.filter(project_id=None)
        if self.filters.models:
            rows = rows.filter(model__startswith=self.filters.models)
        wanted = list(groups)
        if wanted and column:
            rows = rows.filter(_among(column, wanted))
        return rows, column

    def _summaries(
        self, slices: Sequence[Slice]
    ) -> tuple[QuerySet[UsageSummary], str | None]:
        named = self.filters.named()
        asked = {*named, self.group_by} & set(_DIMENSIONS)
        dimension: str = next(iter(asked), None) or ""
        if not self._apart():
            dimension = WHOLE[dimension]
        rows = UsageSummary.objects.filter(account=self.account, dimension=dimension)
        for name, value in named.items():
            rows = rows.filter(**{_SUMMARY.get(name, "value"): str(value)})
        when = Q(pk__in=[])
        for grain, start, end in slices:
            when |= Q(grain=grain, start__gte=start, start__lt=end)
        column = None if self.group_by is None else _SUMMARY.get(self.group_by, "value")
        return rows.filter(when), column

    def _apart(self) -> bool:
        """Say whether rows are wanted apart by project or model."""
        filters = self.filters
        asked = {*filters.named(), self.group_by}
        return bool(asked & set(_SUMMARY) or filters.no_project or filters.models)

    def _rollups(
        self, slices: Sequence[Slice]
    ) -> tuple[QuerySet[HourlyRollup], str | None]:
        rows = HourlyRollup.objects.filter(
            account=self.account,
            hour__gte=min(each.start for each in slices),
            hour__lt=max(each.end for each in slices),
        )
        for name, value in self.filters.named().items():
            rows = rows.filter(**{_ROLLUP[name]: value})
        return rows, None if self.group_by is None else _ROLLUP[self.group_by]

    def _group(self, row: Mapping[str, Any], column: str | None) -> Group:
        value: Any = row[column] if column else None
        if column == "value" and self.group_by in ("bot", "key"):
            return UUID(value) if value else None
        return value or None


def slices_of(account: Account, start: datetime, end: datetime) -> list[Slice]:
    """Cover a stretch of time by months, days at its ends, and hours at theirs."""
    days = _inner(account, "day", start, end)
    if days is None:
        return [Slice("hour", start, end)]
    months = _inner(account, "month", *days)
    parts = [Slice("hour", start, days[0])]
    if months is None:
        parts.append(Slice("day", *days))
    else:
        parts.append(Slice("day", days[0], months[0]))
        parts.append(Slice("month", *months))
        parts.append(Slice("day", months[1], days[1]))
    parts.append(Slice("hour", days[1], end))
    return [part for part in parts if part.start < part.end]


def edges_of(
    account: Account, bucket: str, start: datetime, end: datetime
) -> list[datetime]:
    """Return where the buckets begin that hold a stretch of time, and the last ends.

    Raises ValueError for more than 1,000 buckets.
    """
    edges = [_bounds(account, bucket, start)[0]]
    while edges[-1] < end:
        if len(edges) > MAX_BUCKETS:
            raise ValueError(f"must be at most {MAX_BUCKETS} buckets")
        edges.append(_bounds(account, bucket, edges[-1])[1])
    return edges


def edges_before(
    account: Account, bucket: str, edges: Sequence[datetime]
) -> list[datetime]:
    """Return the edges of as many buckets right before those."""
    found = [edges[0]]
    while len(found) < len(edges):
        found.append(_bounds(account, bucket, found[-1] - _MOMENT)[0])
    return found[::-1]


def grain_of(bucket: str) -> str:
    """Return of which grain a bucket's rows are."""
    return _GRAINS.get(bucket, "month")


def period_of(
    account: Account, unit: str, moment: datetime
) -> tuple[datetime, datetime]:
    """Return the day, week, month, … of the account's calendar that holds a moment."""
    return _bounds(account, unit, moment)


def as_of() -> datetime | None:
    """Return when usage was last added to what reports read."""
    progress = RollupProgress.objects.filter(id=1).first()
    return None if progress is None else progress.updated_at


def none() -> Sums:
    """Return the sums of nothing."""
    return dict.fromkeys(SUMS, 0)


def less(whole: Sums, parts: Iterable[Sums]) -> Sums:
    """Return what is left of a whole without some of its parts."""
    left = dict(whole)
    for part in parts:
        for name, amount in part.items():
            left[name] = max(0, left[name] - amount)
    return left


def _bounds(account: Account, unit: str, moment: datetime) -> tuple[datetime, datetime]:
    found = calendar_bounds(
        unit=unit,
        timezone=account.timezone,
        week_start=account.week_start,
        moment=moment,
    )
    return found.start, found.end or found.start


def _inner(
    account: Account, unit: str, start: datetime, end: datetime
) -> tuple[datetime, datetime] | None:
    """Return the part of a stretch that is whole days or months; None if none is."""
    first, following = _bounds(account, unit, start)
    low = start if first == start else following
    high = _bounds(account, unit, end)[0]
    return (low, high) if low < high else None


def _sums(names: Iterable[str] = SUMS) -> dict[str, Sum]:
    return {f"sum_{name}": Sum(name, default=0) for name in names}


def _largest_first(
    summed: QuerySet[Any, Any], order: Sequence[str], column: str
) -> QuerySet[Any, Any]:
    return summed.order_by(*(f"-sum_{name}" for name in order), column)


def _taken(row: Mapping[str, Any], names: Iterable[str] = SUMS) -> Sums:
    return {name: int(row[f"sum_{name}"]) for name in names}


def _among(column: str, groups: Sequence[Group]) -> Q:
    """Match rows of some groups; None is a null or an empty text, as the column has."""
    named = [str(group) for group in groups if group is not None]
    found = Q(**{f"{column}__in": named})
    if None in groups:
        absent = {f"{column}__isnull": True} if column.endswith("_id") else {column: ""}
        found |= Q(**absent)
    return found
