"""Every example of the guides works, in the order in which they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
GUIDES = [ROOT / "docs" / "api.md", ROOT / "docs" / "policies.md"]
NODE = Path(sys.executable).with_name("node")
PROGRAMS = {
    "python": [sys.executable, "-"],
    "js": [str(NODE), "--input-type=module"],
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The refusals that the guide shows on purpose; every other one is a mistake in it.
SHOWN = {"invalid_body", "not_found", "stale_revision"}


def _blocks(language: str) -> list[str]:
    text = "\n".join(guide.read_text(encoding="utf-8") for guide in GUIDES)
    # In the account of the other tests somebody has written caps on everything.
    text = text.replace("--account demo", "--account guide")
    return [code for named, code in BLOCK.findall(text) if named == language]


@pytest.fixture(scope="module")
def environment(live):
    here = live.house.environment()
    return here | {
        "KEY": live.made["guide"],
        "PH": f"{live.url}/api/v1",
        "PATH": os.environ["PATH"],
    }


def _ran(argv: list[str], code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        argv,
        input=code,
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.stdout


def test_the_examples(live, environment):
    code = "set -eu\n" + "\n".join(_blocks("sh"))

    printed = _ran(
        ["bash"], code.replace("http://127.0.0.1:8000", live.url), environment
    )

    refused = set(re.findall(r'"code": ?"([a-z_]+)"', printed))
    assert refused <= SHOWN, printed
    assert "\nstale_revision\n" in printed
    assert "\nTrue\n" in printed
    for language, argv in PROGRAMS.items():
        blocks = _blocks(language)
        assert blocks, f"the guide shows no program in {language}"
        for program in blocks:
            assert "allowed" in _ran(argv, program, environment)
