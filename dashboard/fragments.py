"""What htmx asks for: a part of a page, to be put into one that is there."""

from typing import cast

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


def wants_part(request: HttpRequest) -> bool:
    """Say whether a part will do; a page that Back leads to is asked for whole."""
    htmx = _details(request)
    return bool(htmx) and not htmx.history_restore_request


def sent_by(request: HttpRequest, element_id: str) -> bool:
    """Say whether the element with this id made htmx ask."""
    return _details(request).trigger == element_id


def _details(request: HttpRequest) -> HtmxDetails:
    return cast("HtmxDetails", request.htmx)  # type: ignore[attr-defined]
