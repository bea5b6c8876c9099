"""What is let go of: the policies, what is due by them, and what waits."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from io import StringIO
from typing import Any, Final

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.utils.translation import gettext

from accounts.errors import NotFound
from dashboard.age_chart import drawn_by_age
from dashboard.big_deletions import confirmed
from dashboard.forms import ReasonForm
from dashboard.gauges import names_of
from dashboard.paging import page_of
from dashboard.visits import Visit, attempt, page, render
from policies.models import Policy
from policies.selectors import policies, policy_of
from retention.dry_runs import MOST_ROWS, due_rows
from retention.jobs import default_jobs, job_of
from retention.models import PruneRun
from retention.previews import preview
from retention.receipts import OPEN
from retention.selectors import due_of, forgotten_holds, live_holds, runs
from usage import edits

# Each row counts in the database what is due, so a page has few of them.
ROWS: Final = 5
RUNS: Final = 8
MODES: Final = {"pause": "shadow", "resume": "enforce"}


@page()
def overview(visit: Visit) -> HttpResponse:
    """Show the retention policies, what waits for a person, and the recent runs."""
    table = _table(visit)
    enforced = [row["policy"] for row in table["rows"] if row["enforced"]]
    context = {
        **table,
        "house": default_jobs(visit.account, enforced, visit.now),
        "waiting": [run for run in table["open_runs"] if run.state == "waiting"],
        "holds": live_holds(visit.account, visit.now).count(),
        "forgotten": forgotten_holds(visit.account, visit.now).count(),
        "runs": runs(visit.account)[:RUNS],
        "tab": "retention",
    }
    return render(visit, "retention.html", context, place="retention")


@page()
def due(visit: Visit) -> HttpResponse:
    """Show the same table with what is due now: counted, so asked for apart."""
    table = _table(visit)
    for row in table["rows"]:
        row["due"], row["oldest"] = due_of(job_of(row["policy"], visit.now))
    return render(visit, "parts/retention_rows.html", {**table, "counted": True})


@page()
def detail(visit: Visit, retention_policy_id: str) -> HttpResponse:
    """Show what a policy would delete now; the counts come as a fragment."""
    policy = _policy(visit, retention_policy_id)
    counted = "counted" in visit.request.GET
    receipts = list(runs(visit.account, policy)[:RUNS])
    context = {
        "policy": policy,
        "names": names_of(policy),
        "runs": receipts,
        "pause_form": ReasonForm(auto_id="pause_%s"),
        "tab": "retention",
        **(_counted(visit, policy, receipts) if counted else {}),
    }
    return render(visit, "retention_policy.html", context, place="retention")


@page()
def counts(visit: Visit, retention_policy_id: str) -> HttpResponse:
    """Show what is due by a policy, with the ages of all in its scope."""
    policy = _policy(visit, retention_policy_id)
    receipts = runs(visit.account, policy)[:1]
    context = {"policy": policy, **_counted(visit, policy, receipts)}
    return render(visit, "parts/retention_due.html", context)


@page()
def dry_run(visit: Visit, retention_policy_id: str) -> HttpResponse:
    """Give the list of what a run would delete now, as CSV."""
    policy = _policy(visit, retention_policy_id)
    answer = StreamingHttpResponse(
        _lines(visit, policy), content_type="text/csv; charset=utf-8"
    )
    name = f"dry-run-{policy.public_id}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    # A response that streams is one of Django's responses all the same.
    return answer  # type: ignore[return-value]


@page()
def summary(visit: Visit, retention_policy_id: str) -> HttpResponse:
    """Give the preview of a policy as a JSON file, in the shape of the API's."""
    policy = _policy(visit, retention_policy_id)
    found = preview(account=visit.account, policy=policy, now=visit.now)
    name = f"dry-run-{policy.public_id}.json"
    return JsonResponse(
        {"at": _utc(visit.now), **_document(policy, found)},
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
        json_dumps_params={"indent": 2, "ensure_ascii": False},
    )


@page(write=True, methods=("POST",))
def change(visit: Visit, retention_policy_id: str, step: str) -> HttpResponse:
    """Pause a policy, so that it only says what it would delete, or resume it."""
    policy = _policy(visit, retention_policy_id)
    form = ReasonForm(visit.request.POST, auto_id="pause_%s")
    document = {**policy.document, "rollout_mode": MODES[step]}
    if not form.is_valid() or not confirmed(visit, form, document, policy):
        context = {"policy": policy, "names": names_of(policy), "pause_form": form}
        context |= {"runs": list(runs(visit.account, policy)[:RUNS])}
        context |= {"tab": "retention"}
        return render(
            visit, "retention_policy.html", context, place="retention", status=422
        )
    paused = gettext("%(name)s is paused: it deletes nothing until it is resumed.")
    resumed = gettext("%(name)s deletes again, from the next minute on.")
    return attempt(
        visit,
        lambda: edits.replace_policy(
            policy=policy,
            document=document,
            actor=visit.actor,
            now=visit.now,
            expected_revision=policy.revision,
            reason=form.cleaned_data["reason"],
        ),
        done=(paused if step == "pause" else resumed) % {"name": policy.name},
        back=visit.address("retention-policy", policy.public_id),
    )


def _policy(visit: Visit, public_id: str) -> Policy:
    policy = policy_of(visit.account, public_id)
    if policy.type != Policy.Type.RETENTION:
        raise NotFound
    return policy


def _table(visit: Visit) -> dict[str, Any]:
    written = policies(visit.account, type=Policy.Type.RETENTION)
    shown = page_of(written, visit.request, size=ROWS)
    ended = runs(visit.account).filter(policy__in=shown.rows, state="completed")
    last = ended.order_by("policy_id", "-started_at", "-id").distinct("policy_id")
    successes = {run.policy_id: run for run in last}
    open_runs = list(runs(visit.account).filter(state__in=OPEN)[:50])
    going = {run.policy_id: run for run in open_runs}
    rows = [
        {
            "policy": policy,
            "names": names_of(policy),
            "enforced": policy.rollout_mode == Policy.Rollout.ENFORCE,
            "success": successes.get(policy.id),
            "run": going.get(policy.id),
        }
        for policy in shown.rows
    ]
    return {"page": shown, "rows": rows, "open_runs": open_runs}


def _counted(
    visit: Visit, policy: Policy, receipts: Iterable[PruneRun]
) -> dict[str, Any]:
    found = preview(account=visit.account, policy=policy, now=visit.now)
    # A rule has one run at a time, so one that waits is the newest.
    newest = next(iter(receipts), None)
    waits = newest is not None and newest.state == PruneRun.State.WAITING
    return {**drawn_by_age(found), "waiting_run": newest if waits else None}


def _lines(visit: Visit, policy: Policy) -> Iterator[str]:
    """Yield the lines of a dry run; ids and moments are never formulas."""
    written = StringIO()
    lines = csv.writer(written)
    job = job_of(policy, visit.now)
    lines.writerow(["id", "last_active_at", "due_under", "at"])
    at = _utc(visit.now)
    for count, (public_id, moment) in enumerate(due_rows(job, most=MOST_ROWS)):
        lines.writerow([public_id, _utc(moment), policy.public_id, at])
        if count % 500 == 0:
            yield written.getvalue()
            written.seek(0)
            written.truncate()
    yield written.getvalue()


def _document(policy: Policy, found: Mapping[str, Any]) -> dict[str, Any]:
    oldest = found["oldest"]
    holds = [
        {
            "id": each["hold"].public_id,
            "kind": each["hold"].kind,
            "reason": each["hold"].reason,
            "rows": each["rows"],
        }
        for each in found["holds"]
    ]
    rest = ("target", "max_age_days", "due", "held", "total", "histogram", "sample")
    return {
        "policy": policy.public_id,
        "cutoff": _utc(found["cutoff"]),
        "oldest": None if oldest is None else _utc(oldest),
        "waits_for": found["waits"] or None,
        "holds": holds,
        **{name: found[name] for name in rest},
    }


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
