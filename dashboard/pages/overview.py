"""The first page: what is tightest now, what was used, what wants attention."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpResponse

from alerts.models import Alert
from alerts.selectors import open_alerts
from dashboard.gauges import Dial, dials_of
from dashboard.usage_picture import Picture, picture, table_of, usage_policies
from dashboard.usage_query import SPANS, Asked, asked
from dashboard.usage_series import Named, offered
from dashboard.usage_svg import svg_of
from dashboard.visits import Visit, page, render
from policies.models import Policy
from policies.rules import METRICS
from policies.selectors import blocks
from retention.selectors import runs
from usage.selectors import readings

DIALS = 6
LISTED = 5


@page()
def overview(visit: Visit) -> HttpResponse:
    """Show the tightest policies, what each bot used and the open alerts."""
    known = offered(visit.account, with_keys=False)
    wanted = _wanted(visit)
    written = list(usage_policies(visit))
    used = picture(visit, wanted, known, written, with_events=False)
    context = {
        "policies": written,
        "dials": _dials(visit, written, wanted),
        "asked": wanted,
        "known": [each for each in known if each.kind == "bot"],
        "strange": _strange(wanted, known),
        "picture": used,
        "drawn": svg_of(used),
        "table": table_of(used, with_total=False),
        "whole": visit.address("usage") + wanted.query(),
        "alerts": _alerts(visit)[:LISTED],
        "metrics": METRICS,
        "spans": [*SPANS.items()],
        "is_new": _is_new(used, known, written),
    }
    return render(visit, "overview.html", context, place="overview")


@page()
def gauges(visit: Visit) -> HttpResponse:
    """Render the gauges alone: the overview asks for them again and again."""
    written = list(usage_policies(visit))
    return render(visit, "parts/dials.html", {"dials": _dials(visit, written)})


@page()
def standing(visit: Visit) -> HttpResponse:
    """Render who is blocked and what retention does: the overview asks for it."""
    live = blocks(visit.account, live_at=visit.now).filter(enforced=True)
    last = list(runs(visit.account)[:LISTED])
    waiting = [
        run for run in last if run.state in (run.State.WAITING, run.State.PAUSED)
    ]
    context: dict[str, Any] = {
        "blocks": live[:LISTED],
        "run": next(iter(waiting or last), None),
        "waits": bool(waiting),
    }
    return render(visit, "parts/standing.html", context)


def _alerts(visit: Visit) -> QuerySet[Alert]:
    """Return the open alerts, but for those that somebody has put aside."""
    asleep = Q(acknowledged_at=None, snoozed_until__gt=visit.now)
    return open_alerts(visit.account).exclude(asleep).order_by("-id")


def _wanted(visit: Visit) -> Asked:
    """Return what the address asks for; without a bot, by bot."""
    wanted = asked(visit.request.GET, visit.account, visit.now, with_keys=False)
    if "bot" in wanted.named:
        return replace(wanted, group_by=None)
    return replace(wanted, group_by="bot")


def _dials(
    visit: Visit, written: Sequence[Policy], wanted: Asked | None = None
) -> list[Dial]:
    """Return the fullest gauges; if a bot is asked for, of what can concern it."""
    live = [each for each in written if each.rollout_mode != Policy.Rollout.OFF]
    if wanted is not None and wanted.filters.bot is not None:
        bot = wanted.filters.bot
        live = [each for each in live if each.scope_bot_id in (None, bot)]
    read = readings(account=visit.account, policies=live, now=visit.now, most=DIALS)
    return dials_of(live, read)[:DIALS]


def _strange(wanted: Asked, known: Sequence[Named]) -> str:
    """Return a bot that the list does not offer: gone, or one of too many."""
    named = wanted.named.get("bot", "")
    return "" if any(each.id == named for each in known) else named


def _is_new(used: Picture, known: Sequence[Named], written: Sequence[Policy]) -> bool:
    """Say whether there is nothing here but the account."""
    return used.is_empty and not (known or written)
