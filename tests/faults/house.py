"""An installation in pieces: every part is a process that a test may kill.

The database is a cluster of its own with commit timestamps, so that the checker
knows the order in which transactions became visible. It waits for the disk as in
production (fsync, synchronous_commit).
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import psycopg

from policyhub.embedded import home, postgres, state, valkey
from tests import template
from tests.faults.nursery import Forked, Nursery
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
_OURS = ("POLICYHUB_", "DATABASE_URL", "BROKER_URL", "PORT", "PYTEST", "DJANGO_")
_OURS += ("LANE_", "LEDGER_")
_CLUSTER = ("track_commit_timestamp=on", "max_connections=120", "wal_level=minimal")
_CLUSTER += ("max_wal_senders=0", "restart_after_crash=on")


def _die_with_us() -> None:
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))


def until(true, seconds: float, what: str, pause: float = 0.05):
    """Wait until `true()` says something true, and return what it said."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        said = true()
        if said:
            return said
        time.sleep(pause)
    raise AssertionError(f"{what}: not within {seconds} s")


@dataclass
class Part:
    """One process of the installation, and how it is started again."""

    name: str
    argv: list[str]
    environment: dict[str, str]
    log: Path
    ready_at: object
    user: str = ""
    process: subprocess.Popen | Forked | None = None
    started: float = 0.0
    is_ready: bool = False
    kills: int = 0
    port: int = 0
    leaves: Path | None = None  # a file that a killed one leaves behind
    nursery: Nursery | None = None  # it is forked there

    def start(self) -> None:
        if self.leaves is not None:
            self.leaves.unlink(missing_ok=True)
        self.started = time.monotonic()
        self.is_ready = False
        if self.nursery is not None:
            self.process = self.nursery.fork(self.port, self.log)
            return
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.argv,
                cwd="/" if self.user else ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_us,
                **home.identity(self.user),
            )

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def look(self) -> bool:
        """Whether it answers by now; asked until it once did."""
        if not self.is_ready and self.alive:
            self.is_ready = self.ready_at()
        return self.is_ready and self.alive

    def wait_ready(self, seconds: float = 180) -> None:
        def answers() -> bool:
            if not self.alive:
                text = self.log.read_text(errors="replace")[-3000:]
                raise AssertionError(f"{self.name} ended:\n{text}")
            return self.look()

        until(answers, seconds, self.name)

    def kill(self) -> None:
        """`kill -9` the process and whatever it has started."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.kills += 1


@dataclass
class House:
    """The parts of one installation under a folder of its own."""

    folder: Path
    options: tuple[str, ...] = ()
    parts: dict[str, Part] = field(default_factory=dict)
    crashes: int = 0
    nursery: Nursery | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.state_dir = self.folder / "state"
        self.places = home.prepare(self.state_dir)
        self.logs = self.folder / "logs"
        self.logs.mkdir(exist_ok=True)

    # --- the database -----------------------------------------------------------

    @property
    def database_url(self) -> str:
        return state.database_url(self.state_dir)

    def start_database(self) -> None:
        postgres.wait_for_old_server(self.places)
        postgres.initialise(self.state_dir, self.places)
        if "postgres" not in self.parts:
            self.parts["postgres"] = Part(
                "postgres",
                postgres.command(self.places, [*_CLUSTER, *self.options]),
                dict(os.environ),
                self.logs / "postgres.log",
                self.database_answers,
                self.places.user,
            )
        self.parts["postgres"].start()
        self.parts["postgres"].wait_ready()

    def prepare(self) -> None:
        """Start the database, with all its tables, and collect static files."""
        copied = template.copied_into(self.state_dir, self.places, House)
        self.start_database()
        if not copied:
            self.run("manage.py", "prepare")

    def connect(self, **options) -> psycopg.Connection:
        return psycopg.connect(self.database_url, connect_timeout=2, **options)

    def database_answers(self) -> bool:
        try:
            with self.connect() as database:
                database.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def crash_database(self) -> None:
        """Stop it with `immediate` (no checkpoint, no goodbye) and start it again."""
        process = self.parts["postgres"].process
        process.send_signal(signal.SIGQUIT)
        process.wait(60)
        self.crashes += 1
        self.start_database()

    def stop_database(self) -> None:
        process = self.parts["postgres"].process
        process.send_signal(signal.SIGINT)
        process.wait(60)

    # --- the other parts --------------------------------------------------------

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        return {
            **kept,
            "POLICYHUB_STATE_DIR": str(self.state_dir),
            "DJANGO_SETTINGS_MODULE": "policyhub.settings",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "MALLOC_ARENA_MAX": "2",
            **extra,
        }

    def run(self, *arguments: str, **extra: str) -> str:
        """Run a Python module or a management command, and return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment(**extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    def lane(self, name: str = "lane", **extra: str) -> Part:
        port = free_port()
        # Not before: who starts a cluster has yet to name it to the settings.
        from policyhub import parts
        from policyhub.env import ENV

        # The command of `manage.py up`, by which production starts it too.
        with mock.patch.object(parts, "ENV", replace(ENV, port=port, lane_workers=1)):
            argv = parts.lane().argv

        def answers() -> bool:
            with socket.socket() as connection:
                return connection.connect_ex(("127.0.0.1", port)) == 0

        part = self._part(name, argv, answers, PORT=str(port), **extra)
        part.port, part.nursery = port, self.nursery
        return part

    def open_nursery(self) -> None:
        """Let lanes be forked, and so be back in a moment when they were killed."""
        self.nursery = Nursery(ROOT, self.environment())

    def pages(self) -> Part:
        path = self.places.pages_socket
        argv = [sys.executable, "-m", "granian", "--interface", "wsgi"]
        argv += ["--uds", str(path), "--workers", "1", "--blocking-threads", "4"]
        argv += ["--no-ws", "--log-level", "warning", "policyhub.wsgi:application"]

        def answers() -> bool:
            with socket.socket(socket.AF_UNIX) as connection:
                return connection.connect_ex(str(path)) == 0

        part = self._part("pages", argv, answers)
        part.leaves = path
        return part

    def broker(self) -> Part:
        argv = valkey.command(self.places)
        part = self._part("valkey", argv, lambda: valkey.ready(self.places))
        part.user = self.places.user
        return part

    def worker(self) -> Part:
        argv = [sys.executable, "-m", "celery", "-A", "policyhub.worker", "--quiet"]
        argv += ["worker", "--pool", "threads", "--concurrency", "4", "--clock"]
        argv += ["--loglevel", "warning", "--without-gossip", "--without-mingle"]
        part = self._part("worker", argv, lambda: True)
        part.ready_at = lambda: time.monotonic() > part.started + 5
        return part

    def _part(self, name, argv, answers, **extra: str) -> Part:
        log = self.logs / f"{name}.log"
        part = Part(name, argv, self.environment(**extra), log, answers)
        self.parts[name] = part
        return part

    def end(self) -> None:
        """Whatever happened, leave no process behind."""
        for name in [n for n in self.parts if n != "postgres"]:
            if self.parts[name].alive:
                self.parts[name].kill()
        if self.nursery is not None:
            self.nursery.end()
        if "postgres" in self.parts and self.parts["postgres"].alive:
            self.stop_database()
