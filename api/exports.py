"""Lists as one file: CSV for spreadsheets, NDJSON for programs, written as it is read.

Rows are fetched a page at a time, by id, so that no transaction lives as long as a
file is read, and none of it is kept in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import BoundedSemaphore
from typing import Any, Final, TypeVar

import msgspec
from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from accounts.errors import Overloaded
from accounts.tables import csv_text
from api.endpoint import Endpoint
from api.schema import PROBLEM_REF
from api.tables import CsvRenderer, TextRenderer

FORMATS: Final = {"format": "csv or ndjson (the default)"}
PAGE: Final = 1_000
_ERRORS_FROM: Final = 400
# Each takes one of the four threads of the pages for as long as somebody reads it.
_AT_ONCE: Final = BoundedSemaphore(2)

Row = TypeVar("Row", bound=Model)
Shown = Mapping[str, Any]


class NdjsonRenderer(TextRenderer):
    """One JSON document a line."""

    media_type = "application/x-ndjson"
    format = "ndjson"


class Export(Endpoint):
    """A file of rows. Errors are problems, whatever form was asked for."""

    renderer_classes = [NdjsonRenderer, CsvRenderer]

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Answer errors as problems."""
        if isinstance(response, StreamingHttpResponse):
            response["Cache-Control"] = "no-store"
            return response
        if response.status_code >= _ERRORS_FROM:
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = "application/json"
        return super().finalize_response(request, response, *args, **kwargs)

    def file(
        self,
        request: Request,
        rows: QuerySet[Row, Any],
        *,
        name: str,
        columns: Sequence[str],
        show: Callable[[Sequence[Row]], Iterable[Shown]],
    ) -> StreamingHttpResponse:
        """Stream rows, the newest first.

        Raises Overloaded when as many files as may are being read.
        """
        if not _AT_ONCE.acquire(blocking=False):
            raise Overloaded("Other exports are being read; try again.", retry_after=5)
        renderer = request.accepted_renderer
        pages = (show(page) for page in _pages(rows))
        parts = _csv(columns, pages) if renderer.format == "csv" else _ndjson(pages)
        answer = StreamingHttpResponse(
            _Counted(parts), content_type=f"{renderer.media_type}; charset=utf-8"
        )
        named = f'attachment; filename="{name}.{renderer.format}"'
        answer["Content-Disposition"] = named
        return answer


def described(
    operation_id: str,
    summary: str,
    *,
    columns: Sequence[str],
    line: str,
    parameters: Mapping[str, str],
) -> Callable[..., Any]:
    """Describe the operation; `line` is the beginning of one of its lines."""
    described_by: Callable[..., Any] = extend_schema(
        operation_id=operation_id,
        summary=summary,
        tags=["audit"],
        parameters=[
            OpenApiParameter(name, OpenApiTypes.STR, description=text)
            for name, text in parameters.items()
        ],
        responses={
            (200, "application/x-ndjson"): OpenApiTypes.STR,
            (200, "text/csv"): OpenApiTypes.STR,
            ("4XX", "application/problem+json"): PROBLEM_REF,
        },
        examples=[
            _example("NDJSON", "application/x-ndjson", line),
            _example("CSV", "text/csv", f"{','.join(columns)}\r\n"),
        ],
    )
    return described_by


def _example(name: str, media_type: str, value: str) -> OpenApiExample:
    return OpenApiExample(
        name,
        value=value,
        response_only=True,
        status_codes=["200"],
        media_type=media_type,
    )


class _Counted:
    """Parts of a file that give their place back, however the reading ends."""

    def __init__(self, parts: Iterator[str]) -> None:
        self._parts = parts
        self._is_open = True

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> str:
        try:
            return next(self._parts)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the place back; called by the server at the end of every answer."""
        if self._is_open:
            self._is_open = False
            _AT_ONCE.release()


def _pages(rows: QuerySet[Row, Any]) -> Iterator[list[Row]]:
    after = None
    while True:
        found = rows if after is None else rows.filter(id__lt=after)
        page = list(found.order_by("-id")[:PAGE])
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = page[-1].pk


def _ndjson(pages: Iterable[Iterable[Shown]]) -> Iterator[str]:
    for page in pages:
        yield "".join(msgspec.json.encode(one).decode() + "\n" for one in page)


def _csv(columns: Sequence[str], pages: Iterable[Iterable[Shown]]) -> Iterator[str]:
    yield csv_text(columns, [])
    for page in pages:
        flat = [_flat(one, columns) for one in page]
        yield csv_text(columns, flat).partition("\r\n")[2]


def _flat(shown: Shown, columns: Sequence[str]) -> dict[str, Any]:
    """Write lists of words as one cell, and truth and documents as JSON does."""
    return {name: _cell(shown[name]) for name in columns if name in shown}


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " ".join(value)
    if isinstance(value, (list, dict)):
        return msgspec.json.encode(value).decode()
    return value
