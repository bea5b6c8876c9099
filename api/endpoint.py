"""What every route of the API has in common: order of refusals, headers, answers."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar, cast

from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts.errors import InvalidKey, PreconditionRequired, StaleRevision
from api.authentication import KeyAuthentication, PersonAuthentication
from api.callers import Caller, queried_project
from api.errors import PROBLEM_TYPE, InvalidQuery
from api.fields import Body
from api.handling import handle
from api.idempotency import answer_once
from api.parsers import StrictJSONParser

_ERRORS_FROM = 400
_ALWAYS = frozenset({"account"})
_TAG = re.compile(r'(W/)?"([^"]*)"')

Row = TypeVar("Row", bound=Model)


class Endpoint(APIView):
    """A route. `scopes` names what each method needs, `queries` what it can filter.

    Refusals come in the order of CONTRACT G2: a bad key, a missing scope, then what
    the method itself finds.
    """

    authentication_classes = [KeyAuthentication, PersonAuthentication]
    parser_classes = [StrictJSONParser]
    permission_classes = []
    scopes: ClassVar[dict[str, str]] = {}
    queries: ClassVar[frozenset[str]] = frozenset()

    def get_exception_handler(self) -> Any:
        """Answer errors as problems."""
        return handle

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Choose how to answer; `?format=` is a parameter like others."""
        try:
            return super().perform_content_negotiation(request, force)
        except Http404:
            raise invalid_query("format", "is not a known parameter") from None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a caller that is unknown or may not do this."""
        super().initial(request, *args, **kwargs)
        if request.auth is None:
            raise InvalidKey
        method = "GET" if request.method == "HEAD" else request.method
        scope = self.scopes.get(method or "")
        if scope is not None:
            self.caller.need(scope)
        _check_queries(request, self.queries if method == "GET" else frozenset())

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer a POST that names an Idempotency-Key once (CONTRACT G5)."""
        once = request.method == "POST" and "HTTP_IDEMPOTENCY_KEY" in request.META
        handler = getattr(self, "post", None)
        if once and handler is not None:
            # DRF looks the method's handler up on the view, which serves one request.
            vars(self)["post"] = partial(self._once, handler)
        return super().dispatch(request, *args, **kwargs)

    def _once(
        self,
        handler: Callable[..., Response],
        request: Request,
        *args: Any,
        **kwargs: Any,
    ) -> Response:
        handle_it = partial(handler, request, *args, **kwargs)
        return answer_once(request, self.caller, handle_it, timezone.now())

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Add what every answer says."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        as_json = getattr(request.accepted_renderer, "format", "") == "json"
        if as_json and answer.status_code >= _ERRORS_FROM:
            answer.content_type = PROBLEM_TYPE
        return answer

    @property
    def caller(self) -> Caller:
        """Who calls."""
        return cast("Caller", self.request.auth)

    def body(self, form: type[Body], *, partial: bool = False) -> dict[str, Any]:
        """Return the checked body. Raises ValidationError."""
        read: Serializer[Any] = form(data=self.request.data, partial=partial)
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)

    def query(self, name: str) -> str | None:
        """Return a query parameter. Raises InvalidQuery for text with a NUL."""
        value = self.request.query_params.get(name)
        if value is not None and "\x00" in value:
            raise invalid_query(name, "must be text")
        return value

    def flag(self, name: str) -> bool:
        """Return a query parameter that is true or false. Raises InvalidQuery."""
        value = self.query(name) or "false"
        if value not in ("true", "false"):
            raise invalid_query(name, "must be true or false")
        return value == "true"

    def of_project(self, rows: QuerySet[Row], name: str) -> QuerySet[Row]:
        """Keep the rows of the project that a query parameter names, if it does."""
        ref = self.query(name)
        if ref is None:
            return rows
        project = queried_project(self.caller, ref)
        return rows.none() if project is None else rows.filter(project=project)

    def expected_revision(self, current: int) -> int:
        """Return the revision that `If-Match` names, which is the current one.

        A bare number, without the quotes of an ETag, is taken too.

        Raises PreconditionRequired without the header, StaleRevision if it names
        others only (CONTRACT G4).
        """
        header = self.request.META.get("HTTP_IF_MATCH", "").strip()
        if not header:
            raise PreconditionRequired
        tags = {text for weak, text in _TAG.findall(header) if not weak}
        if header not in ("*", str(current)) and str(current) not in tags:
            raise StaleRevision
        return current


def tagged(answer: dict[str, Any], *, status: int = 200) -> Response:
    """Answer something that has revisions, with its ETag."""
    return Response(answer, status=status, headers={"ETag": f'"{answer["revision"]}"'})


def invalid_query(name: str, detail: str) -> InvalidQuery:
    """Return the error about one query parameter."""
    return InvalidQuery(errors=[{"pointer": f"/{name}", "detail": detail}])


def _check_queries(request: Request, known: frozenset[str]) -> None:
    for name in request.query_params:
        if name not in known and name not in _ALWAYS:
            raise invalid_query(name[:100], "is not a known parameter")
