"""`make faults`: the short form; `make faults FAULTS=long`: until the goals are met.

The long form runs slice after slice, each with an installation of its own, and keeps
the totals in FAULTS_DIR: started again, it goes on with the next slice. FAULTS_SLICES
bounds one start of it. Every fourth slice has no edits, so that the product's own
recount can be compared too. The data of a slice with a violation is kept.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.faults.storm import Plan, Storm

GOALS = {"authorizations": 1_000_000, "killed": 500, "crashes": 20}
SECONDS = 330.0


def reached(storm: Storm) -> bool:
    """Whether the totals are there."""
    return all(getattr(storm.progress, name) >= least for name, least in GOALS.items())


def shown(storm: Storm, report, took: float) -> None:
    """Print what the slice and the run came to."""
    lines = [f"slice {storm.name}, {took:.0f} s; so far: {storm.progress}"]
    lines += [f"  {name}: {count:,}" for name, count in sorted(report.counts.items())]
    lines += [f"  VIOLATION {text}" for text in report.violations[:50]]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def long_form() -> int:
    """Run slices until the goals are reached, or as many as were asked for."""
    default = Path(tempfile.gettempdir()) / "policyhub-faults"
    folder = Path(os.environ.get("FAULTS_DIR", default))
    slices = int(os.environ.get("FAULTS_SLICES", "10000"))
    seed = int(os.environ.get("FAULTS_SEED", "7"))
    seconds = float(os.environ.get("FAULTS_SECONDS", SECONDS))
    for _ in range(slices):
        began = time.monotonic()
        plan = Plan(seconds=seconds, seed=seed)
        storm = Storm(folder, plan)
        if storm.number % 4 == 3:
            plan.edit_every = None
        report = storm.run()
        shown(storm, report, time.monotonic() - began)
        if report.violations:
            sys.stdout.write(f"The data is kept in {storm.folder}\n")
            return 1
        storm.forget()
        if reached(storm):
            sys.stdout.write("All goals are reached\n")
            return 0
    return 0


def main() -> int:
    """Run one form or the other."""
    if os.environ.get("FAULTS") == "long":
        return long_form()
    return int(pytest.main(["-p", "no:randomly", "-n", "0", "tests/faults"]))


if __name__ == "__main__":
    sys.exit(main())
