"""What is let go of: the retention policies, what is due now, and the receipts."""

from typing import Any

from django.http import HttpResponse

from dashboard.gauges import names_of
from dashboard.paging import page_of
from dashboard.visits import Visit, page, render
from policies.models import Policy
from policies.selectors import policies
from retention.jobs import job_of
from retention.selectors import due_of, runs

# Each row counts in the database what is due, so a page has few of them.
ROWS = 5
RUNS = 15


@page()
def overview(visit: Visit) -> HttpResponse:
    """Show the retention policies with what is due, and the recent runs."""
    written = policies(visit.account, type=Policy.Type.RETENTION)
    shown = page_of(written, visit.request, size=ROWS)
    context = {
        "page": shown,
        "rows": [_row(visit, policy) for policy in shown.rows],
        "runs": runs(visit.account)[:RUNS],
    }
    return render(visit, "retention.html", context, place="retention")


def _row(visit: Visit, policy: Policy) -> dict[str, Any]:
    due, oldest = due_of(job_of(policy, visit.now))
    return {"policy": policy, "names": names_of(policy), "due": due, "oldest": oldest}
