"""The gateway: where calls go, what must not pass, and a text to try it on."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from accounts.errors import DomainError, NotFound
from accounts.selectors import projects
from dashboard.forms import ConfirmForm
from dashboard.gateway_forms import PlaygroundForm, UpstreamForm
from dashboard.visits import Visit, attempt, page, render
from gateway import echo, selectors, services
from gateway.content import ContentPolicy, Screen, content_policy
from gateway.models import Upstream
from policies.matching import Caller
from policies.models import Policy
from policies.selectors import policies

CHOICES = 500
# Nobody in particular: only policies for everybody are tried on a text.
NOBODY = Caller(project=None, bot="", user=None, model=None)


@page()
def overview(visit: Visit) -> HttpResponse:
    """Show base URL, upstreams, content policies and the playground."""
    return _show(visit, PlaygroundForm())


@page(methods=("POST",))
def playground(visit: Visit) -> HttpResponse:
    """Show what the account's content policies leave of a text; keep nothing."""
    form = PlaygroundForm(visit.request.POST)
    if not form.is_valid():
        return _show(visit, form, status=422)
    screen = Screen(
        [_compiled(each) for each in _content(visit)],
        NOBODY,
        form.cleaned_data["direction"],
    )
    left = screen.whole(form.cleaned_data["text"])
    result = {"left": left, "findings": screen.findings, "denied": screen.denied}
    return _show(visit, form, result=result)


@page(write=True, methods=("GET", "POST"))
def create(visit: Visit) -> HttpResponse:
    """Write an upstream down."""
    return _edit(visit, None)


@page(write=True, methods=("GET", "POST"))
def edit(visit: Visit, upstream_id: str) -> HttpResponse:
    """Change an upstream."""
    return _edit(visit, selectors.upstream_of(visit.account, upstream_id))


@page(write=True, methods=("GET", "POST"))
def archive(visit: Visit, upstream_id: str) -> HttpResponse:
    """Ask, then take an upstream out of use."""
    upstream = selectors.upstream_of(visit.account, upstream_id)
    data = visit.request.POST if visit.request.method == "POST" else None
    form = ConfirmForm(data, expected=upstream.name)
    if not form.is_valid():
        code = 422 if form.is_bound else 200
        context = {"upstream": upstream, "form": form}
        return render(
            visit, "upstream_archive.html", context, place="gateway", status=code
        )
    return attempt(
        visit,
        lambda: services.archive_upstream(
            upstream=upstream, actor=visit.actor, now=visit.now
        ),
        done=_("%(name)s is out of use, and its key is forgotten.")
        % {"name": upstream.name},
        back=visit.address("gateway"),
    )


def _edit(visit: Visit, upstream: Upstream | None) -> HttpResponse:
    form = UpstreamForm(
        visit.request.POST if visit.request.method == "POST" else None,
        projects=list(projects(visit.account)[:CHOICES]),
        initial=UpstreamForm.of(upstream) if upstream else None,
    )
    if form.is_valid() and _saved(visit, form, upstream):
        messages.success(
            visit.request, _("%(name)s is saved.") % {"name": form.cleaned_data["name"]}
        )
        return HttpResponseRedirect(visit.address("gateway"))
    context = {"form": form, "upstream": upstream}
    code = 422 if form.is_bound else 200
    return render(visit, "upstream_form.html", context, place="gateway", status=code)


def _saved(visit: Visit, form: UpstreamForm, upstream: Upstream | None) -> bool:
    deed: dict[str, Any] = {
        "values": form.values(),
        "actor": visit.actor,
        "now": visit.now,
    }
    try:
        if upstream is None:
            services.create_upstream(account=visit.account, **deed)
        else:
            services.update_upstream(upstream=upstream, **deed)
    except NotFound:
        raise
    except DomainError as error:
        form.blame(error)
        return False
    return True


def _show(
    visit: Visit,
    form: PlaygroundForm,
    *,
    result: dict[str, object] | None = None,
    status: int = 200,
) -> HttpResponse:
    found = list(selectors.upstreams(visit.account).order_by("position", "id"))
    context = {
        "base_url": f"{settings.POLICYHUB_SITE_URL.rstrip('/')}/v1",
        "upstreams": found,
        "echoes": settings.GATEWAY_ECHO and not found,
        "echo_models": echo.CHAT_MODELS,
        "policies": _content(visit),
        "form": form,
        "result": result,
    }
    return render(visit, "gateway.html", context, place="gateway", status=status)


def _content(visit: Visit) -> list[Policy]:
    found = policies(visit.account, type=Policy.Type.CONTENT)
    return list(found[:CHOICES])


def _compiled(policy: Policy) -> ContentPolicy:
    return content_policy(
        policy_id=policy.public_id, revision=policy.revision, document=policy.document
    )
