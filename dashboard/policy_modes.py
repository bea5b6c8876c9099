"""Pausing and resuming policies: one from its own page, or several at once.

Each switch is an edit of its own, with a revision and a change record. Whoever asks
says which revision they saw, so nobody switches what they have not read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import ids
from accounts.errors import DomainError, NotFound, StaleRevision
from dashboard import policy_choices as choices
from dashboard.big_deletions import much_of
from dashboard.forms import ReasonForm
from dashboard.visits import Visit, said
from policies.models import Policy
from policies.selectors import policies
from usage import edits

MOST: Final = 100
MODES: Final[Mapping[str, Promise]] = {
    "enforce": _("Active"),
    "shadow": _("Evaluate only (shadow)"),
    "off": _("Off"),
}
MEANINGS: Final[Mapping[str, Promise]] = {
    "enforce": _("Their actions take effect from now on, by what is counted already."),
    "shadow": _(
        "They go on to be evaluated and counted, but refuse and delete nothing; their"
        " blocks are lifted."
    ),
    "off": _(
        "They are not evaluated, and count nothing. Their blocks are lifted; what was"
        " counted stays."
    ),
}
_BY_TYPE: Final[Mapping[str, choices.Choices]] = {
    Policy.Type.USAGE: choices.ROLLOUT,
    Policy.Type.RETENTION: choices.RETENTION_ROLLOUT,
    Policy.Type.CONTENT: choices.CONTENT_ROLLOUT,
}


class ModeForm(ReasonForm):
    """Another mode for one policy, and why."""

    mode = forms.ChoiceField(label=_("Mode"), widget=forms.RadioSelect)
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)
    field_order = ("mode", "reason", "revision")

    def __init__(self, data: QueryDict | None = None, *, policy: Policy) -> None:
        paused = policy.rollout_mode != Policy.Rollout.ENFORCE
        first = Policy.Rollout.ENFORCE if paused else Policy.Rollout.SHADOW
        initial = {"mode": first, "revision": policy.revision}
        super().__init__(data, auto_id="mode_%s", initial=initial)
        offered = _BY_TYPE[policy.type]
        self.fields["mode"].choices = [  # type: ignore[attr-defined]
            each for each in offered if each[0] != policy.rollout_mode
        ]


class RestoreForm(forms.Form):
    """Why an earlier revision comes back, if somebody says it."""

    reason = forms.CharField(
        label=_("Reason"), max_length=500, strip=True, required=False
    )


class SwitchForm(ReasonForm):
    """The one confirmation of a switch of several."""

    mode = forms.ChoiceField(choices=[*MODES.items()], widget=forms.HiddenInput)


@dataclass(slots=True)
class Switched:
    """What came of it: those switched, those that were so already, and the rest.

    `stale` were edited by somebody else after they were seen, `refused` come with why.
    """

    done: list[Policy] = field(default_factory=list)
    same: list[Policy] = field(default_factory=list)
    stale: list[Policy] = field(default_factory=list)
    refused: list[tuple[Policy, str]] = field(default_factory=list)


def seen_by(texts: Iterable[str]) -> dict[str, int]:
    """Read `pol_….3`: which policies, and the revision of each that was seen.

    An id without a number was seen at none; what is not an id is left out.
    """
    found: dict[str, int] = {}
    for text in texts:
        public_id, _, number = text.partition(".")
        digits = number[:9]
        known = int(digits) if digits.isascii() and digits.isdigit() else 0
        try:
            ids.decode_id("pol", public_id)
        except ids.InvalidId:
            continue
        if len(found) < MOST:
            found[public_id] = known
    return found


def chosen_of(visit: Visit, public_ids: Iterable[str]) -> Sequence[Policy]:
    """Return those of the account that are still there, by name."""
    keys = [ids.decode_id("pol", each) for each in public_ids]
    rows = policies(visit.account).filter(id__in=keys)
    return sorted(rows, key=lambda each: (each.name.casefold(), each.pk))


def switch_all(
    visit: Visit, rows: Iterable[Policy], seen: Mapping[str, int], **values: Any
) -> Switched:
    """Switch one after another; what cannot be does not stop the next."""
    result = Switched()
    for policy in rows:
        before = policy.rollout_mode
        known = seen[policy.public_id]
        much = much_of(visit, switched_document(policy, values["mode"]), policy)
        if much is not None:
            told = gettext("%(much)s Resume it on its own page, where it is confirmed.")
            result.refused.append((policy, told % {"much": much.said}))
            continue
        try:
            switch(visit, policy, revision=known, **values)
        except StaleRevision:
            result.stale.append(policy)
        except NotFound:
            continue
        except DomainError as error:
            result.refused.append((policy, said(error)))
        else:
            (result.same if before == values["mode"] else result.done).append(policy)
    return result


def switched_document(policy: Policy, mode: str) -> dict[str, Any]:
    """Return what a policy will say when it is switched."""
    return {**policy.document, "rollout_mode": mode}


def switch(
    visit: Visit, policy: Policy, *, mode: str, reason: str, revision: int | None
) -> Policy:
    """Switch one. Raises StaleRevision for who saw another revision, or none."""
    return edits.switch_policy(
        policy=policy,
        mode=mode,
        actor=visit.actor,
        now=visit.now,
        expected_revision=revision or 0,
        reason=reason,
    )
