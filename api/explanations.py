"""Why a past decision came out as it did: policy by policy, in plain words.

All of it was kept with the decision; the names are those of the revisions that it was
made by. What a project's key may not see of a shared policy is in no sentence either.
"""

from collections.abc import Mapping
from typing import Any, Final

from api.callers import Caller
from audit.models import DecisionRecord
from policies.messages import PLAIN_MESSAGES
from policies.phrases import amount_text, quantity_text, used_text
from policies.rules import cost_to_micros, micros_to_cost
from policies.selectors import names_at

EXPLANATION: Final = [
    {
        "policy_id": "pol_01kjm3v5c0e8r9q2t4w6y8z0a5",
        "revision": 1,
        "name": "Daily cap",
        "metric": "tokens",
        "needed": 800,
        "margin": -800,
        "decisive": True,
        "words": "Daily cap (revision 1): 1,000 of 1,000 tokens used. "
        "This call needed 800 tokens, 800 too many. Resets 2026-03-02 00:00 UTC.",
    }
]


def explained(caller: Caller, record: DecisionRecord) -> list[dict[str, Any]]:
    """Return a line for each limit that the decision looked at, in their order.

    `margin` is what was left after the call: negative is what was missing. `decisive`
    marks the policy that decided.
    """
    stored: list[dict[str, Any]] = record.policies
    pairs = {(each["policy_id"], each["revision"]) for each in stored}
    names = names_at(caller.account, pairs)
    return [_line(caller, record, each, names) for each in stored]


def _line(
    caller: Caller,
    record: DecisionRecord,
    stored: Mapping[str, Any],
    names: Mapping[tuple[str, int], str],
) -> dict[str, Any]:
    policy, revision = stored["policy_id"], stored["revision"]
    metric, name = stored["metric"], names.get((policy, revision), policy)
    needed = int(record.estimate.get(metric) or 0)
    hidden = caller.project is not None and bool(stored.get("shared"))
    margin = None if hidden else _margin(record, stored, needed)
    lead = f"{name} (revision {revision})"
    sentences = (
        [_state(record, stored)]
        if margin is None
        else [_figures(stored, needed, margin)]
    )
    if stored["resets_at"]:
        sentences.append(f"Resets {_moment(stored['resets_at'])}.")
    if stored["exceeded"] and not stored["enforced"]:
        sentences.append("It is not enforced for this call.")
    elif stored["exceeded"] and stored["action"] in ("warn", "email", "webhook"):
        sentences.append("It tells people and refuses nothing.")
    return {
        "policy_id": policy,
        "revision": revision,
        "name": name,
        "metric": metric,
        "needed": _shown(metric, needed),
        "margin": None if margin is None else _shown(metric, margin),
        "decisive": policy == record.policy_id,
        "words": f"{lead}: " + " ".join(sentences),
    }


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


def _shown(metric: str, amount: int) -> int | str:
    return micros_to_cost(amount) if metric == "cost" else amount


def _moment(text: str) -> str:
    return f"{text[:10]} {text[11:16]} UTC"
