"""What Django and its REST framework raise, as errors of ours."""

from collections.abc import Mapping, Sequence
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
from api.errors import MethodNotAllowed, NotAcceptable, headers, problem
from policies.json_reader import MAX_PROBLEMS, pointer_to
from policies.rules import InvalidPolicy


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an error; None for a fault of ours, which Django reports."""
    told = _domain_error(error)
    if told is None:
        return None
    answer = Response(problem(told), status=told.status, headers=headers(told))
    if isinstance(error, exceptions.MethodNotAllowed):
        answer["Allow"] = ", ".join(context["view"].allowed_methods)
    return answer


def _invalid_body(detail: Any) -> InvalidBody:
    """Return the error that lists a serializer's complaints with their pointers."""
    found: list[FieldError] = []
    _collect("", detail, found)
    return InvalidBody(errors=found[:MAX_PROBLEMS])


def _domain_error(error: Exception) -> DomainError | None:
    if isinstance(error, DomainError):
        return error
    if isinstance(error, exceptions.ValidationError):
        return _invalid_body(error.detail)
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
