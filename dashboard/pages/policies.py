"""The list of policies, and a policy with its readings, blocks and revisions."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils.translation import gettext as _

from alerts.models import Alert
from alerts.selectors import alerts
from audit.selectors import recent_about
from dashboard.big_deletions import confirmed
from dashboard.burn_down import burn_down
from dashboard.forms import ConfirmForm, ReasonForm, ResetForm
from dashboard.gauges import Dial, dials_of, names_of, subject_text, tightest
from dashboard.paging import page_of
from dashboard.policy_filters import asked_policies
from dashboard.policy_modes import MODES, ModeForm, RestoreForm, switched_document
from dashboard.policy_modes import switch as switched
from dashboard.policy_starts import STARTS
from dashboard.visits import Visit, attempt, page, render
from policies import selectors
from policies.models import Block, Policy
from policies.thresholds import status
from retention.models import PruneRun
from retention.previews import preview
from retention.selectors import runs
from usage import edits, resets
from usage.selectors import readings

READINGS = 50
DECISIONS = 10
RECENT = 20


@page()
def listing(visit: Visit) -> HttpResponse:
    """List the policies with their rules, modes and tightest readings."""
    wanted = asked_policies(visit)
    shown = page_of(wanted.rows(visit), visit.request)
    context = {
        "page": shown,
        "rows": _rows(visit, shown.rows),
        "wanted": wanted,
        "choices": wanted.choices,
        "starts": STARTS,
        "modes": MODES.items(),
        "switchable": visit.may_write and wanted.state != "archived",
    }
    return render(visit, "policies.html", context, place="policies")


@page()
def detail(visit: Visit, policy_id: str) -> HttpResponse:
    """Show a policy."""
    return _show(visit, _policy(visit, policy_id, archived=True))


@page()
def gauges(visit: Visit, policy_id: str) -> HttpResponse:
    """Render a policy's gauges alone: its page asks for them again and again."""
    policy = _policy(visit, policy_id, archived=True)
    return render(visit, "parts/dials.html", _readings(visit, policy))


@page(facts=True)
def recent(visit: Visit, policy_id: str) -> HttpResponse:
    """Render a policy's last decisions: its page asks for them when it is there."""
    policy = _policy(visit, policy_id, archived=True)
    rows = recent_about(visit.account, policy.public_id, most=DECISIONS)
    return render(visit, "parts/policy_decisions.html", {"rows": rows})


@page(write=True, methods=("POST",))
def reset(visit: Visit, policy_id: str) -> HttpResponse:
    """Let counters of a policy start again from 0."""
    policy = _policy(visit, policy_id)
    form = ResetForm(visit.request.POST, auto_id="reset_%s")
    if not form.is_valid():
        return _show(visit, policy, reset_form=form)
    return attempt(
        visit,
        lambda: resets.reset_policy(
            policy=policy, actor=visit.actor, now=visit.now, **form.cleaned_data
        ),
        done=_("The counters start again from 0."),
        back=visit.address("policy", policy.public_id),
    )


@page(write=True, methods=("POST",))
def archive(visit: Visit, policy_id: str) -> HttpResponse:
    """Stop a policy for good."""
    policy = _policy(visit, policy_id)
    form = ConfirmForm(visit.request.POST, expected=policy.name)
    if not form.is_valid():
        return _show(visit, policy, archive_form=form)
    why = form.cleaned_data["reason"]
    return attempt(
        visit,
        lambda: edits.archive_policy(
            policy=policy, actor=visit.actor, now=visit.now, reason=why
        ),
        done=_("%(name)s is archived.") % {"name": policy.name},
        back=visit.address("policies"),
    )


@page(write=True, methods=("POST",))
def switch(visit: Visit, policy_id: str) -> HttpResponse:
    """Pause a policy, or let it act again."""
    policy = _policy(visit, policy_id)
    form = ModeForm(visit.request.POST, policy=policy)
    if not form.is_valid() or not confirmed(
        visit, form, switched_document(policy, form.cleaned_data["mode"]), policy
    ):
        return _show(visit, policy, mode_form=form)
    name = MODES[form.cleaned_data["mode"]]
    told = _("%(name)s is switched: %(mode)s.") % {"name": policy.name, "mode": name}
    return attempt(
        visit,
        lambda: switched(visit, policy, **form.cleaned_data),
        done=told,
        back=visit.address("policy", policy.public_id),
    )


@page(write=True, methods=("POST",))
def restore(visit: Visit, policy_id: str, number: int) -> HttpResponse:
    """Make an earlier revision the next one."""
    policy = _policy(visit, policy_id)
    form = RestoreForm(visit.request.POST, auto_id=f"restore_{number}_%s")
    earlier = selectors.revisions(visit.account, policy).filter(number=number).first()
    if not form.is_valid() or not (
        earlier is None or confirmed(visit, form, earlier.document, policy)
    ):
        return _show(visit, policy, restore_form=form, restored=number)
    why = form.cleaned_data["reason"]
    return attempt(
        visit,
        lambda: edits.restore_revision(
            policy=policy,
            number=number,
            actor=visit.actor,
            now=visit.now,
            expected_revision=policy.revision,
            reason=why,
        ),
        done=_("Revision %(number)s is in force again, as a new revision.")
        % {"number": number},
        back=visit.address("policy", policy.public_id),
    )


@page(write=True, methods=("POST",))
def clear(visit: Visit, policy_id: str, block_id: str) -> HttpResponse:
    """Lift a policy's block and let its counter start again from 0."""
    policy = _policy(visit, policy_id)
    block = selectors.block_of(visit.account, policy, block_id)
    form = ReasonForm(visit.request.POST)
    if not form.is_valid():
        return _show(visit, policy, clear=form, cleared=block)
    why = form.cleaned_data["reason"]
    return attempt(
        visit,
        lambda: resets.clear_block(
            block=block, actor=visit.actor, now=visit.now, reason=why
        ),
        done=_("The block is lifted and its counter starts again from 0."),
        back=visit.address("policy", policy.public_id),
    )


def _policy(visit: Visit, policy_id: str, *, archived: bool = False) -> Policy:
    return selectors.policy_of(visit.account, policy_id, include_archived=archived)


def _show(visit: Visit, policy: Policy, **bound: Any) -> HttpResponse:
    """Render a policy; a form that was not right comes back with what was typed."""
    revisions = selectors.revisions(visit.account, policy)
    context = {
        "policy": policy,
        "names": names_of(policy),
        "blocks": _blocks(visit, policy),
        "revisions": revisions[:RECENT],
        "alerts": alerts(visit.account).filter(
            policy_id=policy.public_id, kind="limit"
        )[:5],
        "reset_form": ResetForm(auto_id="reset_%s"),
        "archive_form": ConfirmForm(expected=policy.name),
        "mode_form": ModeForm(policy=policy),
        "mode_asked": visit.request.GET.get("ask") == "mode",
        **_facts(visit, policy),
        **bound,
    }
    code = 422 if bound else 200
    return render(visit, "policy.html", context, place="policies", status=code)


def _facts(visit: Visit, policy: Policy) -> dict[str, Any]:
    """Return what only a policy of this type has."""
    if policy.type == Policy.Type.RETENTION:
        return {
            "status": status(policy.rollout_mode, any_triggered=False),
            "preview": preview(account=visit.account, policy=policy, now=visit.now),
            "runs": runs(visit.account, policy)[:10],
        }
    if policy.type == Policy.Type.CONTENT:
        return {"status": status(policy.rollout_mode, any_triggered=False)}
    read = _readings(visit, policy)
    full = any(dial.drawn.level == "over" for dial in read["dials"])
    return {
        **read,
        **_burn_down(visit, read["dials"]),
        "status": status(policy.rollout_mode, any_triggered=full),
    }


def _readings(visit: Visit, policy: Policy) -> dict[str, Any]:
    read = readings(
        account=visit.account, policies=[policy], now=visit.now, most=READINGS + 1
    )
    dials = dials_of([policy], read)
    more = len(dials) > READINGS
    return {"dials": dials[:READINGS], "more_dials": more, "by_limit": True}


def _burn_down(visit: Visit, dials: Sequence[Dial]) -> dict[str, Any]:
    """Return the chart of the chosen counter, else of the fullest."""
    wanted = visit.request.GET.get("counter", "")
    found = [dial for dial in dials if str(dial.reading.counter_id) == wanted]
    dial = next(iter(found or dials), None)
    if dial is None:
        return {}
    burning = burn_down(dial, visit.now)
    return {"burning": burning, "burning_data": burning.data()}


def _blocks(visit: Visit, policy: Policy) -> list[dict[str, Any]]:
    names = names_of(policy)
    return [
        {
            "block": block,
            "subject": subject_text(block.subject, names),
            "state": _state(block, visit),
        }
        for block in selectors.blocks(visit.account, policy)[:RECENT]
    ]


def _state(block: Block, visit: Visit) -> str:
    if block.lifted_at is not None:
        return "lifted"
    return "ended" if block.ends_at and block.ends_at <= visit.now else "live"


def _rows(visit: Visit, shown: Sequence[Policy]) -> list[dict[str, Any]]:
    usage = [policy for policy in shown if policy.type == Policy.Type.USAGE]
    dials = tightest(visit.account, usage, visit.now)
    fired = _last_alerts(visit, shown)
    pruned = _last_runs(visit, shown)
    return [
        {
            "policy": policy,
            "names": names_of(policy),
            "dial": dials.get(policy.public_id),
            "fired": fired.get(policy.public_id),
            "run": pruned.get(policy.id),
        }
        for policy in shown
    ]


def _last_runs(visit: Visit, shown: Sequence[Policy]) -> dict[UUID | None, PruneRun]:
    wanted = [each for each in shown if each.type == Policy.Type.RETENTION]
    if not wanted:
        return {}
    found = runs(visit.account).filter(policy__in=wanted)
    last = found.order_by("policy_id", "-started_at", "-id").distinct("policy_id")
    return {run.policy_id: run for run in last}


def _last_alerts(visit: Visit, shown: Sequence[Policy]) -> dict[str, Alert]:
    wanted = [policy.public_id for policy in shown]
    found = alerts(visit.account).filter(policy_id__in=wanted)
    last = found.order_by("policy_id", "-created_at", "-id").distinct("policy_id")
    return {alert.policy_id: alert for alert in last}
