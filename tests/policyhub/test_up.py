"""One command starts everything, watches it and leaves nothing behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.policyhub.installation import Installation, clean_environment

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

# Seconds: the parts' patience together is five, the rest is for a slow machine.
STOPS_WITHIN = 9


@pytest.fixture
def folder():
    """A fresh `mktemp -d`: 0700, and root's if we are root."""
    path = Path(tempfile.mkdtemp())
    yield path
    shutil.rmtree(path, ignore_errors=True)
    Path(f"{path}.log").unlink(missing_ok=True)


@pytest.fixture
def installation(folder):
    made = Installation(folder)
    yield made
    made.end()


def test_it_starts_is_killed_starts_again_and_stops(installation):
    parent = Path(tempfile.gettempdir())
    mode_before = parent.stat().st_mode
    installation.start()
    installation.wait_ready()

    assert installation.get("/healthz") == 200
    assert installation.get("/accounts/login/") == 200
    assert parent.stat().st_mode == mode_before
    assert installation.state.stat().st_mode & 0o777 == 0o711
    email, password = (installation.state / "demo-login").read_text().split()
    assert "@" in email
    assert password in installation.text()
    assert (installation.state / "database-password").stat().st_mode & 0o777 == 0o600

    # Every command finds the running database by the state directory alone.
    key = installation.command("createkey", "--account", "demo", "--scopes", "*")
    assert key.returncode == 0, key.stderr
    assert key.stdout.startswith("phk_live_")
    assert len(key.stdout.split()) == 1

    # A second start in the same place is refused, and harms nothing.
    second = installation.command("up")
    assert second.returncode == 1
    assert "already runs" in second.stderr

    installation.process.kill()
    installation.process.wait()
    deadline = time.monotonic() + 60
    while installation.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert installation.processes() == {}

    installation.start()
    installation.wait_until(lambda: installation.get("/readyz") == 200)
    status, seconds = installation.stop(signal.SIGINT)

    assert status == 0, installation.text()
    assert seconds < STOPS_WITHIN
    assert installation.processes() == {}
    assert "stopped" in installation.text().splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("bin/postgres -D", "postgres"),
        ("celery", "worker"),
    ],
)
def test_when_a_part_dies_everything_stops_and_says_why(installation, words, name):
    installation.prepare()
    installation.start()
    installation.wait_ready()

    victim = _postmaster(installation) if name == "postgres" else None
    os.kill(victim or installation.part(words), signal.SIGKILL)
    status = installation.process.wait(60)

    assert status == 1
    assert f"policyhub: {name} was killed by SIGKILL" in installation.text()
    assert installation.processes() == {}


def _postmaster(installation) -> int:
    file = installation.state / "data" / "postgres" / "postmaster.pid"
    return int(file.read_text().split()[0])


def test_one_part_alone_starts_and_stops(installation):
    installation.start("--only", "broker")
    installation.wait_for("broker is up")

    assert (installation.state / "run" / "db" / "valkey.sock").is_socket()
    status, seconds = installation.stop(signal.SIGTERM)

    assert status == 0
    assert seconds < STOPS_WITHIN


def test_the_database_keeps_out_whoever_has_no_password(installation):
    installation.start("--only", "db")
    installation.wait_for("db is up")

    import psycopg

    host = installation.state / "run" / "db"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"host={host} user=policyhub dbname=policyhub")
    password = (installation.state / "database-password").read_text().strip()
    with psycopg.connect(
        host=str(host), user="policyhub", dbname="policyhub", password=password
    ) as connection:
        shown = [
            connection.execute(f"SHOW {name}").fetchone()[0]
            for name in ("data_checksums", "listen_addresses", "fsync")
        ]
        version = connection.info.server_version
        provider = connection.execute(
            "SELECT datlocprovider, datlocale FROM pg_database"
            " WHERE datname = 'policyhub'"
        ).fetchone()
    assert shown == ["on", "", "on"]
    assert version // 10_000 == 18
    assert provider == ("b", "C.UTF-8")


def test_a_folder_deeper_than_a_socket_path_may_be(folder):
    deep = folder / ("d" * 60) / ("e" * 60)
    made = Installation(deep)
    made.output = folder / "log"
    try:
        made.start("--only", "db")
        made.wait_for("db is up")
        status, _ = made.stop()
    finally:
        made.end()

    assert status == 0
    sockets = Path(_places(deep)["sockets"])
    assert len(str(sockets)) < 40
    shutil.rmtree(sockets)
    shutil.rmtree(Path(_places(deep)["data"]).parent)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root has a home others cannot enter"
)
def test_below_a_folder_that_only_root_may_enter(folder):
    below = folder / "state"
    made = Installation(below)
    made.output = folder / "log"
    try:
        made.start("--only", "db")
        made.wait_for("db is up")
        status, _ = made.stop()
    finally:
        made.end()

    assert status == 0
    assert folder.stat().st_mode & 0o777 == 0o700
    data = Path(_places(below)["data"])
    assert folder not in data.parents
    assert (data / "postgres").stat().st_uid != 0
    shutil.rmtree(data.parent)


def _places(state: Path) -> dict[str, str]:
    import json

    return json.loads((state / "embedded.json").read_text())


def test_a_port_in_use_is_named(installation):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", installation.port))
        taken.listen()
        refused = installation.command("up")

    assert refused.returncode == 1
    assert refused.stderr.startswith("policyhub: PORT: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("DATABASE_URL", "sqlite:///x"), ("POLICYHUB_DEBUG", "perhaps")],
)
def test_a_wrong_setting_stops_the_start_in_one_line(folder, name, value):
    environment = clean_environment(POLICYHUB_STATE_DIR=str(folder))
    refused = subprocess.run(
        [sys.executable, "manage.py", "up"],
        env={**environment, name: value},
        capture_output=True,
        text=True,
        timeout=90,
    )

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"policyhub: {name}: ")
    assert refused.stderr.count("\n") == 1
