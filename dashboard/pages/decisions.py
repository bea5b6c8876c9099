"""The decisions as they were made: never with any text of a prompt."""

from django.http import HttpResponse

from accounts.selectors import bots
from audit import selectors
from dashboard.paging import chosen, page_of
from dashboard.visits import Visit, page, render

CHOICES = 500


@page(facts=True)
def listing(visit: Visit) -> HttpResponse:
    """List the decisions, the newest first."""
    known = list(bots(visit.account, include_archived=True)[:CHOICES])
    wanted = visit.request.GET.get("bot", "")
    bot = next((each for each in known if each.public_id == wanted), None)
    decision = chosen(visit.request, "decision", ("allow", "deny"))
    found = selectors.decisions(visit.account, bot=bot.public_id if bot else None)
    if decision is not None:
        found = found.filter(decision=decision)
    context = {
        "page": page_of(found, visit.request),
        "names": {each.public_id: each.name for each in known},
        "bot": bot,
        "decision": decision,
    }
    return render(visit, "decisions.html", context, place="decisions")


@page(facts=True)
def detail(visit: Visit, decision_id: str) -> HttpResponse:
    """Show why a decision was made: every policy that was evaluated."""
    decision = selectors.decision_of(visit.account, decision_id)
    return render(visit, "decision.html", {"decision": decision}, place="decisions")
