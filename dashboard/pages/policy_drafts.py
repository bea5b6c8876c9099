"""The live preview of the policy form: fragments that follow what is typed."""

from django.http import HttpResponse

from dashboard.policy_desk import edit_form, new_form, past_shown, preview_of, slid
from dashboard.policy_draft import PolicyForm
from dashboard.visits import Visit, page, render
from policies.models import Policy
from policies.selectors import policy_of


@page(write=True, methods=("POST",))
def of_new(visit: Visit, kind: str) -> HttpResponse:
    """Say what a new policy would mean."""
    return _preview(visit, new_form(visit, kind))


@page(write=True, methods=("POST",))
def past_of_new(visit: Visit, kind: str) -> HttpResponse:
    """Say what a new policy would have done."""
    form = new_form(visit, kind)
    return render(visit, "parts/policy_past.html", past_shown(visit, form))


@page(write=True, methods=("POST",))
def of_edit(visit: Visit, policy_id: str) -> HttpResponse:
    """Say what the next revision of a policy would mean."""
    policy = policy_of(visit.account, policy_id)
    return _preview(visit, edit_form(visit, policy), policy)


@page(write=True, methods=("POST",))
def past_of_edit(visit: Visit, policy_id: str) -> HttpResponse:
    """Say what the next revision of a policy would have done."""
    policy = policy_of(visit.account, policy_id)
    form = edit_form(visit, policy)
    return render(visit, "parts/policy_past.html", past_shown(visit, form, policy))


@page(write=True, methods=("POST",))
def slide_of_new(visit: Visit, kind: str, number: int) -> HttpResponse:
    """Offer other thresholds for a limit of a new policy."""
    return _slide(visit, new_form(visit, kind), number)


@page(write=True, methods=("POST",))
def slide_of_edit(visit: Visit, policy_id: str, number: int) -> HttpResponse:
    """Offer other thresholds for a limit of the next revision of a policy."""
    policy = policy_of(visit.account, policy_id)
    return _slide(visit, edit_form(visit, policy), number)


def _slide(visit: Visit, form: PolicyForm, number: int) -> HttpResponse:
    context = {
        "number": number,
        "row": number - 1,
        "sliding": slid(visit, form, number - 1),
    }
    return render(visit, "parts/slide.html", context)


def _preview(
    visit: Visit, form: PolicyForm, policy: Policy | None = None
) -> HttpResponse:
    context = preview_of(visit, form, policy)
    if "preview" in visit.request.POST:
        # The button was pressed: all of it is wanted anew.
        context |= past_shown(visit, form, policy)
    return render(visit, "parts/policy_preview.html", context)
