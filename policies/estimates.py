"""What a call is said to cost, and what a reserving call must say (B6)."""

from collections.abc import Mapping
from typing import Final

from policies.rules import UsageRule

HELD_METRICS: Final = ("tokens", "input_tokens", "output_tokens", "cost")


def amount_of(amounts: Mapping[str, int | None], metric: str) -> int | None:
    """Return what a call costs in a metric, None if it is not known.

    Tokens that are not said are the sum of what is said of input and output (A1).
    """
    amount = amounts.get(metric)
    if amount is not None or metric != "tokens":
        return amount
    parts = (amounts.get("input_tokens"), amounts.get("output_tokens"))
    said = [part for part in parts if part is not None]
    return sum(said) if said else None


def holds_required(rule: UsageRule, amounts: Mapping[str, int | None]) -> list[str]:
    """Return the metrics a reserving call must estimate but does not (B6).

    These are metrics of the rule's tokens and cost limits that neither the estimate nor
    the policy's default hold says; none for a rule that refuses nothing.
    """
    if rule.rollout_mode != "enforce" or not rule.actions.refuses:
        return []
    said = with_default_hold(rule, amounts)
    metrics = {limit.metric for limit in rule.limits}
    return [m for m in HELD_METRICS if m in metrics and not says(said, m)]


def with_default_hold(
    rule: UsageRule, amounts: Mapping[str, int | None]
) -> Mapping[str, int | None]:
    """Return an estimate with what it leaves unsaid taken from the default hold.

    Give the estimate as the caller wrote it: a default of the API (`messages: 0`)
    counts as said.
    """
    if not rule.default_hold:
        return amounts
    unsaid = {m: n for m, n in rule.default_hold.items() if not says(amounts, m)}
    filled: dict[str, int | None] = {**amounts, **unsaid}
    if not says(amounts, "tokens") and filled.get("tokens") is not None:
        # The parts that are known may be more than the default for the whole.
        parts = amount_of({**filled, "tokens": None}, "tokens")
        filled["tokens"] = max(filled["tokens"] or 0, parts or 0)
    return filled


def says(amounts: Mapping[str, int | None], metric: str) -> bool:
    """Say whether an estimate names a metric, if only by its parts."""
    if amounts.get(metric) is not None:
        return True
    return metric == "tokens" and (
        amounts.get("input_tokens") is not None
        and amounts.get("output_tokens") is not None
    )
