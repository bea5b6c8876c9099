"""Pause and resume policies: one from its page, or several chosen from the list."""

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard import policy_modes
from dashboard.policy_modes import MEANINGS, MODES, Switched, SwitchForm
from dashboard.visits import Visit, page, render
from policies.models import Policy


@page(write=True, methods=("GET", "POST"))
def several(visit: Visit) -> HttpResponse:
    """Show which policies would be switched, and switch them once that is confirmed."""
    sent = visit.request.POST or visit.request.GET
    seen = policy_modes.seen_by(sent.getlist("policy"))
    rows = policy_modes.chosen_of(visit, seen)
    if visit.request.method == "POST":
        return _switch(visit, rows, seen)
    mode = sent.get("mode", "")
    return _ask(visit, rows, mode, SwitchForm(initial={"mode": mode}))


def _switch(visit: Visit, rows: Sequence[Policy], seen: dict[str, int]) -> HttpResponse:
    form = SwitchForm(visit.request.POST)
    mode = visit.request.POST.get("mode", "")
    if not rows or not form.is_valid():
        return _ask(visit, rows, mode, form, status=422)
    found = policy_modes.switch_all(visit, rows, seen, **form.cleaned_data)
    for each in found.stale:
        each.refresh_from_db()
    _tell(visit, found, mode)
    if len(seen) > len(rows):
        messages.warning(visit.request, _gone(len(seen) - len(rows)))
    if not found.stale:
        return HttpResponseRedirect(visit.address("policies"))
    again = {"mode": mode, "reason": form.cleaned_data["reason"]}
    return _ask(visit, found.stale, mode, SwitchForm(initial=again), status=409)


def _ask(
    visit: Visit,
    rows: Sequence[Policy],
    mode: str,
    form: SwitchForm,
    *,
    status: int = 200,
) -> HttpResponse:
    rows = rows if mode in MODES else []
    changing = [each for each in rows if each.rollout_mode != mode]
    context = {
        "rows": rows,
        "form": form,
        "mode": mode,
        "name": MODES.get(mode, ""),
        "meaning": MEANINGS.get(mode, ""),
        "deletes": mode == Policy.Rollout.ENFORCE
        and any(each.type == Policy.Type.RETENTION for each in changing),
    }
    return render(visit, "policy_modes.html", context, place="policies", status=status)


def _tell(visit: Visit, found: Switched, mode: str) -> None:
    """Say by name which were not changed, and how many were."""
    if found.done:
        told = ngettext(
            "%(count)s policy is switched: %(mode)s.",
            "%(count)s policies are switched: %(mode)s.",
            len(found.done),
        )
        values = {"count": len(found.done), "mode": MODES[mode]}
        messages.success(visit.request, told % values)
    if found.same:
        names = _named(found.same)
        messages.info(visit.request, _("So already: %(names)s.") % {"names": names})
    if found.stale:
        told = _("Not changed, because somebody else has edited them since: %(names)s.")
        messages.error(visit.request, told % {"names": _named(found.stale)})
    for policy, why in found.refused:
        told = _("%(name)s is not changed: %(why)s")
        messages.error(visit.request, told % {"name": policy.name, "why": why})


def _named(rows: Sequence[Policy]) -> str:
    return ", ".join(each.name for each in rows)


def _gone(count: int) -> str:
    told = ngettext(
        "%(count)s of those chosen is not there any more.",
        "%(count)s of those chosen are not there any more.",
        count,
    )
    return told % {"count": count}
