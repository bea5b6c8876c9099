"""The runs of retention: how far they are, their receipts, and what waits."""

from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.utils.translation import gettext

from accounts.errors import DomainError, NotFound
from dashboard.forms import ReasonForm
from dashboard.paging import chosen, page_of
from dashboard.retention_forms import WordForm
from dashboard.visits import Visit, attempt, page, render
from policies.models import Policy
from policies.selectors import policies
from retention.confirming import confirm_run
from retention.exports import export, published_key, show_receipt
from retention.models import PruneRun
from retention.pausing import pause_run, resume_run
from retention.receipts import OPEN
from retention.selectors import run_of, runs

UNDER_WAY: Final = (PruneRun.State.RUNNING, PruneRun.State.PAUSED)
TARGETS: Final = (
    "conversations",
    "message_text",
    "usage_events",
    "decisions",
    "user_data",
)


@page()
def listing(visit: Visit) -> HttpResponse:
    """List the receipts, by state, target and policy."""
    asked = visit.request
    state = chosen(asked, "state", PruneRun.State.values)
    target = chosen(asked, "target", TARGETS)
    known = list(
        policies(
            visit.account, type=Policy.Type.RETENTION, include_archived=True
        ).order_by("-id")[:200]
    )
    wanted = chosen(asked, "policy", [policy.public_id for policy in known])
    found = runs(visit.account)
    found = found.filter(state=state) if state else found
    found = found.filter(target=target) if target else found
    if wanted:
        found = found.filter(policy=next(p for p in known if p.public_id == wanted))
    context = {
        "page": page_of(found, asked),
        "states": PruneRun.State.values,
        "targets": TARGETS,
        "policies": known,
        "chosen": {"state": state, "target": target, "policy": wanted},
        "public_key": published_key()["public_key"],
        "tab": "runs",
    }
    return render(visit, "runs.html", context, place="retention")


@page()
def detail(visit: Visit, run_id: str) -> HttpResponse:
    """Show a run with its receipt."""
    return _show(visit, run_of(visit.account, run_id), WordForm())


@page()
def progress(visit: Visit, run_id: str) -> HttpResponse:
    """Show how far a run is: a fragment that asks again until the run has ended."""
    run = run_of(visit.account, run_id)
    context = {"run": run, "receipt": show_receipt(run), "open": run.state in OPEN}
    return render(visit, "parts/run_progress.html", context)


@page(write=True, methods=("POST",))
def confirm(visit: Visit, run_id: str) -> HttpResponse:
    """Take a person's typed word for a run that waits."""
    run = run_of(visit.account, run_id)
    form = WordForm(visit.request.POST)
    if form.is_valid() and _confirmed(visit, run, form):
        messages.success(
            visit.request, gettext("Confirmed. The run goes on by itself from here.")
        )
        return HttpResponseRedirect(visit.address("run", run.public_id))
    run.refresh_from_db()
    return _show(visit, run, form, status=422)


@page(write=True, methods=("POST",))
def change(visit: Visit, run_id: str, step: str) -> HttpResponse:
    """Pause a run that is under way, or resume it."""
    run = run_of(visit.account, run_id)
    form = ReasonForm(visit.request.POST, auto_id="pause_%s")
    if not form.is_valid():
        return _show(visit, run, WordForm(), pause_form=form, status=422)
    reason = form.cleaned_data["reason"]
    paused = gettext("The run is paused: nothing more goes until it is resumed.")
    resumed = gettext("The run goes on within a minute.")
    service = pause_run if step == "pause" else resume_run
    return attempt(
        visit,
        lambda: service(run=run, actor=visit.actor, reason=reason, now=visit.now),
        done=paused if step == "pause" else resumed,
        back=visit.address("run", run.public_id),
    )


@page()
def exported(visit: Visit) -> HttpResponse:
    """Give all receipts of runs that have ended, signed, as JSON lines."""
    lines = export(account=visit.account, now=visit.now)
    name = f"policyhub-receipts-{visit.account.slug}.jsonl"
    answer = StreamingHttpResponse(
        (f"{line}\n" for line in lines),
        content_type="application/jsonl; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
    answer["Cache-Control"] = "no-store"
    # A response that streams is one of Django's responses all the same.
    return answer  # type: ignore[return-value]


def _confirmed(visit: Visit, run: PruneRun, form: WordForm) -> bool:
    typed = form.cleaned_data["confirm"]
    try:
        confirm_run(run=run, typed=typed, actor=visit.actor, now=visit.now)
    except NotFound:
        raise
    except DomainError as error:
        form.blame(error)
        return False
    return True


def _show(
    visit: Visit,
    run: PruneRun,
    form: WordForm,
    *,
    pause_form: ReasonForm | None = None,
    status: int = 200,
) -> HttpResponse:
    receipt: dict[str, Any] = show_receipt(run)
    context = {
        "run": run,
        "receipt": receipt,
        "open": run.state in OPEN,
        "form": form,
        "pause_form": pause_form or ReasonForm(auto_id="pause_%s"),
        "pausable": run.policy is not None and run.state in UNDER_WAY,
        "public_key": published_key()["public_key"],
        "tab": "runs",
    }
    return render(visit, "run.html", context, place="retention", status=status)
