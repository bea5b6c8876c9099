"""Every snippet of the first steps, run as it is pasted, reaches the first event."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from dashboard.snippets import snippets

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

PROGRAMS = {
    "curl": ["bash", "-eu"],
    "openai": [sys.executable, "-"],
    "python": [sys.executable, "-"],
    "node": [str(Path(sys.executable).with_name("node")), "-"],
}


@pytest.fixture(scope="module")
def pasted(live):
    key = live.made["chats"]
    headers = {"Authorization": f"Bearer {key}"}
    body = {"name": "First", "external_id": "first-steps"}
    made = httpx.post(f"{live.url}/api/v1/bots", headers=headers, json=body).json()
    return snippets(site=live.url, bot=made["id"], key=key, model="echo")


def test_each_runs_as_it_is(pasted):
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    for snippet in pasted:
        done = subprocess.run(
            PROGRAMS[snippet.name],
            input=snippet.code,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        told = f"{snippet.name}: {done.stdout}{done.stderr}"
        assert done.returncode == 0, told
        expected = "Hello" if snippet.name == "openai" else "recorded"
        assert expected in done.stdout, told
