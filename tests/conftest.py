"""One PostgreSQL and one Valkey for a whole test run, in a private folder.

The first process of the run (pytest, or xdist's controller) starts them before
Django's settings are read and hands their addresses to its workers through the
environment; each worker then makes a database of its own. A given DATABASE_URL or
BROKER_URL is used instead.
"""

import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import django
import hypothesis
import pytest
from django.utils import translation

from tests import order, template

MARK = "POLICYHUB_STATE_DIR"
SERVERS: list[tuple[subprocess.Popen[bytes], signal.Signals]] = []
FOLDERS: list[Path] = []


def _die_with_parent(number: signal.Signals) -> None:
    ctypes.CDLL(None).prctl(1, int(number))


def _spawn(argv: list[str], log: Path, stop: signal.Signals, user: str) -> None:
    from policyhub.embedded import home

    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            preexec_fn=lambda: _die_with_parent(stop),
            **home.identity(user),
        )
    SERVERS.append((process, stop))


def _wait(ready, log: Path) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if time.monotonic() > deadline:
            pytest.exit(f"a server does not start:\n{log.read_text()[-2000:]}", 3)
        time.sleep(0.02)


def _start_servers() -> None:
    from policyhub.embedded import home, postgres, state, valkey

    state_dir = Path(tempfile.mkdtemp(prefix="policyhub-test-"))
    FOLDERS.append(state_dir)
    os.environ[MARK] = str(state_dir)
    os.environ[template.PLACE] = str(state_dir / "template")
    places = home.prepare(state_dir)
    FOLDERS.append(Path(places.sockets))
    if "DATABASE_URL" not in os.environ:
        postgres.initialise(state_dir, places)
        log = state_dir / "postgres.log"
        # A test run has nothing to keep: its cluster does not wait for the disk.
        quick = ["fsync=off", "full_page_writes=off", "max_connections=200"]
        command = postgres.command(places, quick)
        _spawn(command, log, signal.SIGINT, places.user)
        _wait(lambda: postgres.ready(places), log)
        os.environ["DATABASE_URL"] = state.database_url(state_dir)
    if "BROKER_URL" not in os.environ:
        log = state_dir / "valkey.log"
        _spawn(valkey.command(places), log, signal.SIGTERM, places.user)
        _wait(lambda: valkey.ready(places), log)
        os.environ["BROKER_URL"] = state.broker_url(state_dir)


def _stop_servers() -> None:
    for process, stop in reversed(SERVERS):
        process.send_signal(stop)
        process.wait(20)
    for folder in FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)


if "PYTEST_XDIST_WORKER" not in os.environ:
    for name in [key for key in os.environ if key.startswith("POLICYHUB_")]:
        del os.environ[name]
    atexit.register(_stop_servers)
    _start_servers()
# A run is judged by what it tests, not by how quick the machine is, and can be had
# again: `HYPOTHESIS=new` looks for examples that nobody has seen.
hypothesis.settings.register_profile(
    "house",
    deadline=None,
    derandomize=os.environ.get("HYPOTHESIS") != "new",
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("house")
# pytest-django reads the settings after this file, so they meet the servers.
os.environ["DJANGO_SETTINGS_MODULE"] = "policyhub.settings"
# Test modules import models while they are collected.
django.setup()

from tests import clearing  # noqa: E402 (Django comes first)

clearing.install()


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> order.ByFile:
    """Keep files together."""
    return order.scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long."""
    order.sort(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin no test right before a full hour.

    Its calendar windows would close between two of its steps, and what it did "today"
    be of yesterday. Those of running installations take longer, and know days only.
    """
    period, margin = 3_600, 10
    if item.get_closest_marker("process"):
        period, margin = 86_400, 60
    left = period - time.time() % period
    if left < margin:
        time.sleep(left)


@pytest.fixture(autouse=True)
def _plain_settings(settings) -> None:
    """Static files need no manifest in tests; e-mails stay in memory (Django)."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        },
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _in_english():
    """Begin in English, whatever language the page of another test was read in."""
    translation.deactivate()
