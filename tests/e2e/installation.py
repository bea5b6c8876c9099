"""The installation as a process, as an operator would start and lose it."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from policyhub.embedded import home
from tests import template
from tests.faults.house import House
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 180


def until(true, seconds: float, what: str):
    """Wait until `true()` says something true, and return what it said."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        said = true()
        if said:
            return said
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")


@dataclass
class Installation:
    """`manage.py up` in a state directory of its own, on a free port."""

    state_dir: Path
    smtp_port: int
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.state_dir.parent / "up.log").read_text(errors="replace")

    def environment(self) -> dict[str, str]:
        ours = ("POLICYHUB_", "DATABASE_URL", "BROKER_URL", "DJANGO_", "PYTEST_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return kept | {
            "POLICYHUB_STATE_DIR": str(self.state_dir),
            "PORT": str(self.port),
            "POLICYHUB_SITE_URL": self.url,
            "POLICYHUB_EMAIL_URL": f"smtp://127.0.0.1:{self.smtp_port}",
        }

    def prepare(self) -> None:
        """Begin with a database that has its tables: the first start is quick."""
        template.copied_into(self.state_dir, home.prepare(self.state_dir), House)

    def start(self) -> None:
        with (self.state_dir.parent / "up.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        until(self._answers, READY_SECONDS, "/readyz")

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"it did not start:\n{self.log[-3000:]}")
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def command(self, *arguments: str) -> str:
        """Run a management command beside it, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def login(self) -> tuple[str, str]:
        email, password = (self.state_dir / "demo-login").read_text().split()
        return email, password

    def interrupt(self) -> tuple[int, float]:
        """Press Ctrl-C; return the exit code and how many seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        return code, time.monotonic() - started

    def kill_part(self, word: str) -> None:
        """`kill -9` the oldest descendant whose command line has the word."""
        victims = [pid for pid in self.descendants() if word in command_line(pid)]
        assert victims, f"no part is called {word}"
        os.kill(min(victims), signal.SIGKILL)

    def died(self) -> int:
        """Wait until it has given up; return its exit code."""
        return self.process.wait(60)

    def descendants(self) -> list[int]:
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
        found, grown = {self.process.pid}, True
        while grown:
            more = {pid for pid, parent in parents.items() if parent in found}
            grown = not more <= found
            found |= more
        return sorted(found - {self.process.pid})

    def stop_whatever_runs(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def command_line(pid: int) -> str:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace")
