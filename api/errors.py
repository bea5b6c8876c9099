"""Every error as `application/problem+json` (CONTRACT G1, RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from accounts.errors import (
    BodyTooLarge,
    DomainError,
    FieldError,
    Forbidden,
    InvalidBody,
    NotFound,
    Unavailable,
    UnsupportedMediaType,
)
from policies.json_reader import MAX_PROBLEMS, pointer_to
from policies.rules import InvalidPolicy

PROBLEM_TYPE = "application/problem+json"


class InvalidQuery(DomainError):
    """A query parameter is unknown or has a value that it cannot have."""

    status, code = 422, "invalid_query"
    title = "A query parameter is not right."


class NoSuchRoute(NotFound):
    """No route has this path."""

    code = "no_such_route"
    title = "There is no such route."


class BadRequest(DomainError):
    """The request cannot be understood at all."""

    title = "The request cannot be understood."


class InternalError(DomainError):
    """A fault of ours. What it was stands in the log, under the request's id."""

    status, code = 500, "internal_error"
    title = "Something broke here; nothing was half done."


class MethodNotAllowed(DomainError):
    """The route does not take this method."""

    status, code = 405, "method_not_allowed"
    title = "The route does not take this method."


class NotAcceptable(DomainError):
    """No answer has the media type that was asked for."""

    status, code = 406, "not_acceptable"
    title = "The answer is available as application/json."


class CsrfFailed(Forbidden):
    """A session writes without its CSRF token."""

    code = "csrf_failed"
    title = "The CSRF token is missing or wrong."


def problem(error: DomainError) -> dict[str, Any]:
    """Return the body that tells of an error."""
    return {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "errors": error.errors,
    }


def headers(error: DomainError) -> dict[str, str]:
    """Return the headers that go with an error."""
    told = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        told["WWW-Authenticate"] = 'Bearer realm="policyhub"'
    if error.retry_after is not None:
        told["Retry-After"] = str(error.retry_after)
    return told


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an error; None for a fault of ours, which Django reports."""
    told = _domain_error(error)
    if told is None:
        return None
    answer = Response(problem(told), status=told.status, headers=headers(told))
    if isinstance(error, exceptions.MethodNotAllowed):
        answer["Allow"] = ", ".join(context["view"].allowed_methods)
    return answer


def invalid_body(detail: Any) -> InvalidBody:
    """Return the error that lists a serializer's complaints with their pointers."""
    found: list[FieldError] = []
    _collect("", detail, found)
    return InvalidBody(errors=found[:MAX_PROBLEMS])


def _domain_error(error: Exception) -> DomainError | None:
    if isinstance(error, DomainError):
        return error
    if isinstance(error, exceptions.ValidationError):
        return invalid_body(error.detail)
    if isinstance(error, InvalidPolicy):
        return InvalidBody(
            errors=[{"pointer": p.pointer, "detail": p.detail} for p in error.problems]
        )
    if isinstance(error, exceptions.MethodNotAllowed):
        return MethodNotAllowed()
    if isinstance(error, exceptions.NotAcceptable):
        return NotAcceptable()
    if isinstance(error, exceptions.UnsupportedMediaType):
        return UnsupportedMediaType("Send the body as application/json.")
    if isinstance(error, RequestDataTooBig):
        return BodyTooLarge()
    if isinstance(error, Http404):
        return NotFound()
    if isinstance(error, exceptions.PermissionDenied | PermissionDenied):
        return Forbidden()
    if isinstance(error, OperationalError):
        return Unavailable(retry_after=1)
    return None


def _collect(pointer: str, detail: Any, found: list[FieldError]) -> None:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            anonymous = name in ("", "non_field_errors")
            _collect(pointer if anonymous else pointer_to(pointer, name), inner, found)
    elif isinstance(detail, Sequence) and not isinstance(detail, str):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping)
            _collect(f"{pointer}/{index}" if nested else pointer, inner, found)
    else:
        found.append({"pointer": pointer, "detail": str(detail)})
