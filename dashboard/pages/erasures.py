"""The erasure of one end user's data (CONTRACT E4): look, type the name, follow."""

from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext

from accounts.errors import DomainError
from dashboard.retention_forms import EraseForm
from dashboard.visits import Visit, page, render
from retention.erasure import TARGET, erase_user
from retention.models import PruneRun
from retention.selectors import runs
from usage.conversations import conversations
from usage.reports import Filters, Report, slices_of

RECENT: Final = 8
LONGEST: Final = 256
# Usage events live as long by the house's rule, and what is older is summed already.
_BACK: Final = timedelta(days=400)


@page(manage=True, methods=("GET", "POST"))
def erase(visit: Visit) -> HttpResponse:
    """Ask for a user, say what there is of them, and erase it once it is confirmed."""
    if visit.request.method != "POST":
        user = visit.request.GET.get("user", "")
        form = EraseForm(initial={"user": user}) if _is_name(user) else None
        return _show(visit, user if form else "", form)
    form = EraseForm(visit.request.POST)
    user = str(form["user"].value() or "")
    if not _is_name(user):
        return _show(visit, "", None, status=422)
    run = _erased(visit, form) if form.is_valid() else None
    if run is None:
        return _show(visit, user, form, status=422)
    messages.success(visit.request, gettext("The erasure has begun."))
    return HttpResponseRedirect(visit.address("run", run.public_id))


def _erased(visit: Visit, form: EraseForm) -> PruneRun | None:
    try:
        return erase_user(
            account=visit.account,
            user=form.cleaned_data["user"],
            actor=visit.actor,
            now=visit.now,
        )
    except DomainError as error:
        form.blame(error)
        return None


def _is_name(user: str) -> bool:
    odd = "\x00" in user or any("\ud800" <= c <= "\udfff" for c in user)
    return 0 < len(user) <= LONGEST and not odd


def _show(
    visit: Visit, user: str, form: EraseForm | None, *, status: int = 200
) -> HttpResponse:
    context = {
        "user": user,
        "form": form,
        "found": _found(visit, user) if user else None,
        "runs": runs(visit.account).filter(target=TARGET)[:RECENT],
        "tab": "erase",
    }
    return render(visit, "erase.html", context, place="retention", status=status)


def _found(visit: Visit, user: str) -> dict[str, Any]:
    """Return what there is of a user."""
    report = Report(visit.account, Filters(user=user))
    slices = slices_of(visit.account, visit.now - _BACK, visit.now)
    totals = report.totals(slices)
    return {
        "conversations": conversations(visit.account).filter(user=user).count(),
        "events": sum(sums["events"] for _, sums in totals),
    }
