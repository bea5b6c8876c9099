"""One page of a list: by cursor, never by offset, so that it stays quick and stable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import HttpRequest

Row = TypeVar("Row", bound=Model)
PAGE: Final = 25


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list, newest first, and where it goes on.

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
        older=_address(request, shown[-1].pk) if more else "",
        newest=_address(request, None) if after is not None else "",
    )


def _cursor(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.GET.get("after", ""))
    except ValueError:
        return None


def _address(request: HttpRequest, after: UUID | None) -> str:
    query = request.GET.copy()
    query.pop("after", None)
    if after is not None:
        query["after"] = str(after)
    return f"?{query.urlencode()}"


def chosen(request: HttpRequest, name: str, values: Sequence[str]) -> str | None:
    """Return the filter that the address names, if it is one there is."""
    value = request.GET.get(name)
    return value if value in values else None
