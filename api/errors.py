"""Every error as `application/problem+json` (CONTRACT G1, RFC 9457).

The lane tells errors without Django REST framework; `api.handling` turns the
framework's own into these.
"""

from http import HTTPStatus
from typing import Any

from accounts.errors import DomainError, Forbidden, NotFound

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
