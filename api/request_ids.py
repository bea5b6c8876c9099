"""`X-Request-Id`: one name for a request, in its answer and in the log.

It stands in a header and not in the body of an error, because what is foreign and what
is absent have to answer the same bytes (CONTRACT G2).
"""

import logging
import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from django.http import HttpRequest, HttpResponseBase

HEADER: Final = "X-Request-Id"
_USABLE: Final = re.compile(r"[A-Za-z0-9_.:/+=@-]{1,128}", re.ASCII)
_current: ContextVar[str] = ContextVar("request_id", default="-")


def request_id_for(given: str | None) -> str:
    """Return the id that a caller gave, if it can be one, else a new one."""
    if given is not None and _USABLE.fullmatch(given):
        return given
    return f"req_{secrets.token_hex(12)}"


class RequestIds:
    """Middleware that names each request of the pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request under its name."""
        name = request_id_for(request.headers.get(HEADER))
        token = _current.set(name)
        try:
            response = self._get_response(request)
        finally:
            _current.reset(token)
        response[HEADER] = name
        return response


class WithRequestId(logging.Filter):
    """Lets a log line say in which request it was written."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add `request_id` to a record; `-` outside of requests."""
        if not hasattr(record, "request_id"):
            record.request_id = _current.get()
        return True
