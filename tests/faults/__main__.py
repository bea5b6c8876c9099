"""`make faults`: the short form; `make faults FAULTS=long`: until the goals are met.

The long form keeps its data in FAULTS_DIR and goes on from there when it is started
again; FAULTS_SECONDS bounds one start of it.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.faults.storm import Plan, Storm

GOALS = {"authorizations": 1_000_000, "killed": 500, "crashes": 20}
SLICE = 120.0


def reached(storm: Storm) -> bool:
    return all(getattr(storm.progress, name) >= least for name, least in GOALS.items())


def shown(storm: Storm, report) -> None:
    lines = [f"{storm.progress}"]
    lines += [f"  {name}: {count:,}" for name, count in sorted(report.counts.items())]
    lines += [f"  VIOLATION {text}" for text in report.violations[:50]]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def long_form() -> int:
    default = Path(tempfile.gettempdir()) / "policyhub-faults"
    folder = Path(os.environ.get("FAULTS_DIR", default))
    end = time.monotonic() + float(os.environ.get("FAULTS_SECONDS", "inf"))
    seed = int(os.environ.get("FAULTS_SEED", "7"))
    while True:
        left = end - time.monotonic()
        storm = Storm(folder, Plan(seconds=min(SLICE, max(left, 10)), seed=seed))
        report = storm.run()
        shown(storm, report)
        if report.violations:
            sys.stdout.write(f"The data is kept in {folder}\n")
            return 1
        if reached(storm):
            sys.stdout.write(f"All goals are reached; {folder} can go\n")
            return 0
        if time.monotonic() > end:
            return 0


def main() -> int:
    if os.environ.get("FAULTS") == "long":
        return long_form()
    return int(pytest.main(["-p", "no:randomly", "-n", "0", "tests/faults"]))


if __name__ == "__main__":
    sys.exit(main())
