"""Writing a policy: a new one, or the next revision of one there is."""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext

from accounts.errors import DomainError, NotFound, StaleRevision
from accounts.saying import say
from dashboard import policy_merges
from dashboard.big_deletions import confirmed
from dashboard.policy_desk import (
    addresses_of,
    edit_form,
    form_of,
    new_form,
    past_shown,
    preview_of,
)
from dashboard.policy_draft import PolicyForm
from dashboard.policy_starts import STARTS, start_of
from dashboard.visits import Visit, page, render
from policies.models import Policy
from policies.rules import timezones
from policies.selectors import policy_of, revisions
from usage import edits

Document = dict[str, Any]
# What says only which parts are taken, and is not to be sent again.
ASIDE: Final = ("csrfmiddlewaretoken", "revision", "theirs", "take-", "merge")


@page(write=True)
def choose(visit: Visit) -> HttpResponse:
    """Offer the types of policies, and starts for the most usual ones."""
    start = start_of(visit.request.GET.get("template", ""))
    if start is not None:
        query = visit.request.GET.urlencode()
        address = visit.address("policy-create", start.kind)
        return HttpResponseRedirect(f"{address}?{query}")
    return render(visit, "policy_choice.html", {"starts": STARTS}, place="policies")


@page(write=True, methods=("GET", "POST"))
def create(visit: Visit, kind: str) -> HttpResponse:
    """Write a new policy."""
    form = new_form(visit, kind)
    if _only_shown(visit):
        return _show(visit, form)
    saved = _save(visit, form, lambda document: _created(visit, document))
    if saved is None:
        return _show(visit, form, status=422)
    text = gettext("%(name)s is written and counts from now on.")
    messages.success(visit.request, text % {"name": saved.name})
    return HttpResponseRedirect(visit.address("policy", saved.public_id))


@page(write=True, methods=("GET", "POST"))
def edit(visit: Visit, policy_id: str) -> HttpResponse:
    """Write the next revision of a policy."""
    policy = policy_of(visit.account, policy_id)
    form = edit_form(visit, policy)
    if _only_shown(visit):
        return _show(visit, form, policy)
    if "merge" in visit.request.POST:
        return _merge(visit, policy, form)
    try:
        saved = _save(
            visit,
            form,
            lambda document: _replaced(visit, policy, form, document),
            policy,
        )
    except StaleRevision:
        return _ask_which(visit, policy, form)
    if saved is None:
        return _show(visit, form, policy, status=422)
    text = gettext("%(name)s is at revision %(number)s.")
    told = text % {"name": saved.name, "number": saved.revision}
    messages.success(visit.request, told)
    return HttpResponseRedirect(visit.address("policy", saved.public_id))


def _only_shown(visit: Visit) -> bool:
    asked = {"add_limit", "preview", "take"} & set(visit.request.POST)
    return visit.request.method != "POST" or bool(asked)


def _save(
    visit: Visit,
    form: PolicyForm,
    write: Callable[[Document], Policy],
    policy: Policy | None = None,
) -> Policy | None:
    """Write what the form says; None after telling its fields why it cannot be."""
    document = form.parsed()
    if document is None or not confirmed(visit, form, document, policy):
        return None
    try:
        return write(document)
    except (NotFound, StaleRevision):
        raise
    except DomainError as error:
        form.blame((each["pointer"], each["detail"]) for each in error.errors)
        if not error.errors:
            form.add_error(None, say(error.detail))
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
        # Whoever does not say which revision they saw has seen none.
        expected_revision=form.cleaned_data["revision"] or 0,
        reason=form.cleaned_data["reason"],
    )


def _merge(visit: Visit, policy: Policy, form: PolicyForm) -> HttpResponse:
    """Show the form with the parts of both that were chosen, to be saved from there."""
    mine, posted = form.parsed(), visit.request.POST
    if mine is None:
        return _show(visit, form, policy, status=422)
    if posted.get("theirs") != str(policy.revision):
        return _ask_which(visit, policy, form)
    taken = [
        name.removeprefix("take-")
        for name, choice in posted.items()
        if name.startswith("take-") and choice == "theirs"
    ]
    both = policy_merges.merged(theirs=policy.document, mine=mine, taken=taken)
    reason, number = form.cleaned_data["reason"], policy.revision
    again = form_of(
        visit, policy.type, None, both, policy, revision=number, reason=reason
    )
    return _show(visit, again, policy, merged=True)


def _ask_which(visit: Visit, policy: Policy, form: PolicyForm) -> HttpResponse:
    """Show what two people changed and let the later one choose; nothing is lost."""
    policy.refresh_from_db()
    known = revisions(visit.account, policy)
    opened = form.cleaned_data["revision"] or 0
    mine = form.parsed()
    before = known.filter(number=opened).first()
    parts = policy_merges.parts(
        before=before.document if before else None,
        theirs=policy.document,
        mine=mine or {},
    )
    context = {
        "policy": policy,
        "sent": _sent(visit),
        "opened": opened,
        "theirs": known.filter(number=policy.revision).first(),
        "parts": parts,
        "mine": mine,
        "names": form.named(),
    }
    return render(visit, "policy_merge.html", context, place="policies", status=409)


def _sent(visit: Visit) -> list[tuple[str, str]]:
    return [
        (name, str(value))
        for name, values in visit.request.POST.lists()
        if not name.startswith(ASIDE)
        for value in values
    ]


def _show(
    visit: Visit,
    form: PolicyForm,
    policy: Policy | None = None,
    *,
    status: int = 200,
    merged: bool = False,
) -> HttpResponse:
    kind, posted = form.type_name, visit.request.POST
    # Who asks for another limit has not ended writing.
    look = addresses_of if "add_limit" in posted else preview_of
    context = {
        "form": form,
        "policy": policy,
        "kind": kind,
        "merged": merged,
        "zones": sorted(timezones()) if kind == Policy.Type.USAGE else (),
        **look(visit, form, policy),
        **(past_shown(visit, form, policy) if {"preview", "take"} & {*posted} else {}),
        "taken": "take" in posted,
    }
    template = f"policy_form_{kind}.html"
    return render(visit, template, context, place="policies", status=status)
