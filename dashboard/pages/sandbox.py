"""A call that nobody makes: how it would be decided now, and why, without a trace."""

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpResponse
from django.utils.translation import gettext as _

from accounts.errors import DomainError, NotFound
from accounts.selectors import bots
from audit.models import DecisionRecord
from dashboard.fragments import wants_part
from dashboard.sandbox_forms import SandboxForm
from dashboard.snippets import curl_line
from dashboard.visits import Visit, page, render
from policies.explanations import Line, explained
from usage import ledger
from usage.entries import CallIn, parts_of
from usage.prices import price_list

CHOICES: Final = 500


@dataclass(frozen=True, slots=True)
class Tried:
    """The answer as `POST /authorize?dry_run=1` gives it, explained."""

    body: dict[str, Any]
    lines: list[Line]
    cost: int | None
    curl: str


@page()
def sandbox(visit: Visit) -> HttpResponse:
    """Show the form, and the answer to what the address asks."""
    known = list(bots(visit.account)[:CHOICES])
    form = SandboxForm(visit.request.GET or None, bots=known)
    tried = _tried(visit, form) if form.is_valid() else None
    context = {"form": form, "tried": tried, "bots": known}
    part = wants_part(visit.request)
    template = "parts/sandbox_asked.html" if part else "sandbox.html"
    code = 422 if form.is_bound and tried is None and not part else 200
    return render(visit, template, context, place="try", status=code)


def _tried(visit: Visit, form: SandboxForm) -> Tried | None:
    given = form.cleaned_data
    call = CallIn(
        bot=given["bot"],
        user=given["user"] or None,
        model=given["model"] or None,
        estimate=form.estimate() or None,
        dry_run=True,
    )
    try:
        body = ledger.authorize(account=visit.account, call=call, now=visit.now).body
    except NotFound:
        form.add_error("bot", _("This bot is gone."))
        return None
    except DomainError as error:
        form.blame(error)
        return None
    return _explained(visit, form, call, body or {})


def _explained(
    visit: Visit, form: SandboxForm, call: CallIn, body: dict[str, Any]
) -> Tried:
    needed = _needed(visit, call)
    record = DecisionRecord(
        account=visit.account,
        allowed=body["allowed"],
        policy_id=body["policy_id"],
        estimate=needed,
        policies=body["policies"],
    )
    site = f"{visit.request.scheme}://{visit.request.get_host()}"
    return Tried(
        body=body,
        lines=explained(visit.account, record),
        cost=needed.get("cost"),
        curl=curl_line(site=site, body=form.body(), dry_run=True),
    )


def _needed(visit: Visit, call: CallIn) -> dict[str, int]:
    """Return what the call would use, with what follows from what was said (A2, A3)."""
    said = dict(call.estimate or {})
    names = ("tokens", "input_tokens", "output_tokens")
    tokens, read, written = (said.get(name) for name in names)
    read, written = parts_of(tokens, read, written)
    cost = said.get("cost")
    if cost is None and call.model is not None and said:
        cost = price_list(visit.account).cost(
            model=call.model,
            tokens=tokens,
            input_tokens=read,
            output_tokens=written,
            now=visit.now,
        )
    whole = tokens if tokens is not None else (read or 0) + (written or 0)
    needed = {"calls": 1, "tokens": whole, "cost": cost, **said}
    needed |= {"input_tokens": read, "output_tokens": written}
    needed["cost"] = cost
    return {name: amount for name, amount in needed.items() if amount is not None}
