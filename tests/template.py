"""A database with all its tables, made once in a run and copied for each installation.

To migrate takes ten seconds, to copy a part of one. Outside of a run of the tests there
is no template, and everybody migrates; so does whoever tests the first start.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from policyhub.embedded import state
from policyhub.embedded.state import Places

PLACE = "TESTS_TEMPLATE"
_QUICK = ("fsync=off", "full_page_writes=off")


def copied_into(state_dir: Path, places: Places, house_class) -> bool:
    """Copy cluster, its password and static files; say whether it was done."""
    if PLACE not in os.environ or any(places.postgres_data.iterdir()):
        return False
    made = _made(Path(os.environ[PLACE]), house_class)
    kept = state.read_places(made)
    # As it is: the cluster belongs to the user that the server runs as.
    for source, target in (
        (f"{kept.postgres_data}/.", places.postgres_data),
        (made / state.PASSWORD, state_dir),
    ):
        subprocess.run(["cp", "--archive", source, target], check=True)
    shutil.copytree(made / "static", state_dir / "static")
    return True


def _made(folder: Path, house_class) -> Path:
    """Return the state directory of the template; whoever comes first makes it."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            house = house_class(folder / "house", options=_QUICK)
            try:
                house.start_database()
                house.run("manage.py", "prepare")
            finally:
                house.end()
            (folder / "made").touch()
    return folder / "house" / "state"
