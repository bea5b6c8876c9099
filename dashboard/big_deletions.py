"""A retention rule that deletes much at once is put in force by typing its name.

What is over 20 % of all is not asked for here: its run waits for a person (ADR 0028).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from dashboard.codes import words
from dashboard.visits import Visit
from policies.models import Policy
from retention.cutoff import wants_word
from retention.jobs import job_of_document
from retention.selectors import due_of, total_of

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Much:
    """How many rows of a target would go at once, of how many."""

    due: int
    total: int
    target: str

    @property
    def said(self) -> str:
        """The same in a sentence."""
        return _("%(due)s of %(total)s %(what)s would go at once.") % {
            "due": number_format(self.due, force_grouping=True),
            "total": number_format(self.total, force_grouping=True),
            "what": words(self.target),
        }


def much_of(visit: Visit, document: Document, policy: Policy | None) -> Much | None:
    """Return what a document would delete at once if that has to be confirmed.

    `policy` is the one whose next revision it is; what it deletes already is not asked
    about again.
    """
    if document["type"] != Policy.Type.RETENTION or not _begins(document, policy):
        return None
    job = job_of_document(visit.account, document, visit.now)
    due, _oldest = due_of(job)
    total = total_of(job) if due else 0
    if not wants_word(due=due, total=total):
        return None
    return Much(due, total, job.target_name)


def confirmed(
    visit: Visit, form: forms.Form, document: Document, policy: Policy | None = None
) -> bool:
    """Say whether a document may be put in force; if not, the form asks for the name.

    Call it with a valid form.
    """
    much = much_of(visit, document, policy)
    if much is None:
        return True
    name = str(document["name"] if policy is None else policy.name)
    form.fields["confirm"] = forms.CharField(
        label=_("Type the policy's name to confirm"),
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    typed = str(form["confirm"].value() or "").strip()
    if typed == name.strip():
        return True
    said = _("This is not the name.") if typed else _("They cannot be brought back.")
    form.add_error("confirm", f"{much.said} {said}")
    return False


def _begins(document: Document, policy: Policy | None) -> bool:
    """Say whether a document deletes what its policy does not delete yet."""
    enforce = Policy.Rollout.ENFORCE
    if document["rollout_mode"] != enforce:
        return False
    if policy is None or policy.rollout_mode != enforce:
        return True
    before = policy.document
    return any(document[part] != before.get(part) for part in ("retention", "scope"))
