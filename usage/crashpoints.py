"""Named points at which a test lets the process die, as `kill -9` or a power cut would.

`LEDGER_CRASH_AT=<point>` in the environment arms one of POINTS: whoever reaches it ends
at once with status 9; nothing is flushed, closed or rolled back. `<point>:3` means the
third time. Without the variable the hook is a function that does nothing, and it is
never set outside of `tests/faults`.
"""

import os
from collections.abc import Callable

STATUS = 9
VARIABLE = "LEDGER_CRASH_AT"

# In the order in which a batch passes them.
BATCH_POINTS = (
    "batch-begun",  # the transaction is open, nothing is locked
    "batch-locked",  # counters and reservations are locked and read
    "batch-decided",  # everything is decided, nothing is written
    "batch-written",  # everything is written, nothing is committed
    "batch-committed",  # it is committed, nobody has been answered
    "batch-answered",  # the answers are handed out, none has left the process
)
# An edit of a policy, a reset, or a block's end.
EDIT_POINTS = (
    "edit-begun",  # the transaction is open
    "edit-written",  # everything is written, nothing is committed
    "edit-committed",  # it is committed, nobody has been told
)
# The recording of what was let through without a database.
REPLAY_POINTS = (
    "replay-begun",  # the rows are read from the disk
    "replay-written",  # they are in the database, and on the disk too
    "replay-done",  # they are off the disk
)
POINTS = BATCH_POINTS + EDIT_POINTS + REPLAY_POINTS


def armed(wanted: str) -> Callable[[str], None]:
    """Return the hook for a setting. Raises ValueError for a point that is not one."""
    name, _, times = wanted.partition(":")
    if not name:
        return _pass_by
    if name not in POINTS:
        raise ValueError(f"{VARIABLE}: {name!r} is not one of {', '.join(POINTS)}")
    left = int(times or 1)

    def die_there(point: str) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                os._exit(STATUS)

    return die_there


def _pass_by(point: str) -> None:
    """Do nothing: no test is under way."""


reach = armed(os.environ.get(VARIABLE, ""))
