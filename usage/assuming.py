"""Holds for calls whose answer nobody bounds: assumed, and shrinking with what is left.

The gateway's callers seldom say how long an answer may become. Where neither they nor
a policy's default hold bounds it, a fixed number of tokens is assumed. It never takes
more than a quarter of what is left, so a small remainder still serves a call at a
time, and a call is never refused for what was only assumed of it.
"""

from collections.abc import Mapping

from usage.entries import Gate

_SHARE = 4


def bounded(estimate: Mapping[str, int | None], output: int) -> dict[str, int | None]:
    """Return an estimate that says its output tokens: `output` if it says nothing."""
    said = dict(estimate)
    if said.get("output_tokens") is None:
        whole, read = said.get("tokens"), said.get("input_tokens")
        if whole is None:
            said["output_tokens"] = output
        else:
            said["output_tokens"] = max(0, whole - (read or 0))
    if said.get("input_tokens") is None:
        said["input_tokens"] = max(
            0, (said.get("tokens") or 0) - (said["output_tokens"] or 0)
        )
    return said


def shrunk(low: int, high: int, remaining: int) -> int:
    """Return what to hold: `low` is what is known, up to `high` what is assumed."""
    return low + min(high - low, max(0, remaining - low) // _SHARE)


def charged_at_expiry(
    high: Mapping[str, int | None], held: Mapping[str, int]
) -> dict[str, int]:
    """Return the amounts of a call that never settles: what was held of each metric.

    `high` is what was assumed; it stands where no limit held anything.
    """
    said = {metric: n for metric, n in high.items() if n}
    said.update(held)
    if "tokens" in held and "output_tokens" not in held:
        said["output_tokens"] = max(0, held["tokens"] - said.get("input_tokens", 0))
    if "tokens" not in held:
        said["tokens"] = said.get("input_tokens", 0) + said.get("output_tokens", 0)
    return {metric: n for metric, n in said.items() if n}


def assumes(gate: Gate | None) -> bool:
    """Whether a call's answer is unbounded and something is assumed of it."""
    return gate is not None and gate.assumed_output > 0
