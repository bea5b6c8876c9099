"""The language of the pages, as the person chose; else it is the browser's.

The choice is a cookie, so that it holds before somebody logs in, and stands in the
person's row, so that it comes along to other browsers (`policyhub.login`).
"""

from django.conf import settings
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from accounts.models import Person
from accounts.services.administration import choose_language


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Remember a language and go back to where the person was."""
    back = request.POST.get("next", "")
    allowed = url_has_allowed_host_and_scheme(back, {request.get_host()})
    answer = HttpResponseRedirect(back if allowed else "/")
    language = request.POST.get("language", "")
    if language in dict(settings.LANGUAGES):
        if isinstance(request.user, Person):
            choose_language(person=request.user, language=language)
        keep(answer, language)
    return answer


def keep(answer: HttpResponseBase, language: str) -> None:
    """Let a browser remember a language."""
    answer.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )
