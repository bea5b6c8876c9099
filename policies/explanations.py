"""Why a past decision came out as it did: policy by policy, in plain words.

All of it was kept with the decision; the names are those of the revisions that it was
made by. What a project's key may not see of a shared policy is in no sentence either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import Account
from audit.models import DecisionRecord
from policies.messages import PLAIN_MESSAGES
from policies.phrases import amount_text, quantity_text, used_text
from policies.rules import cost_to_micros
from policies.selectors import names_at


@dataclass(frozen=True, slots=True)
class Line:
    """One limit that a decision looked at; cost in micro-USD.

    `used`, `held` and `margin` are None for who may not see them. `margin` is what was
    left after the call: negative is what was missing. `decisive` marks the policy that
    decided. `resets_at` is text as it was kept.
    """

    policy_id: str
    revision: int
    name: str
    action: str
    metric: str
    threshold: int
    used: int | None
    held: int | None
    needed: int
    margin: int | None
    resets_at: str | None
    exceeded: bool
    enforced: bool
    decisive: bool
    words: str

    @property
    def missing(self) -> int:
        """How much too little was left; 0 if it sufficed."""
        return max(0, -(self.margin or 0))

    @property
    def resets(self) -> datetime | None:
        """When the window ends, if that is known."""
        at = self.resets_at
        return None if at is None else datetime.fromisoformat(at)


def explained(
    account: Account, record: DecisionRecord, *, hide_shared: bool = False
) -> list[Line]:
    """Return a line for each limit that the decision looked at, in their order.

    `hide_shared` keeps the figures of shared policies back, as from a project's key
    (CONTRACT G7).
    """
    stored: list[dict[str, Any]] = record.policies
    pairs = {(each["policy_id"], each["revision"]) for each in stored}
    names = names_at(account, pairs)
    return [
        _line(record, each, names, hidden=hide_shared and bool(each.get("shared")))
        for each in stored
    ]


def _line(
    record: DecisionRecord,
    stored: Mapping[str, Any],
    names: Mapping[tuple[str, int], str],
    *,
    hidden: bool,
) -> Line:
    policy, revision = stored["policy_id"], stored["revision"]
    metric, name = stored["metric"], names.get((policy, revision), policy)
    needed = int(record.estimate.get(metric) or 0)
    margin = None if hidden else _margin(record, stored, needed)
    return Line(
        policy_id=policy,
        revision=revision,
        name=name,
        action=stored["action"],
        metric=metric,
        threshold=_amount(stored, "threshold"),
        used=None if hidden else _amount(stored, "used"),
        held=None if hidden else _amount(stored, "held"),
        needed=needed,
        margin=margin,
        resets_at=stored["resets_at"],
        exceeded=stored["exceeded"],
        enforced=stored["enforced"],
        decisive=policy == record.policy_id,
        words=f"{name} (revision {revision}): "
        + " ".join(_sentences(record, stored, needed, margin)),
    )


def _sentences(
    record: DecisionRecord, stored: Mapping[str, Any], needed: int, margin: int | None
) -> list[str]:
    said = [
        _state(record, stored) if margin is None else _figures(stored, needed, margin)
    ]
    if stored["resets_at"]:
        said.append(f"Resets {_moment(stored['resets_at'])}.")
    if stored["exceeded"] and not stored["enforced"]:
        said.append("It is not enforced for this call.")
    elif stored["exceeded"] and stored["action"] in ("warn", "email", "webhook"):
        said.append("It tells people and refuses nothing.")
    return said


def _margin(record: DecisionRecord, stored: Mapping[str, Any], needed: int) -> int:
    """Return what was left. A granted reservation is among what was held (B6)."""
    left = _amount(stored, "threshold") - _amount(stored, "used")
    left -= _amount(stored, "held")
    return left if record.reservation_id else left - needed


def _figures(stored: Mapping[str, Any], needed: int, margin: int) -> str:
    metric, held = stored["metric"], _amount(stored, "held")
    used, threshold = _amount(stored, "used"), _amount(stored, "threshold")
    text = used_text(metric, used, threshold)
    if held:
        text += f", {quantity_text(metric, held)} held"
    text += f". This call needed {amount_text(metric, needed)}"
    if margin < 0:
        return f"{text}, {quantity_text(metric, -margin)} too many."
    if stored["exceeded"]:
        return f"{text}, and nothing was left."
    return f"{text} and left {quantity_text(metric, margin)}."


def _state(record: DecisionRecord, stored: Mapping[str, Any]) -> str:
    if stored["exceeded"]:
        return "The limit was passed."
    if record.allowed:
        return "The call was within the limit."
    return PLAIN_MESSAGES["ok"] + " by this limit."


def _amount(stored: Mapping[str, Any], name: str) -> int:
    value = stored[name]
    return cost_to_micros(value) if stored["metric"] == "cost" else int(value)


def _moment(text: str) -> str:
    return f"{text[:10]} {text[11:16]} UTC"
