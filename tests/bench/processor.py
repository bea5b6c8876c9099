"""Where the processor's time goes, read from /proc."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Processor:
    """Counts processor seconds of the lane and of PostgreSQL, from enter to exit."""

    def __init__(self, lane, stage) -> None:
        self.lane, self.stage = lane, stage
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> "Processor":
        self._before = self._spent()
        return self

    def __exit__(self, *_: object) -> None:
        after = self._spent()
        self.seconds = {name: after[name] - s for name, s in self._before.items()}

    def _spent(self) -> dict[str, float]:
        lane = sum(map(_seconds, self.lane.pids()))
        database = sum(map(_seconds, self._backends()))
        return {"lane": lane, "PostgreSQL": database}

    def _backends(self) -> list[int]:
        """PostgreSQL's own processes: the children of its postmaster."""
        lock = self.stage.state.glob("**/postgres/postmaster.pid")
        postmaster = next(lock).read_text().split("\n", 1)[0]
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children")
        return [int(pid) for pid in children.read_text().split()]


def _seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS
