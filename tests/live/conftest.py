"""One running PolicyHub for all clients."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.live.server import Server


@pytest.fixture(scope="session")
def live():
    folder = Path(tempfile.mkdtemp(prefix="policyhub-live-"))
    folder.chmod(0o755)
    server = None
    try:
        server = Server(folder / "house")
        yield server
    finally:
        if server is not None:
            server.end()
        shutil.rmtree(folder, ignore_errors=True)
