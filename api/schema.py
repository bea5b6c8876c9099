"""How routes are described in OpenAPI: one decorator, so that none is left half."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers

from accounts.keys import SCANNER_REGEX
from api.examples import PROBLEM

PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}

IF_MATCH: Final = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description='The revision that was read, as its ETag says it: `"3"`.',
)
IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Sent again with the same body within 24 h, the first answer returns.",
)
_PAGING: Final = (
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200; 50 if left out"),
    OpenApiParameter("cursor", OpenApiTypes.STR, description="the last next_cursor"),
)

_PROBLEM: Final = OpenApiExample(
    "Problem",
    value=PROBLEM,
    response_only=True,
    status_codes=["4XX"],
    media_type="application/problem+json",
)

View = TypeVar("View", bound=Callable[..., Any])


def filters(**described: str) -> tuple[OpenApiParameter, ...]:
    """Describe the query parameters of a list, paging included."""
    own = (
        OpenApiParameter(name, OpenApiTypes.STR, description=text)
        for name, text in described.items()
    )
    return (*own, *_PAGING)


def page_of(
    answer: type[serializers.Serializer[Any]], name: str
) -> serializers.Serializer[Any]:
    """Return the schema of a list of something."""
    return inline_serializer(
        name,
        {
            "data": answer(many=True),
            "next_cursor": serializers.CharField(allow_null=True),
            "has_more": serializers.BooleanField(),
        },
    )


def raw_page_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a list whose rows have a schema of their own."""
    listed = raw_list_of(row)
    listed["properties"] |= {
        "next_cursor": {"type": ["string", "null"]},
        "has_more": {"type": "boolean"},
    }
    listed["required"] = ["data", "next_cursor", "has_more"]
    return listed


def raw_list_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a list that is answered whole."""
    data = {"type": "array", "items": dict(row)}
    return {"type": "object", "properties": {"data": data}, "required": ["data"]}


def page(*rows: Any) -> dict[str, Any]:
    """Return an example of a list with these rows alone."""
    return {"data": list(rows), "next_cursor": None, "has_more": False}


def operation(
    operation_id: str,
    summary: str,
    *,
    answer: Any,
    shows: Any,
    request: Any = None,
    sends: Any = None,
    status: int = HTTPStatus.OK,
    parameters: Sequence[OpenApiParameter] = (),
    table: bool = False,
) -> Callable[[View], View]:
    """Describe one operation: `sends` and `shows` are its examples.

    An `answer` or `request` that is a mapping is a schema itself. `table` says that
    there is a CSV of it too.
    """
    tag, _, verb = operation_id.partition("_")
    given = list(parameters)
    if request is not None and verb not in _WITH_REVISION:
        given.append(IDEMPOTENCY_KEY)
    if verb in _WITH_REVISION and tag in ("bots", "policies"):
        given.append(IF_MATCH)
    examples = []
    if sends is not None:
        examples.append(OpenApiExample("Request", value=sends, request_only=True))
    if shows is not None:
        code = [str(int(status))]
        shown = OpenApiExample(
            "Answer",
            value=shows,
            response_only=True,
            status_codes=code,
            media_type="application/json",
        )
        examples.append(shown)
    if table:
        examples.append(_table_of(shows))
    examples.append(_PROBLEM)
    raw = isinstance(request, Mapping)
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        tags=[tag],
        request={"application/json": request} if raw else request,
        responses={
            **_answers(int(status), answer, table=table),
            ("4XX", "application/problem+json"): PROBLEM_REF,
        },
        parameters=given,
        examples=examples,
    )


def _table_of(shows: Any) -> OpenApiExample:
    lines = [",".join(shows["data"][0]), ",".join(map(str, shows["data"][0].values()))]
    return OpenApiExample(
        "Table",
        value="\r\n".join(lines),
        response_only=True,
        status_codes=["200"],
        media_type="text/csv",
    )


def _answers(status: int, answer: Any, *, table: bool) -> dict[Any, Any]:
    if not table:
        return {status: answer}
    return {
        (status, "application/json"): answer,
        (status, "text/csv"): OpenApiTypes.STR,
    }


_WITH_REVISION: Final = frozenset({"replace", "update", "archive"})


class KeyScheme(OpenApiAuthenticationExtension):
    """Names the key authentication in the schema."""

    target_class = "api.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the security scheme."""
        told = (
            "An API key: `phk_live_`, 30 random letters and digits, and 6 that are the "
            f"CRC-32 of these in base 62. A key looks like `{SCANNER_REGEX}`."
        )
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "phk_live_…",
            "description": told,
        }


class SessionScheme(OpenApiAuthenticationExtension):
    """Names the session authentication in the schema."""

    target_class = "api.authentication.PersonAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the security scheme."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
