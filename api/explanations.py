"""Why a past decision came out as it did, as the API answers it."""

from typing import Any, Final

from api.callers import Caller
from audit.models import DecisionRecord
from policies import explanations
from policies.rules import micros_to_cost

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
    hide = caller.project is not None
    lines = explanations.explained(caller.account, record, hide_shared=hide)
    return [
        {
            "policy_id": line.policy_id,
            "revision": line.revision,
            "name": line.name,
            "metric": line.metric,
            "needed": _shown(line.metric, line.needed),
            "margin": None if line.margin is None else _shown(line.metric, line.margin),
            "decisive": line.decisive,
            "words": line.words,
        }
        for line in lines
    ]


def _shown(metric: str, amount: int) -> int | str:
    return micros_to_cost(amount) if metric == "cost" else amount
