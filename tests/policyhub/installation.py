"""A whole installation as a process of its own, for tests that stop and kill it."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from policyhub.embedded import home
from tests import template
from tests.faults.house import House
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without any setting of PolicyHub's."""
    ours = ("POLICYHUB_", "DATABASE_URL", "BROKER_URL", "PORT", "PYTEST", "DJANGO_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**kept, **extra}


class Installation:
    """`manage.py up` in a state directory; output goes to a file."""

    def __init__(self, state: Path, **settings: str) -> None:
        self.state = state
        self.port = free_port()
        self.environment = clean_environment(
            POLICYHUB_STATE_DIR=str(state), PORT=str(self.port), **settings
        )
        self.output = Path(f"{state}.log")
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Begin with a database that has its tables: the first start is quick."""
        template.copied_into(self.state, home.prepare(self.state), House)

    def start(self, *arguments: str) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "up", *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def get(self, path: str) -> int:
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_until(self, true, seconds: float = 150) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.1)

    def wait_ready(self) -> None:
        self.wait_until(lambda: self.get("/readyz") == 200)
        self.wait_until(lambda: "Authorize a call" in self.text())

    def wait_for(self, text: str) -> None:
        self.wait_until(lambda: text in self.text())

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def processes(self) -> dict[int, str]:
        """The processes of this installation: they carry its folder or its name."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                arguments = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                variables = (folder / "environ").read_bytes()
            except OSError:
                continue
            mark = f"POLICYHUB_STATE_DIR={self.state}\0".encode()
            if arguments and mark in variables:
                found[int(folder.name)] = arguments.decode(errors="replace")
        return found

    def part(self, words: str) -> int:
        """The process id of the part whose command holds these words."""
        return min(pid for pid, line in self.processes().items() if words in line)

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Signal it; return its exit status and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(60)
        return status, time.monotonic() - started

    def end(self) -> None:
        """Whatever happened, leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
