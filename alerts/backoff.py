"""How long to wait before a message is tried again. Pure."""

from datetime import timedelta
from typing import Final

# Eight tries within a day: at once, and after these many seconds each.
WAITS: Final = (5, 30, 300, 1_800, 7_200, 21_600, 54_000)
MAX_ATTEMPTS: Final = len(WAITS) + 1
SPREAD: Final = 0.1
# Waiting for a recipient to be there at all is no failure, so it has no end.
PATIENCE: Final = timedelta(hours=1)


def wait_after(attempts: int, chance: float) -> timedelta | None:
    """Return the wait after that many attempts; None if they were the last ones.

    `chance`, from 0 to 1, spreads it by ±10 %, so that what failed together does not
    come back together.
    """
    if not 0 < attempts <= len(WAITS):
        return None
    factor = 1 + SPREAD * (2 * chance - 1)
    return timedelta(seconds=WAITS[attempts - 1] * factor)
