"""The way in: the landing page and the choice of an account."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts import selectors
from accounts.models import Person


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """Lead to the log-in, or to the person's account."""
    if request.user.is_authenticated:
        return redirect("dashboard:accounts")
    return redirect("account_login")


@require_safe
@login_required
def accounts(request: HttpRequest) -> HttpResponse:
    """Let a person choose among their accounts; a single one is chosen already."""
    person = request.user
    if not isinstance(person, Person):
        return redirect("account_login")
    members = list(selectors.memberships(person))
    if len(members) == 1 and "all" not in request.GET:
        return redirect("dashboard:overview", members[0].account.slug)
    return render(request, "dashboard/accounts.html", {"members": members})
