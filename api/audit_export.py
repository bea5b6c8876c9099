"""The decisions as one file: CSV for spreadsheets, NDJSON for programs."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any, Final

import msgspec
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
)
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Overloaded
from accounts.tables import csv_text
from api.audit import FILTER_TEXTS, DecisionEndpoint
from api.callers import Caller
from api.decisions import show_decisions
from api.schema import PROBLEM_REF
from api.tables import CsvRenderer
from audit.models import DecisionRecord
from retention.cutoff import DECISION_DAYS

_COLUMNS: Final = (
    "id",
    "created_at",
    "kind",
    "decision",
    "allowed",
    "reason_code",
    "enforced",
    "rollout_mode",
    "policy_id",
    "policy_target",
    "policy_user",
    "policy_project_id",
    "model",
    "triggered_categories",
    "allowlist_hits",
    "denylist_hits",
    "retry_after",
    "reservation_id",
    "key_id",
    "message",
)
_PAGE: Final = 1_000
_ERRORS_FROM: Final = 400
# Each takes one of the four threads of the pages for as long as somebody reads it.
_AT_ONCE: Final = BoundedSemaphore(2)
_TEXTS: Final = {**FILTER_TEXTS, "format": "csv or ndjson (the default)"}


def _example(name: str, media_type: str, value: str) -> OpenApiExample:
    return OpenApiExample(
        name,
        value=value,
        response_only=True,
        status_codes=["200"],
        media_type=media_type,
    )


class NdjsonRenderer(BaseRenderer):
    """One JSON document a line."""

    media_type = "application/x-ndjson"
    format = "ndjson"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the text itself."""
        return data


class ExportDecisions(DecisionEndpoint):
    """All decisions that a filter finds, as far back as the plan keeps them."""

    queries = frozenset(_TEXTS)
    renderer_classes = [NdjsonRenderer, CsvRenderer]

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Answer errors as problems, whatever form was asked for."""
        if isinstance(response, StreamingHttpResponse):
            response["Cache-Control"] = "no-store"
            return response
        if response.status_code >= _ERRORS_FROM:
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = "application/json"
        return super().finalize_response(request, response, *args, **kwargs)

    @extend_schema(
        operation_id="audit_export",
        summary="Export decisions",
        tags=["audit"],
        parameters=[
            OpenApiParameter(name, OpenApiTypes.STR, description=text)
            for name, text in _TEXTS.items()
        ],
        responses={
            (200, "application/x-ndjson"): OpenApiTypes.STR,
            (200, "text/csv"): OpenApiTypes.STR,
            ("4XX", "application/problem+json"): PROBLEM_REF,
        },
        examples=[
            _example("NDJSON", "application/x-ndjson", '{"id": "dec_…", …}\n'),
            _example("CSV", "text/csv", f"{','.join(_COLUMNS)}\r\n"),
        ],
    )
    def get(self, request: Request) -> Response | StreamingHttpResponse:
        """Export decisions, the newest first; the file is written as it is read."""
        caller = self.caller
        kept = timedelta(days=DECISION_DAYS[caller.account.plan])
        rows = self.chosen().filter(created_at__gte=timezone.now() - kept)
        form = request.accepted_renderer.format
        write = _csv if form == "csv" else _ndjson
        return _file(write(caller, _pages(rows)), request.accepted_renderer)


def _file(parts: Iterator[str], renderer: Any) -> StreamingHttpResponse:
    """Stream a file. Raises Overloaded when as many as may are being read."""
    if not _AT_ONCE.acquire(blocking=False):
        raise Overloaded("Other exports are being read; try again.", retry_after=5)
    answer = StreamingHttpResponse(
        _Counted(parts), content_type=f"{renderer.media_type}; charset=utf-8"
    )
    name = f"decisions.{renderer.format}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


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


def _pages(rows: QuerySet[DecisionRecord]) -> Iterator[list[DecisionRecord]]:
    """Yield the newest first, by id, so that no transaction lives as long as a file."""
    after = None
    while True:
        found = rows if after is None else rows.filter(id__lt=after)
        page = list(found.order_by("-id")[:_PAGE])
        if page:
            yield page
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _ndjson(caller: Caller, pages: Iterable[list[DecisionRecord]]) -> Iterator[str]:
    for page in pages:
        shown = show_decisions(caller, page)
        yield "".join(msgspec.json.encode(one).decode() + "\n" for one in shown)


def _csv(caller: Caller, pages: Iterable[list[DecisionRecord]]) -> Iterator[str]:
    yield csv_text(_COLUMNS, [])
    for page in pages:
        shown = [_flat(one) for one in show_decisions(caller, page)]
        yield csv_text(_COLUMNS, shown).partition("\r\n")[2]


def _flat(shown: dict[str, Any]) -> dict[str, Any]:
    """Write lists as one cell and truth as JSON does."""
    return {
        name: " ".join(value)
        if isinstance(value, list)
        else str(value).lower()
        if isinstance(value, bool)
        else value
        for name, value in shown.items()
        if name in _COLUMNS
    }
