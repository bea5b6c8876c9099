"""The way to the company's own log-in, by a page of ours in between.

Browsers hold a form to `form-action 'self'` through all redirects that answer it. So
the button's POST is answered by a page, and that page leads on to whatever address the
provider names: the policy stays strict and needs to know no address.
"""

from urllib.parse import urlsplit

from allauth.socialaccount.providers.openid_connect import views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Begin a log-in at a provider; its address opens by itself, or by a link."""
    answer: HttpResponse = views.login(request, provider_id)
    address = answer.headers.get("Location", "")
    if answer.status_code != 302 or urlsplit(address).scheme not in ("http", "https"):
        return answer
    return render(request, "socialaccount/leaving.html", {"address": address})
