"""The first page: what is tightest now, what was used, what wants attention."""

from django.http import HttpResponse

from alerts.selectors import open_alerts
from dashboard.gauges import Dial, dials_of
from dashboard.usage_chart import chart_of_days
from dashboard.visits import Visit, page, render
from policies.models import Policy
from policies.selectors import blocks, policies
from usage.selectors import readings

DAYS = 30
DIALS = 6
# More policies than these are read on the policies' own page.
POLICIES = 100


@page()
def overview(visit: Visit) -> HttpResponse:
    """Show the tightest policies, the tokens of each day and the open alerts."""
    live = blocks(visit.account, live_at=visit.now).filter(enforced=True)
    context = {
        "dials": _dials(visit),
        "chart": chart_of_days(visit.account, days=DAYS, now=visit.now),
        "alerts": open_alerts(visit.account).order_by("-id")[:5],
        "blocks": live[:5],
    }
    return render(visit, "overview.html", context, place="overview")


@page()
def gauges(visit: Visit) -> HttpResponse:
    """Render the gauges alone: the overview asks for them again and again."""
    return render(visit, "parts/dials.html", {"dials": _dials(visit)})


def _dials(visit: Visit) -> list[Dial]:
    written = policies(visit.account, type=Policy.Type.USAGE)
    live = list(written.exclude(rollout_mode=Policy.Rollout.OFF)[:POLICIES])
    read = readings(account=visit.account, policies=live, now=visit.now)
    return dials_of(live, read)[:DIALS]
