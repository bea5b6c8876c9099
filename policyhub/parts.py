"""What the installation is made of: each part's command and when it is ready."""

import http.client
import os
import signal
import socket
import sys

from policyhub.embedded import postgres, state, valkey
from policyhub.embedded.state import Places
from policyhub.env import BASE_DIR, ENV
from policyhub.env_names import is_unknown
from policyhub.supervisor import Part

# Stopped last to first: those who work, then what they work on.
DATABASE_STAGE, BROKER_STAGE, SERVER_STAGE = 1, 2, 3


def database(places: Places) -> Part:
    """PostgreSQL. SIGINT is its fast stop: roll back, write down, end."""
    return Part(
        "postgres",
        postgres.command(places),
        ready=lambda: postgres.ready(places),
        stop=signal.SIGINT,
        stage=DATABASE_STAGE,
        user=places.user,
        patience=1.2,
    )


def broker(places: Places) -> Part:
    """Valkey."""
    return Part(
        "valkey",
        valkey.command(places),
        ready=lambda: valkey.ready(places),
        stage=BROKER_STAGE,
        user=places.user,
        patience=0.6,
    )


def command(name: str, *arguments: str, plain: bool = False, nice: int = 0) -> Part:
    """A management command."""
    manage = str(BASE_DIR / "manage.py")
    argv = [sys.executable, manage, name, *arguments]
    short = name.split("_", 1)[0]
    return Part(short, argv, plain=plain, nice=nice, patience=1.5, ends=True)


def pages() -> Part:
    """Django behind granian, heard by the lane on a unix socket."""
    path = state.pages_socket(ENV.state_dir)

    def ready() -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(path)) == 0

    argv = [sys.executable, "-m", "granian", "--interface", "wsgi"]
    argv += ["--uds", str(path), "--workers", "1", "--blocking-threads", "4"]
    argv += ["--no-ws", "--workers-kill-timeout", "2", "--log-level", "warning"]
    argv += ["policyhub.wsgi:application"]
    # A page may wait a moment for the processor; a decision should not.
    return Part("pages", argv, ready=ready, nice=10)


def lane() -> Part:
    """The public port: hot routes, and everything else passed on to the pages."""
    argv = [sys.executable, "-m", "policyhub.lane_server", "policyhub.asgi:app"]
    argv += ["--host", ENV.host, "--port", str(ENV.port), "--lifespan", "on"]
    argv += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    argv += ["--no-server-header", "--log-level", "warning"]
    # Longer than clients keep a connection, so that it is theirs to close.
    argv += ["--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "2"]
    if ENV.lane_workers > 1:
        argv += ["--workers", str(ENV.lane_workers)]
    return Part("lane", argv, ready=lane_answers)


def lane_answers() -> bool:
    """Whether the installation says it is ready."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(ENV.host, ENV.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, ENV.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def worker(*, beat: bool) -> Part:
    """One Celery worker with four threads; with `beat`, the clock as a fifth."""
    # As root Celery warns at length about pickled messages; ours are JSON only.
    quiet = ["-W", "ignore:You're running the worker"]
    argv = [sys.executable, *quiet, "-m", "celery", "-A", "policyhub.worker"]
    argv += ["--quiet", "worker"]
    argv += ["--pool", "threads", "--concurrency", "4", "--loglevel", "warning"]
    argv += ["--without-gossip", "--without-mingle"]
    return Part("worker", [*argv, "--clock"] if beat else argv, nice=5)


def clock() -> Part:
    """Celery's beat alone. Exactly one may run in an installation."""
    argv = [sys.executable, "-m", "celery", "-A", "policyhub.worker", "--quiet"]
    return Part("beat", [*argv, "beat", "--pidfile=", "--loglevel", "warning"])


def environment() -> dict[str, str]:
    """Return the environment of the parts. Unknown settings were warned about once."""
    from_outside = {k: v for k, v in os.environ.items() if not is_unknown(k)}
    # A part that compiles all it imports at each start takes twice as long, and
    # a lane 20 MB more for good.
    from_outside.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **from_outside,
        "POLICYHUB_STATE_DIR": str(ENV.state_dir),
        "DJANGO_SETTINGS_MODULE": "policyhub.settings",
        "PYTHONPATH": str(BASE_DIR),
        "PYTHONUNBUFFERED": "1",
        # Few heaps for many threads: less memory that is held and not used.
        "MALLOC_ARENA_MAX": "2",
        # Django's checks are for `make check`: in the worker they load every page.
        "CELERY_SKIP_CHECKS": "1",
    }
