"""Lists: `{"data", "next_cursor", "has_more"}` in a stable order (CONTRACT G3)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api.endpoint import invalid_query

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
PAGING: Final = frozenset({"cursor", "limit"})

Row = TypeVar("Row", bound=Model)


def listed(
    request: Request,
    rows: QuerySet[Row],
    *,
    show: Callable[[Sequence[Row]], Sequence[Any]],
    newest_first: bool = False,
    keep: Callable[[Sequence[Row]], Sequence[Row]] | None = None,
) -> Response:
    """Answer one page of rows in the order of their ids, which is that of time.

    A cursor is the last id that was seen, so what is added or deleted meanwhile moves
    nothing. `keep` filters by what the database does not know. Raises InvalidQuery.
    """
    limit, after = asked_page(request)
    if after is not None:
        rows = rows.filter(id__lt=after) if newest_first else rows.filter(id__gt=after)
    ordered = rows.order_by("-id" if newest_first else "id")
    if keep is None:
        found = list(ordered[: limit + 1])
    else:
        found = _kept(ordered, keep, limit + 1)
    page, more = found[:limit], len(found) > limit
    return paged(list(show(page)), page[-1].pk if more else None)


def asked_page(
    request: Request, default: int = DEFAULT_LIMIT
) -> tuple[int, UUID | None]:
    """Return how many rows are asked for, and after which. Raises InvalidQuery."""
    return _limit(request, default), _cursor(request)


def paged(data: Sequence[Any], last: UUID | None) -> Response:
    """Answer a page; `last` is the id of its last row if more follow."""
    return Response(
        {
            "data": data,
            "next_cursor": None if last is None else _encoded(last),
            "has_more": last is not None,
        }
    )


def _kept(
    rows: QuerySet[Row],
    keep: Callable[[Sequence[Row]], Sequence[Row]],
    wanted: int,
) -> list[Row]:
    kept: list[Row] = []
    for start in count(0, MAX_LIMIT):
        found = list(rows[start : start + MAX_LIMIT])
        kept += keep(found)
        if len(kept) >= wanted or len(found) < MAX_LIMIT:
            break
    return kept[:wanted]


def each(answer: Any, **context: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return what shows rows by a serializer's class."""
    return lambda rows: list(answer(rows, many=True, context=context).data)


def _limit(request: Request, default: int) -> int:
    text = request.query_params.get("limit")
    if text is None:
        return default
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT))
    if not digits or not 1 <= int(text) <= MAX_LIMIT:
        raise invalid_query("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _cursor(request: Request) -> UUID | None:
    text = request.query_params.get("cursor")
    if not text:
        return None
    try:
        return UUID(bytes=urlsafe_b64decode(text.encode("ascii") + b"=="))
    except (ValueError, Error):
        raise invalid_query("cursor", "is not one that a list gave") from None


def _encoded(last: UUID) -> str:
    return urlsafe_b64encode(last.bytes).decode("ascii").rstrip("=")
