"""Legal holds: the list, a new one, and its release."""

from typing import Any, Final

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext

from accounts.errors import DomainError, NotFound
from accounts.selectors import bots, projects
from dashboard.paging import chosen, page_of
from dashboard.retention_forms import HoldForm, ReleaseForm
from dashboard.visits import Visit, attempt, page, render
from retention import holding
from retention.models import LegalHold
from retention.selectors import (
    FORGOTTEN_AFTER,
    forgotten_holds,
    hold_of,
    hold_state,
    holds,
    live_holds,
)

STATES: Final = ("active", "forgotten", "ended", "released")
CHOICES: Final = 500
# What an address may fill in of a new hold.
ASKED: Final = ("kind", "user", "conversation", "bot", "project")


@page()
def listing(visit: Visit) -> HttpResponse:
    """List the holds, by state and by what they are on."""
    state = chosen(visit.request, "state", STATES)
    kind = chosen(visit.request, "kind", LegalHold.Kind.values)
    found = _in_state(visit, state)
    shown = page_of(found.filter(kind=kind) if kind else found, visit.request)
    context = {
        "page": shown,
        "rows": _rows(visit, shown.rows),
        "states": STATES,
        "kinds": LegalHold.Kind.values,
        "chosen": {"state": state, "kind": kind},
        "forgotten": forgotten_holds(visit.account, visit.now).count(),
        "tab": "holds",
    }
    return render(visit, "holds.html", context, place="retention")


@page(write=True, methods=("GET", "POST"))
def create(visit: Visit) -> HttpResponse:
    """Place a hold."""
    asked = visit.request.GET
    form = HoldForm(
        visit.request.POST if visit.request.method == "POST" else None,
        account=visit.account,
        bots=list(bots(visit.account, include_archived=True)[:CHOICES]),
        projects=list(projects(visit.account, include_archived=True)[:CHOICES]),
        **{name: asked[name] for name in ASKED if name in asked},
    )
    hold = _placed(visit, form) if form.is_valid() else None
    if hold is None:
        code = 422 if form.is_bound else 200
        context = {"form": form, "tab": "holds"}
        return render(visit, "hold_form.html", context, place="retention", status=code)
    messages.success(visit.request, gettext("Held. Nothing it covers is deleted."))
    return HttpResponseRedirect(visit.address("hold", hold.public_id))


@page()
def detail(visit: Visit, hold_id: str) -> HttpResponse:
    """Show a hold."""
    hold = hold_of(visit.account, hold_id)
    return _show(visit, hold, ReleaseForm(auto_id="release_%s"))


@page(write=True, methods=("POST",))
def release(visit: Visit, hold_id: str) -> HttpResponse:
    """Release a hold: what is due is deleted by the next run."""
    hold = hold_of(visit.account, hold_id)
    form = ReleaseForm(visit.request.POST, auto_id="release_%s")
    if not form.is_valid():
        return _show(visit, hold, form, status=422)
    return attempt(
        visit,
        lambda: holding.release_hold(
            hold=hold,
            actor=visit.actor,
            reason=form.cleaned_data["reason"],
            now=visit.now,
        ),
        done=gettext("Released. What is due goes with the next run."),
        back=visit.address("hold", hold.public_id),
    )


def _placed(visit: Visit, form: HoldForm) -> LegalHold | None:
    try:
        return holding.place_hold(
            account=visit.account, actor=visit.actor, now=visit.now, **form.values()
        )
    except NotFound:
        raise
    except DomainError as error:
        form.blame(error)
        return None


def _in_state(visit: Visit, state: str | None) -> QuerySet[LegalHold]:
    if state == "active":
        return live_holds(visit.account, visit.now)
    if state == "forgotten":
        return forgotten_holds(visit.account, visit.now)
    found = holds(visit.account)
    if state == "ended":
        return found.filter(released_at=None, until__lte=visit.now)
    return found.exclude(released_at=None) if state == "released" else found


def _rows(visit: Visit, shown: Any) -> list[dict[str, Any]]:
    known = bots(visit.account, include_archived=True)
    names = dict.fromkeys((hold.ref for hold in shown), "")
    found = known.filter(id__in=[hold.bot_id for hold in shown if hold.bot_id])
    names |= {bot.public_id: bot.name for bot in found}
    wanted = [hold.project_id for hold in shown if hold.project_id]
    named = projects(visit.account).filter(id__in=wanted) if wanted else ()
    names |= {project.public_id: project.name for project in named}
    return [
        {
            "hold": hold,
            "state": hold_state(hold, visit.now),
            "name": names[hold.ref],
            "forgotten": _is_forgotten(hold, visit),
        }
        for hold in shown
    ]


def _is_forgotten(hold: LegalHold, visit: Visit) -> bool:
    old = hold.created_at < visit.now - FORGOTTEN_AFTER
    return old and hold.until is None and hold.released_at is None


def _show(
    visit: Visit, hold: LegalHold, form: ReleaseForm, *, status: int = 200
) -> HttpResponse:
    (row,) = _rows(visit, [hold])
    context = {**row, "form": form, "tab": "holds"}
    return render(visit, "hold.html", context, place="retention", status=status)
