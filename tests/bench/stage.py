"""A private installation: real parts in a temporary folder, on free ports.

Nothing here may import `policyhub` before `prepare` has named the folder: the
settings are read once, when they are imported.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock
from urllib.parse import quote, urlsplit

import psycopg

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ("POLICYHUB_", "DATABASE_URL", "BROKER_URL", "PORT", "DJANGO_")
OURS += ("LEDGER_", "LANE_")
READY_SECONDS = 120
# The embedded server's `max_wal_size` in segments of 4 MB, nearly.
_SEGMENTS = 240


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def prepare() -> "Stage":
    """Choose a folder on a real disk and point this process's settings at it."""
    state = Path(tempfile.mkdtemp(prefix="policyhub-bench-", dir="/var/tmp"))
    for name in list(os.environ):
        if name.startswith(OURS):
            del os.environ[name]
    os.environ["POLICYHUB_STATE_DIR"] = str(state)
    os.environ["PORT"] = str(free_port())
    os.environ["DJANGO_SETTINGS_MODULE"] = "policyhub.settings"
    upstream = free_port()
    # Upstreams on this machine have to be allowed before settings are read.
    os.environ["POLICYHUB_PRIVATE_URLS"] = f"http://127.0.0.1:{upstream}"
    return Stage(state, upstream)


@dataclass
class Server:
    """One part that serves HTTP on a port of its own."""

    name: str
    port: int
    process: subprocess.Popen

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def pids(self) -> list[int]:
        """The process and its workers."""
        found = [self.process.pid]
        for pid in found:
            tasks = Path(f"/proc/{pid}/task")
            for task in tasks.iterdir():
                found += map(int, (task / "children").read_text().split())
        return found

    def pss(self) -> float:
        """Memory in MB: what is shared counts in shares."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total / 1024


@dataclass
class Stage:
    """Everything that was started; `end` leaves nothing behind."""

    state: Path
    upstream_port: int
    _started: list[subprocess.Popen] = field(default_factory=list)

    def start_database(self) -> None:
        log = self._log("db")
        argv = [sys.executable, str(ROOT / "manage.py"), "up", "--only", "db"]
        process = self._popen(argv, dict(os.environ), log)
        deadline = time.monotonic() + READY_SECONDS
        while "db is up" not in log.read_text():
            _check(process, deadline, log)
            time.sleep(0.1)
        self.manage("prepare")
        self._use_the_log()

    def _use_the_log(self) -> None:
        """Write as much WAL as one checkpoint spans, so that its files are there.

        A file that is new is filled with zeros while every commit waits for it. An
        installation has that behind it after its first minute under load; here all
        that is measured would fall into that minute.
        """
        from policyhub.env import ENV

        with psycopg.connect(ENV.database_url, autocommit=True) as database:
            for _ in range(_SEGMENTS):
                database.execute("SELECT pg_logical_emit_message(false, 'bench', '')")
                database.execute("SELECT pg_switch_wal()")
            database.execute("CHECKPOINT")

    def manage(self, *arguments: str) -> None:
        argv = [sys.executable, str(ROOT / "manage.py"), *arguments]
        subprocess.run(argv, check=True, cwd=ROOT)

    def database_url(self, name: str) -> str:
        """The address of another database in the same server."""
        from policyhub.env import ENV

        parts = urlsplit(ENV.database_url)
        return parts._replace(path=f"/{quote(name)}").geturl()

    def lane(self, name: str, *, workers: int = 1, **environment: str) -> Server:
        """The lane, by the command that `manage.py up` runs."""
        from policyhub import parts
        from policyhub.env import ENV

        port = free_port()
        env = replace(ENV, port=port, lane_workers=workers)
        with mock.patch.object(parts, "ENV", env):
            argv = parts.lane().argv
        environment["LANE_WORKERS"] = str(workers)
        return self.serve(name, argv, port, "/healthz", **environment)

    def floor(self) -> Server:
        """An empty Starlette route under the lane's own server and settings."""
        from policyhub import parts
        from policyhub.env import ENV

        port = free_port()
        with mock.patch.object(parts, "ENV", replace(ENV, port=port, lane_workers=1)):
            argv = parts.lane().argv
        argv = [a.replace("policyhub.asgi:app", "tests.bench.floor:app") for a in argv]
        return self.serve("floor", argv, port, "/")

    def naive(self) -> Server:
        """The reference: a Django view behind granian, four threads."""
        port = free_port()
        argv = [sys.executable, "-m", "granian", "--interface", "wsgi"]
        argv += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        argv += ["--blocking-threads", "4", "--no-ws", "--log-level", "warning"]
        argv += ["tests.bench.naive.wsgi:application"]
        return self.serve("naive", argv, port, "/healthz")

    def slow_pages(self) -> None:
        """The pages, by their own command, with one slow page more."""
        from policyhub import parts

        part = parts.pages()
        argv = [
            a.replace("policyhub.wsgi:application", "tests.bench.slow.wsgi:application")
            for a in part.argv
        ]
        log = self._log("pages")
        argv = ["nice", "-n", str(part.nice), *argv]
        process = self._popen(argv, parts.environment(), log)
        deadline = time.monotonic() + READY_SECONDS
        while not part.ready():
            _check(process, deadline, log)
            time.sleep(0.1)

    def serve(
        self, name: str, argv: list[str], port: int, path: str, **environment: str
    ) -> Server:
        from policyhub import parts

        log = self._log(name)
        env = {**parts.environment(), "PORT": str(port), **environment}
        process = self._popen(argv, env, log)
        server = Server(name, port, process)
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(server.url(path)):
            _check(process, deadline, log)
            time.sleep(0.1)
        return server

    def stop(self, server: Server) -> None:
        _stop(server.process)
        self._started.remove(server.process)

    def end(self) -> None:
        for process in reversed(self._started):
            _stop(process)
        shutil.rmtree(self.state, ignore_errors=True)

    def _log(self, name: str) -> Path:
        path = self.state / f"bench-{name}.log"
        path.touch()
        return path

    def _popen(self, argv, environment, log) -> subprocess.Popen:
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv,
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _check(process: subprocess.Popen, deadline: float, log: Path) -> None:
    if process.poll() is not None or time.monotonic() > deadline:
        raise SystemExit(f"{log.name}: {log.read_text()[-4000:]}")


def _stop(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
