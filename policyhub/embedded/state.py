"""The state directory: what lies where, and who may enter.

The directory is PolicyHub's own and is made traversable (0711) so that the user
which runs the embedded servers can reach its part of it. Nothing above it is ever
changed. Two things can force a part out of it: a socket path longer than the
kernel takes, and a parent directory which that user cannot enter. Where the parts
are is therefore written down in `embedded.json`, and every command finds the
running servers by the state directory alone.
"""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

DATABASE = "policyhub"
ROLE = "policyhub"
PLACES = "embedded.json"
PASSWORD = "database-password"  # noqa: S105 (a file's name)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts live, as text, and the system user of the servers ("" = us)."""

    data: str
    sockets: str
    user: str

    @property
    def postgres_data(self) -> Path:
        return Path(self.data) / "postgres"

    @property
    def valkey_data(self) -> Path:
        return Path(self.data) / "valkey"

    @property
    def server_sockets(self) -> Path:
        return Path(self.sockets) / "db"

    @property
    def valkey_socket(self) -> Path:
        return self.server_sockets / "valkey.sock"

    @property
    def pages_socket(self) -> Path:
        return Path(self.sockets) / "web" / "pages.sock"


def places_inside(state_dir: Path, user: str = "") -> Places:
    """Return the ordinary places: all of them inside the state directory."""
    return Places(str(state_dir / "data"), str(state_dir / "run"), user)


def create(state_dir: Path) -> None:
    """Make the state directory ours and traversable. Its parents stay as they are."""
    state_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
    if state_dir.stat().st_uid == os.geteuid():
        state_dir.chmod(0o711)


def write_private(path: Path, text: str) -> None:
    """Put `text` into `path` (0600) in one step, replacing what was there."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)


def secret(state_dir: Path, file: str, make: Callable[[], str]) -> str:
    """Return the secret kept in `file`, made by the first who asks."""
    path = state_dir / file
    if not path.exists():
        create(state_dir)
        descriptor, name = tempfile.mkstemp(dir=state_dir, prefix=f".{file}.")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as handle:
                handle.write(make())
                handle.flush()
                os.fsync(handle.fileno())
            # A link fails if the name exists: of two makers one wins, both agree.
            os.link(name, path)
        except FileExistsError:
            pass
        finally:
            Path(name).unlink()
    return path.read_text(encoding="ascii").strip()


def read_places(state_dir: Path) -> Places | None:
    """Return where the parts live, or None before the first start."""
    try:
        document = json.loads((state_dir / PLACES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Places(**document)


def write_places(state_dir: Path, places: Places) -> None:
    """Remember where the parts live."""
    write_private(state_dir / PLACES, json.dumps(asdict(places), indent=1) + "\n")


def database_url(state_dir: Path) -> str:
    """Return the URL of the embedded database, whether or not it runs."""
    places = read_places(state_dir) or places_inside(state_dir)
    password_file = state_dir / PASSWORD
    password = password_file.read_text().strip() if password_file.exists() else ""
    login = f"{ROLE}:{password}" if password else ROLE
    host = quote(str(places.server_sockets), safe="")
    return f"postgresql://{login}@/{DATABASE}?host={host}"


def broker_url(state_dir: Path) -> str:
    """Return the URL of the embedded broker, whether or not it runs."""
    places = read_places(state_dir) or places_inside(state_dir)
    return f"redis+socket://{quote(str(places.valkey_socket))}"


def pages_socket(state_dir: Path) -> Path:
    """Return the socket on which the pages listen for the lane."""
    return (read_places(state_dir) or places_inside(state_dir)).pages_socket
