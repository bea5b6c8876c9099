"""One page of a list: by cursor, never by offset, so that it stays quick and stable."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

Row = TypeVar("Row", bound=Model)
PAGE: Final = 25
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list, newest or latest first, and where it goes on.

    `older` is the query string of the next page, `newest` that of the first one.
    """

    rows: Sequence[Row]
    older: str
    newest: str

    @property
    def first(self) -> bool:
        """Whether this is the beginning of the list."""
        return not self.newest


def page_of(
    found: QuerySet[Row, Any], request: HttpRequest, *, size: int = PAGE
) -> Page[Row]:
    """Return the page that the address asks for: rows by id, the newest first.

    A cursor that nobody gave out shows the first page.
    """
    after = _cursor(request)
    rows = found.order_by("-id")
    if after is not None:
        rows = rows.filter(id__lt=after)
    shown = list(rows[: size + 1])
    more = len(shown) > size
    shown = shown[:size]
    return Page(
        rows=shown,
        older=_address(request, str(shown[-1].pk)) if more else "",
        newest=_address(request) if after is not None else "",
    )


def page_by_moment(
    found: QuerySet[Row, Any], request: HttpRequest, moment: str, *, size: int = PAGE
) -> Page[Row]:
    """Return the page that the address asks for: rows by a moment, the latest first.

    `moment` names the column; of rows with the same one the newest is first. A row
    whose moment comes later meanwhile is on the first page, and none is left out.
    """
    cursor = _moment_cursor(request)
    rows = found.order_by(f"-{moment}", "-id")
    if cursor is not None:
        at, after = cursor
        earlier = Q(**{f"{moment}__lt": at}) | Q(id__lt=after)
        # The first condition alone lets the index begin where the page does.
        rows = rows.filter(earlier, **{f"{moment}__lte": at})
    shown = list(rows[: size + 1])
    more = len(shown) > size
    shown = shown[:size]
    older = ""
    if more:
        ticks = (getattr(shown[-1], moment) - _EPOCH) // _TICK
        older = _address(request, f"{ticks}_{shown[-1].pk}")
    return Page(
        rows=shown,
        older=older,
        newest=_address(request) if cursor is not None else "",
    )


def _cursor(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.GET.get("after", ""))
    except ValueError:
        return None


def _moment_cursor(request: HttpRequest) -> tuple[datetime, UUID] | None:
    ticks, _, key = request.GET.get("after", "").partition("_")
    try:
        return _EPOCH + int(ticks) * _TICK, UUID(key)
    except (ValueError, OverflowError):
        return None


def _address(request: HttpRequest, after: str = "") -> str:
    # An address without empty filters is one that people can read.
    query = [
        (name, value)
        for name, values in request.GET.lists()
        for value in values
        if value and name != "after"
    ]
    return f"?{urlencode([*query, ('after', after)] if after else query)}"


def chosen(request: HttpRequest, name: str, values: Sequence[str]) -> str | None:
    """Return the filter that the address names, if it is one there is."""
    value = request.GET.get(name)
    return value if value in values else None
