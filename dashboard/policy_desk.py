"""Where policies are written: the form with what was sent, and the preview of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from django.http import Http404, QueryDict
from django.utils.translation import gettext

from accounts.errors import DomainError
from accounts.models import Bot, Project
from accounts.selectors import bots, projects
from alerts.selectors import webhooks
from dashboard.age_chart import drawn_by_age
from dashboard.past_windows import PastWindows, past_windows
from dashboard.policy_draft import PolicyForm
from dashboard.policy_forms import FORMS
from dashboard.policy_previews import NOBODY, Draft, draft_of, due_of, past_of
from dashboard.policy_starts import begun
from dashboard.usage_form import UsageForm
from dashboard.visits import Visit, said
from policies.models import Policy
from policies.rules import InvalidPolicy, parse, usage_rule

Document = dict[str, Any]
CHOICES: Final = 500


def new_form(visit: Visit, kind: str) -> PolicyForm:
    """Return the form of a new policy, with what was sent or asked to begin with."""
    if visit.request.method == "POST":
        return form_of(visit, kind, posted(visit), {})
    draft = begun(visit.account, kind, visit.request.GET.dict())
    return form_of(visit, kind, None, draft)


def edit_form(visit: Visit, policy: Policy) -> PolicyForm:
    """Return the form of a policy, with what was sent or what it says."""
    data = posted(visit) if visit.request.method == "POST" else None
    document, number = policy.document, policy.revision
    return form_of(visit, policy.type, data, document, policy, revision=number)


def posted(visit: Visit) -> QueryDict:
    """Return what was sent; a cap taken over from the preview is in its field.

    `take` names the limit by its place among those with an amount: `0:1,000`.
    """
    sent = visit.request.POST
    place, _, amount = sent.get("take", "").partition(":")
    rows = [name for name in sent if re.fullmatch(r"limits-\d{1,2}-threshold", name)]
    filled = [name for name in rows if sent[name].strip()]
    if not amount or not re.fullmatch(r"\d{1,2}", place, re.ASCII):
        return sent
    changed = sent.copy()
    for name in filled[int(place) : int(place) + 1]:
        changed[name] = amount
    return changed


def form_of(
    visit: Visit,
    kind: str,
    data: Any,
    document: Document,
    policy: Policy | None = None,
    **initial: Any,
) -> PolicyForm:
    """Return a form of a type of policies. Raises Http404 for no type."""
    if kind not in FORMS:
        raise Http404
    offered_bots = list(bots(visit.account)[:CHOICES])
    offered_projects = list(projects(visit.account)[:CHOICES])
    if policy is None:
        document = _within(document, [*offered_bots, *offered_projects])
    else:
        # What it is about has to be a choice, or saving it would widen its scope.
        _offer_too(offered_bots, policy.scope_bot)
        _offer_too(offered_projects, policy.scope_project)
    options: dict[str, Any] = {
        "bots": offered_bots,
        "projects": offered_projects,
        "document": document,
        **initial,
    }
    if kind == Policy.Type.USAGE:
        options["webhooks"] = list(webhooks(visit.account)[:CHOICES])
        options["timezone"] = visit.account.timezone
        options["week_start"] = visit.account.week_start
    return FORMS[kind](data, **options)


def preview_of(
    visit: Visit, form: PolicyForm, policy: Policy | None = None
) -> dict[str, Any]:
    """Return the quick part of a preview, or what is in its way."""
    draft = _draft(visit, form, policy)
    problems = [] if draft else _problems(form)
    return {"draft": draft, "problems": problems, **addresses_of(visit, form, policy)}


def addresses_of(
    visit: Visit, form: PolicyForm, policy: Policy | None = None
) -> dict[str, str]:
    """Return where the two parts of a form's preview are."""
    args = [form.type_name] if policy is None else [policy.public_id]
    suffix = "-new" if policy is None else ""
    return {
        "preview_address": visit.address(f"policy-preview{suffix}", *args),
        "past_address": visit.address(f"policy-past{suffix}", *args),
    }


def past_shown(
    visit: Visit, form: PolicyForm, policy: Policy | None = None
) -> dict[str, Any]:
    """Return the slow part of a preview; nothing while the form is not right."""
    document = _document(form)
    if document is None or document["type"] == Policy.Type.CONTENT:
        return {}
    try:
        if document["type"] == Policy.Type.RETENTION:
            due = due_of(visit.account, document, visit.now)
            return {"due": True, **drawn_by_age(due)}
        return {
            "past": past_of(visit.account, document, visit.now, policy),
            "names": form.named(),
        }
    except DomainError as error:
        return {"refused": said(error)}


def slid(visit: Visit, form: PolicyForm, row: int) -> PastWindows | None:
    """Return what the windows of the limit in a row held; None while it says none.

    A limit without an amount is looked at as one of 1, so that the amount can be found.
    """
    if not isinstance(form, UsageForm) or not 0 <= row < len(form.limits):
        return None
    name = form.limits[row].add_prefix("threshold")
    sent = posted(visit)
    if not sent.get(name, "").strip():
        changed = sent.copy()
        changed[name] = "1"
        form = form_of(visit, form.type_name, changed, form.before)
    document = form.parsed(unnamed=gettext("Draft"))
    if document is None or not isinstance(form, UsageForm) or row not in form.rows:
        return None
    rule = usage_rule(policy_id=NOBODY, revision=0, document=document)
    limit = rule.limits[form.rows.index(row)]
    return past_windows(visit.account, rule, limit, visit.now)


def _offer_too(offered: list[Any], row: Bot | Project | None) -> None:
    if row is not None and row not in offered:
        offered.append(row)


def _within(document: Document, offered: Sequence[Bot | Project]) -> Document:
    """Return a draft without what its scope names but nobody may choose."""
    known = {row.public_id for row in offered}
    scope = {
        field: value
        for field, value in document.get("scope", {}).items()
        if field in ("user", "model") or value in known
    }
    return {**document, "scope": scope} if document else document


def _draft(visit: Visit, form: PolicyForm, policy: Policy | None) -> Draft | None:
    document = _document(form)
    if document is None:
        return None
    return draft_of(visit.account, document, form.named(), visit.now, policy)


def _document(form: PolicyForm) -> Document | None:
    """Return the canonical document; a policy needs no name to be looked at."""
    unnamed = gettext("Draft")
    if form.is_bound:
        return form.parsed(unnamed=unnamed)
    try:
        return parse({"type": form.type_name, "name": unnamed, **form.before})
    except InvalidPolicy:
        return None


def _problems(form: PolicyForm) -> list[tuple[str, str]]:
    """Return each fault with what people call its field; none of a form not sent."""
    found = list(_faults(form))
    of_fields = [(label, told) for label, told in found if label]
    return of_fields or found


def _faults(form: PolicyForm) -> Iterator[tuple[str, str]]:
    if not form.is_bound:
        return
    forms: list[Any] = [form]
    if isinstance(form, UsageForm):
        forms += form.limits
    for each in forms:
        errors: Mapping[str, Any] = each.errors if each.is_bound else {}
        for name, told in errors.items():
            label = each.fields[name].label if name in each.fields else ""
            yield from ((str(label), str(detail)) for detail in told)
