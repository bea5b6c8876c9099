"""Run a script of this folder under Node, as a user's program would run."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE = Path(sys.executable).with_name("node")


def run_node(script: str, *, seconds: int = 180, **environment: str) -> str:
    """Return what a script printed; fail with what it complained about."""
    assert (HERE / "node_modules").is_dir(), "make .venv/node-installed"
    done = subprocess.run(
        [str(NODE), str(HERE / script)],
        cwd=HERE,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
