"""What the usage page is asked for. All of it is in the address; nothing is refused:
what makes no sense is left out, and where that changes the picture a note says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import QueryDict
from django.utils.translation import gettext, gettext_lazy

from accounts import ids
from accounts.models import Account
from policies.rules import METRICS
from usage.reports import (
    GROUPS,
    Filters,
    edges_before,
    edges_of,
    period_of,
)

BUCKETS: Final = ("hour", "day", "week", "month")
# As many bars are told apart on a wide screen.
MOST_BARS: Final = 190
SPANS: Final = {
    "24h": gettext_lazy("Last 24 hours"),
    "7d": gettext_lazy("Last 7 days"),
    "30d": gettext_lazy("Last 30 days"),
    "90d": gettext_lazy("Last 90 days"),
    "12m": gettext_lazy("Last 12 months"),
}
CUSTOM: Final = "custom"
# What no row has: an id that is not one shows that nothing was used.
NOTHING: Final = UUID(int=0)

_DAYS: Final = {"7d": 6, "30d": 29, "90d": 89}
_PREFIX: Final = {"project": "prj", "bot": "bot", "key": "key"}
_EARLIEST: Final = date(1971, 1, 1)
_LONGEST_TEXT: Final = 256
_NOON: Final = time(12)


@dataclass(frozen=True, slots=True)
class Asked:
    """A stretch of time in buckets, a metric, a group, and of what.

    `edges` are where the buckets begin; the last is where the last one ends. `named`
    are the filters as the address has them, `absent` those of "without one".
    """

    metric: str
    span: str
    bucket: str
    group_by: str | None
    previous: bool
    window: str
    edges: list[datetime]
    named: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    first: str = ""
    last: str = ""
    notes: tuple[str, ...] = ()

    @property
    def filters(self) -> Filters:
        """The filters as a report takes them."""
        given: dict[str, Any] = {
            name: _value(name, text) for name, text in self.named.items()
        }
        model = self.named.get("model", "")
        if model.endswith("*"):
            given["model"], given["models"] = None, model[:-1]
        for name in ("user", "model"):
            if name in self.absent:
                given[name] = ""
        return Filters(**given, no_project="project" in self.absent)

    def query(self, **changed: str | None) -> str:
        """Return the address's query, with some of it changed; None leaves out."""
        parts: dict[str, Any] = {
            "metric": self.metric,
            "range": self.span,
            "from": self.first,
            "to": self.last,
            "bucket": self.bucket,
            "group": self.group_by,
            "previous": "1" if self.previous else None,
            "window": self.window,
            **self.named,
            "none": sorted(self.absent),
        }
        kept = {name: value for name, value in {**parts, **changed}.items() if value}
        return f"?{urlencode(kept, doseq=True)}"

    def only(self, name: str, value: str | None) -> str:
        """Return the query of one group alone; None is what has none."""
        if value is not None:
            return self.query(group=None, **{name: value})
        without = [*sorted(self.absent - {name}), name]
        parts = {"group": None, name: None, "none": without}
        return self.query(**parts)  # type: ignore[arg-type]


def asked(
    query: QueryDict, account: Account, now: datetime, *, with_keys: bool = True
) -> Asked:
    """Read an address. `with_keys` lets API keys be named, as a group and a filter."""
    groups = [name for name in GROUPS if with_keys or name != "key"]
    metric = _one_of(query.get("metric"), METRICS) or "tokens"
    start, end, span = _stretch(query, account, now)
    bucket, edges, notes = _buckets(query.get("bucket"), account, start, end)
    return Asked(
        metric=metric,
        span=span,
        bucket=bucket,
        group_by=_one_of(query.get("group"), groups),
        previous=query.get("previous") == "1",
        window=query.get("window", "")[:_LONGEST_TEXT].replace("\0", ""),
        edges=edges,
        named={
            name: text
            for name in groups
            if (text := query.get(name, "").strip().replace("\0", "")[:_LONGEST_TEXT])
        },
        absent=frozenset(query.getlist("none")) & {"project", "user", "model"},
        first=query.get("from", "") if span == CUSTOM else "",
        last=query.get("to", "") if span == CUSTOM else "",
        notes=notes,
    )


def _one_of(text: str | None, known: Any) -> str | None:
    return text if text in known else None


def _stretch(
    query: QueryDict, account: Account, now: datetime
) -> tuple[datetime, datetime, str]:
    span = query.get("range", "")
    if span == CUSTOM:
        first, last = _date(query.get("from")), _date(query.get("to"))
        today = now.astimezone(ZoneInfo(account.timezone)).date()
        until = today if last is None else min(last, today)
        if first is not None and first <= until:
            return _day(account, first)[0], _day(account, until)[1], CUSTOM
    if span == "24h":
        return period_of(account, "hour", now - timedelta(hours=23))[0], now, span
    if span == "12m":
        return period_of(account, "month", now - timedelta(days=334))[0], now, span
    span = span if span in _DAYS else "30d"
    first_day = now - timedelta(days=_DAYS[span])
    return period_of(account, "day", first_day)[0], now, span


def _buckets(
    wanted: str | None, account: Account, start: datetime, end: datetime
) -> tuple[str, list[datetime], tuple[str, ...]]:
    """Return the bucket that was asked for, or the next longer one that fits."""
    days = (end - start) / timedelta(days=1)
    usual = "hour" if days <= 2 else "day" if days <= 100 else "month"
    first = wanted if wanted in BUCKETS else usual
    for bucket in BUCKETS[BUCKETS.index(first) :]:
        edges = _edges(bucket, account, start, end)
        if edges is not None:
            notes = () if bucket == first else (_longer(bucket),)
            return bucket, edges, notes
    # More months than there is room for: the last ones.
    last = period_of(account, "month", end - timedelta(microseconds=1))[1]
    edges = edges_before(account, "month", [last] * (MOST_BARS + 1))
    return "month", edges, (gettext("Only the last months fit in."),)


def _edges(
    bucket: str, account: Account, start: datetime, end: datetime
) -> list[datetime] | None:
    shortest = {"hour": 1 / 24, "day": 1, "week": 7, "month": 28}[bucket]
    if (end - start) / timedelta(days=1) / shortest > MOST_BARS + 2:
        return None
    edges = edges_of(account, bucket, start, end)
    return edges if len(edges) <= MOST_BARS + 1 else None


def _longer(bucket: str) -> str:
    told = {
        "day": gettext("That would be too many bars, so each is a day."),
        "week": gettext("That would be too many bars, so each is a week."),
        "month": gettext("That would be too many bars, so each is a month."),
    }
    return told[bucket]


def _date(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if day >= _EARLIEST else None


def _day(account: Account, day: date) -> tuple[datetime, datetime]:
    noon = datetime.combine(day, _NOON, ZoneInfo(account.timezone))
    return period_of(account, "day", noon)


def _value(name: str, text: str) -> UUID | str:
    if name not in _PREFIX:
        return text
    try:
        return ids.decode_id(_PREFIX[name], text)
    except ids.InvalidId:
        return NOTHING
