"""The decisions as they were made: never with any text of a prompt."""

from typing import Any

from django.http import HttpResponse

from accounts.errors import NotFound
from accounts.selectors import bot_by_reference, project_of
from audit import selectors
from audit.models import DecisionRecord
from dashboard.decision_filters import Chosen, chosen_by
from dashboard.fragments import sent_by, wants_part
from dashboard.paging import page_of
from dashboard.saved_views import views_of
from dashboard.visits import Visit, page, render
from policies.explanations import explained
from retention.cutoff import DECISION_DAYS

FORM = "facets"
# In the order in which people read them.
METRICS = (
    "tokens",
    "input_tokens",
    "output_tokens",
    "cost",
    "calls",
    "messages",
    "conversations",
)


@page(facts=True)
def listing(visit: Visit) -> HttpResponse:
    """List the decisions that the address asks for, the newest first."""
    chosen = chosen_by(visit)
    shown = page_of(chosen.rows(visit.account), visit.request)
    newest = shown.rows[0].public_id if shown.rows else "none"
    if visit.request.GET.get("newest") == newest:
        return HttpResponse(status=204, headers={"Cache-Control": "no-store"})
    part = wants_part(visit.request)
    answer = render(
        visit,
        "parts/decisions_found.html" if part else "decisions.html",
        _context(visit, chosen, {"page": shown, "newest": newest}),
        place="decisions",
    )
    if part and sent_by(visit.request, FORM):
        answer["HX-Push-Url"] = f"{visit.request.path}?{chosen.query}"
    return answer


@page(facts=True)
def detail(visit: Visit, decision_id: str) -> HttpResponse:
    """Show why a decision was made: every policy that was evaluated."""
    decision = selectors.decision_of(visit.account, decision_id)
    context = {
        "decision": decision,
        "lines": explained(visit.account, decision),
        "bot": _bot_name(visit, decision),
        "project": _project_name(visit, decision),
        "estimate": _estimate(decision),
    }
    part = wants_part(visit.request)
    template = "parts/why.html" if part else "decision.html"
    return render(visit, template, context, place="decisions")


def _context(visit: Visit, chosen: Chosen, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "chosen": chosen,
        "names": chosen.bot_names,
        "views": views_of(visit, "decisions", chosen.query),
        "live": "live" in visit.request.GET and "after" not in visit.request.GET,
        "csv": chosen.export(visit.account, "csv"),
        "ndjson": chosen.export(visit.account, "ndjson"),
        "days": DECISION_DAYS[visit.account.plan],
        **found,
    }


def _bot_name(visit: Visit, decision: DecisionRecord) -> str:
    """Return what people call the bot, or its id if it has gone."""
    try:
        return bot_by_reference(
            visit.account, decision.policy_target, include_archived=True
        ).name
    except NotFound:
        return decision.policy_target


def _project_name(visit: Visit, decision: DecisionRecord) -> str:
    """Return what people call the project, or its id if it has gone."""
    named = decision.policy_project_id or ""
    try:
        return project_of(visit.account, named).name if named else ""
    except NotFound:
        return named


def _estimate(decision: DecisionRecord) -> list[tuple[str, int]]:
    """Return what the call was to use, without what it was not to use at all."""
    asked = {name: int(decision.estimate.get(name) or 0) for name in METRICS}
    return [(name, value) for name, value in asked.items() if value]
