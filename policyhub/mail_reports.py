"""Where mail services report bounces: anymail's views, which answer rubbish with 400.

They would answer 500, as if the fault were ours, and services would send it again.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from anymail import urls
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.urls import URLPattern

View = Callable[..., HttpResponse]
log = logging.getLogger(__name__)
# What reading a report raises that has another shape than its service's.
_NO_REPORT = (ValueError, LookupError, TypeError, AttributeError)


def _checked(view: View) -> View:
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        try:
            return view(request, *args, **named)
        except _NO_REPORT as error:
            log.warning("%s is no report: %r", request.path, error)
            return HttpResponseBadRequest("This is no report of the service.")

    return answer


app_name = urls.app_name
urlpatterns = [
    URLPattern(each.pattern, _checked(each.callback), each.default_args, each.name)
    for each in urls.urlpatterns
]
