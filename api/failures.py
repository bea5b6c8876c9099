"""What Django itself refuses or breaks at: a problem below `/api/`, else a page."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from accounts.errors import DomainError, Forbidden
from api.errors import PROBLEM_TYPE, BadRequest, InternalError, NoSuchRoute, problem

_API = "/api/"


def answered(error: DomainError) -> HttpResponse:
    """Return an error as problem+json, for what is no DRF view."""
    return JsonResponse(
        problem(error),
        status=error.status,
        content_type=PROBLEM_TYPE,
        headers={"Cache-Control": "no-store"},
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django cannot take, such as one for a foreign host."""
    if request.path.startswith(_API):
        return answered(BadRequest())
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what a view refuses."""
    if request.path.startswith(_API):
        return answered(Forbidden())
    return defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a path that leads nowhere."""
    if request.path.startswith(_API):
        return answered(NoSuchRoute())
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of ours; Django has logged it."""
    if request.path.startswith(_API):
        return answered(InternalError())
    return defaults.server_error(request)
