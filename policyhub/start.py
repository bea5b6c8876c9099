"""The start of the whole installation, or of one part: `manage.py up`.

It never loads Django: so it is quick, and small while it watches.
"""

import argparse
import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from policyhub import parts, terminal
from policyhub.embedded import home, postgres, state
from policyhub.embedded.state import Places
from policyhub.env import ENV
from policyhub.guardian import Guardian
from policyhub.supervisor import PartFailed, StopRequested, Supervisor

ONE_PART = ("lane", "pages", "worker", "beat", "db", "broker")
SEED = ("--days", "60", "--seed", "7")
WAIT_SECONDS = 10.0


class CannotStart(Exception):
    """The start is not possible; the text says why."""


def _lock(name: str) -> int:
    """Hold the lock of this start, so that there is one per state directory.

    After a killed start it is held until its last part has gone.
    """
    descriptor = os.open(ENV.state_dir / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            gone = owner.isdigit() and not Path(f"/proc/{owner}").exists()
            if time.monotonic() > deadline or not gone:
                problem = f"PolicyHub already runs in {ENV.state_dir} (process {owner})"
                raise CannotStart(problem) from error
            time.sleep(0.05)
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
            return descriptor


def _check_port() -> None:
    """Raise `CannotStart` if the public port cannot be had, before anything starts."""
    deadline = time.monotonic() + WAIT_SECONDS / 2
    family = socket.AF_INET6 if ":" in ENV.host else socket.AF_INET
    while True:
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((ENV.host, ENV.port))
            except OSError as error:
                where = f"{ENV.host}:{ENV.port}"
                if error.errno != errno.EADDRINUSE:
                    problem = f"POLICYHUB_HOST, PORT: cannot listen on {where}"
                    raise CannotStart(f"{problem}: {error.strerror}") from error
                if time.monotonic() > deadline:
                    problem = f"PORT: another program already listens on {where}"
                    raise CannotStart(problem) from error
            else:
                return
        time.sleep(0.1)


def _start_servers(supervisor: Supervisor, places: Places) -> None:
    """Start what is embedded of database and broker, and wait for both."""
    started = []
    if ENV.database_embedded:
        postgres.wait_for_old_server(places)
        postgres.initialise(ENV.state_dir, places)
        started.append(supervisor.start(parts.database(places)))
    if ENV.broker_embedded:
        places.valkey_socket.unlink(missing_ok=True)
        started.append(supervisor.start(parts.broker(places)))
    for running in started:
        supervisor.wait_ready(running)


def _start_everything(supervisor: Supervisor, places: Places) -> None:
    terminal.say(f"state directory: {ENV.state_dir}")
    _start_servers(supervisor, places)
    supervisor.run(parts.command("prepare", "--demo"))
    places.pages_socket.unlink(missing_ok=True)
    for running in [supervisor.start(part) for part in (parts.pages(), parts.lane())]:
        supervisor.wait_ready(running)
    # Only now, so that it does not take the processors from the first page.
    supervisor.start(parts.worker(beat=True))
    supervisor.run(parts.command("announce", plain=True))
    supervisor.start(parts.command("seed_demo", *SEED, nice=5))
    supervisor.watch()


def _start_one(supervisor: Supervisor, places: Places, name: str) -> None:
    if name == "db":
        postgres.wait_for_old_server(places)
        postgres.initialise(ENV.state_dir, places)
    elif name == "pages":
        places.pages_socket.unlink(missing_ok=True)
    make = {
        "db": lambda: parts.database(places),
        "broker": lambda: parts.broker(places),
        "pages": parts.pages,
        "lane": parts.lane,
        "worker": lambda: parts.worker(beat=False),
        "beat": parts.clock,
    }
    running = supervisor.start(make[name]())
    if name != "lane":  # It is there before the pages are.
        supervisor.wait_ready(running)
    terminal.say(f"{name} is up")
    supervisor.watch()


def _supervise(only: str | None) -> int:
    state.create(ENV.state_dir)
    lock = _lock(f"up-{only}" if only else "up")
    if only in {None, "lane"}:
        _check_port()
    places = home.prepare(ENV.state_dir)
    logs = ENV.state_dir / "logs"
    supervisor = Supervisor(logs, parts.environment(), Guardian(lock))
    try:
        if only:
            _start_one(supervisor, places, only)
        else:
            _start_everything(supervisor, places)
    except StopRequested:
        terminal.say("stopping")
        supervisor.stop()
        terminal.say("stopped")
        return 0
    except (PartFailed, home.CannotPrepare) as error:
        terminal.say(str(error).splitlines()[0])
        supervisor.stop()
        sys.stderr.write(f"policyhub: {error}\n")
        return 1
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run until stopped. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="manage.py up",
        description="Start all parts of PolicyHub and watch them; Ctrl-C stops them.",
    )
    parser.add_argument("--only", choices=ONE_PART, help="run just this part")
    only = parser.parse_args(arguments).only
    try:
        return _supervise(only)
    except KeyboardInterrupt:
        return 0  # Nothing has been started yet.
    except (CannotStart, home.CannotPrepare, OSError) as error:
        sys.stderr.write(f"policyhub: {error}\n")
        return 1
