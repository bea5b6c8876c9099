"""The way in: the landing page, the choice of an account, a new one, an invitation."""

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import get_language
from django.views.decorators.http import require_http_methods, require_safe

from accounts import selectors, services
from accounts.errors import DomainError, NotFound
from accounts.models import Invitation, Person
from accounts.saying import say
from dashboard import joining
from dashboard.account_forms import NewAccountForm


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
    person = _person(request)
    members = list(selectors.memberships(person))
    if len(members) == 1 and "all" not in request.GET:
        return redirect("dashboard:overview", members[0].account.slug)
    context = {"members": members, "may_create": _may_create(person)}
    return render(request, "dashboard/accounts.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def create(request: HttpRequest) -> HttpResponse:
    """Make an account, with the person as its owner."""
    person = _person(request)
    if not _may_create(person):
        raise PermissionDenied
    form = NewAccountForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        account = services.open_account(
            owner=person,
            slug=_slug(form),
            language=get_language() or "",
            now=timezone.now(),
            **form.cleaned_data,
        )
        return redirect("dashboard:start", account.slug)
    code = 422 if form.is_bound else 200
    return render(request, "dashboard/account_new.html", {"form": form}, status=code)


@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation; accept it when the invited person says so."""
    now = timezone.now()
    try:
        invitation = joining.invitation_of(token, now)
    except NotFound:
        return render(request, "dashboard/join_gone.html", status=404)
    if request.method == "POST" and request.user.is_authenticated:
        return _accept(request, invitation)
    joining.keep(request, invitation)
    if not request.user.is_authenticated:
        # The link has reached the address: it need not be confirmed again.
        get_adapter().stash_verified_email(request, invitation.email)
    return render(request, "dashboard/join.html", {"invitation": invitation})


def _accept(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    person = _person(request)
    try:
        services.accept_invitation(
            invitation=invitation, person=person, now=timezone.now()
        )
    except NotFound as error:
        raise Http404 from error
    except DomainError as error:
        messages.error(request, say(error.detail))
        return render(
            request, "dashboard/join.html", {"invitation": invitation}, status=409
        )
    return redirect("dashboard:overview", invitation.account.slug)


def _person(request: HttpRequest) -> Person:
    person = request.user
    if not isinstance(person, Person):
        raise PermissionDenied
    return person


def _may_create(person: Person) -> bool:
    is_open: bool = settings.POLICYHUB_SIGNUP == "open"
    return is_open or person.is_superuser


def _slug(form: NewAccountForm) -> str:
    slug = slugify(form.cleaned_data["name"])[:50]
    # `new` is the address of the page that makes accounts.
    return slug if slug not in ("", "new") else "account"
