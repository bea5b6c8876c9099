"""When a limit is triggered, and what follows from it (C1, C3, C8, D1)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from policies.rules import Scope


def triggered(threshold: int, used: int) -> bool:
    """Say whether a limit is triggered (C1); a threshold of 0 always is."""
    return used >= threshold


def crossing(threshold: int, before: int, after: int) -> bool:
    """Say whether usage went from below a threshold to it or above.

    A threshold of 0 is crossed by the first unit, as nothing is below it.
    """
    return before < max(threshold, 1) <= after


def crossed_steps(
    *, threshold: int, before: int, after: int, steps: Sequence[int]
) -> tuple[int, ...]:
    """Return the alert steps (per cent of a threshold) that usage went across (D1)."""
    return tuple(
        step for step in steps if crossing(-(-threshold * step // 100), before, after)
    )


def reached_steps(threshold: int, used: int, steps: Sequence[int]) -> tuple[int, ...]:
    """Return the alert steps that usage stands at or above, the lowest first."""
    return crossed_steps(threshold=threshold, before=0, after=used, steps=sorted(steps))


def block_end(
    *, now: datetime, duration_seconds: int | None, window_end: datetime | None
) -> datetime | None:
    """Return when a block ends: never before the window that crossed does (C3).

    None if the window has no known end: then it stays until cleared or raised.
    """
    if window_end is None or duration_seconds is None:
        return window_end
    return max(now + timedelta(seconds=duration_seconds), window_end)


def covers_bot_wholly(scope: Scope, group_by: Sequence[str]) -> bool:
    """Say whether a block of this policy stops every call of a bot it covers (C3)."""
    narrow = ("user", "model")
    return not any(
        getattr(scope, field) is not None or field in group_by for field in narrow
    )


def status(rollout_mode: str, any_triggered: bool) -> str:
    """Return a policy's derived status: active, triggered or disabled (C8)."""
    if rollout_mode == "off":
        return "disabled"
    return "triggered" if any_triggered else "active"


def settle_split(*, held: int, actual: int) -> tuple[int, int]:
    """Split what a settled call cost into what its hold covered and the overrun."""
    within = min(held, actual)
    return within, actual - within
