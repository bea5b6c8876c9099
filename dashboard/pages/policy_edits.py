"""Writing a policy: a new one, or the next revision of one there is."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect

from accounts.errors import DomainError, NotFound, StaleRevision
from accounts.selectors import bots, projects
from alerts.selectors import webhooks
from dashboard.policy_draft import PolicyForm
from dashboard.policy_forms import FORMS
from dashboard.visits import Visit, page, render
from policies.models import Policy
from policies.rules import timezones
from policies.selectors import policy_of
from usage import edits

Document = dict[str, Any]
CHOICES = 500
STARTS: Mapping[str, Mapping[str, Any]] = {
    "monthly": {
        "name": "Monthly ceiling",
        "limits": [{"metric": "cost", "threshold": "100", "unit": "month"}],
        "actions": {"block": {"duration_seconds": None}, "email": {}},
    },
    "loop": {
        "name": "Loop guard",
        "limits": [{"metric": "calls", "threshold": 500, "unit": "hour"}],
        "actions": {"block": {"duration_seconds": 3600}, "email": {}},
    },
    "notify": {
        "name": "Tell me about heavy days",
        "limits": [{"metric": "tokens", "threshold": 1_000_000, "unit": "day"}],
        "actions": {"email": {}},
    },
}


@page(write=True)
def choose(visit: Visit) -> HttpResponse:
    """Offer the types of policies, and starts for the most usual ones."""
    return render(visit, "policy_choice.html", {}, place="policies")


@page(write=True, methods=("GET", "POST"))
def create(visit: Visit, kind: str) -> HttpResponse:
    """Write a new policy."""
    data = visit.request.POST if visit.request.method == "POST" else None
    form = _form(visit, kind, data, document=_start(visit, kind))
    if data is None or "add_limit" in data:
        return _show(visit, form, kind)
    saved = _save(form, lambda document: _created(visit, document))
    if saved is None:
        return _show(visit, form, kind, status=422)
    messages.success(visit.request, f"{saved.name} is written and counts from now on.")
    return HttpResponseRedirect(visit.address("policy", saved.public_id))


@page(write=True, methods=("GET", "POST"))
def edit(visit: Visit, policy_id: str) -> HttpResponse:
    """Write the next revision of a policy."""
    policy = policy_of(visit.account, policy_id)
    data = visit.request.POST if visit.request.method == "POST" else None
    form = _form(visit, policy.type, data, policy.document, revision=policy.revision)
    if data is None or "add_limit" in data:
        return _show(visit, form, policy.type, policy)
    saved = _save(
        form, lambda document: _replaced(visit, policy, form, document), policy
    )
    if saved is None:
        return _show(visit, form, policy.type, policy, status=422)
    messages.success(visit.request, f"{saved.name} is at revision {saved.revision}.")
    return HttpResponseRedirect(visit.address("policy", saved.public_id))


def _save(
    form: PolicyForm,
    write: Callable[[Document], Policy],
    policy: Policy | None = None,
) -> Policy | None:
    """Write what the form says; None after telling its fields why it cannot be."""
    document = form.parsed()
    if document is None:
        return None
    try:
        return write(document)
    except NotFound:
        raise
    except StaleRevision:
        if policy is not None:
            form.renew(policy.revision)
        form.add_error(
            None,
            "Somebody changed this policy while you wrote. Open it in another tab,"
            " compare, and save again: what you typed is still here.",
        )
    except DomainError as error:
        form.blame((each["pointer"], each["detail"]) for each in error.errors)
        if not error.errors:
            form.add_error(None, error.detail)
    return None


def _created(visit: Visit, document: Document) -> Policy:
    return edits.create_policy(
        account=visit.account, document=document, actor=visit.actor, now=visit.now
    )


def _replaced(
    visit: Visit, policy: Policy, form: PolicyForm, document: Document
) -> Policy:
    return edits.replace_policy(
        policy=policy,
        document=document,
        actor=visit.actor,
        now=visit.now,
        expected_revision=form.cleaned_data["revision"],
        reason=form.cleaned_data["reason"],
    )


def _form(
    visit: Visit, kind: str, data: Any, document: Document | None, **initial: Any
) -> PolicyForm:
    if kind not in FORMS:
        raise Http404
    options: dict[str, Any] = {
        "bots": list(bots(visit.account)[:CHOICES]),
        "projects": list(projects(visit.account)[:CHOICES]),
        "webhooks": list(webhooks(visit.account)[:CHOICES]),
        "document": document,
        **initial,
    }
    if kind == Policy.Type.USAGE:
        options["timezone"] = visit.account.timezone
        options["week_start"] = visit.account.week_start
    return FORMS[kind](data, **options)


def _start(visit: Visit, kind: str) -> Document:
    """Return the draft that the address asks to begin with; mostly an empty one."""
    if visit.request.method != "GET" or kind != Policy.Type.USAGE:
        return {}
    draft = dict(STARTS.get(visit.request.GET.get("start", ""), {}))
    bot = visit.request.GET.get("bot", "")
    zone = visit.account.timezone
    draft["limits"] = [
        {
            "metric": limit["metric"],
            "threshold": limit["threshold"],
            "window": {"kind": "calendar", "unit": limit["unit"], "timezone": zone},
        }
        for limit in draft.get("limits", [])
    ]
    return {**draft, "scope": {"bot": bot} if bot else {}}


def _show(
    visit: Visit,
    form: PolicyForm,
    kind: str,
    policy: Policy | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "policy": policy,
        "kind": kind,
        "zones": sorted(timezones()) if kind == Policy.Type.USAGE else (),
    }
    template = f"policy_form_{kind}.html"
    return render(visit, template, context, place="policies", status=status)
