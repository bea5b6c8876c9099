"""Where lanes come from in a storm: a process that has imported everything already.

`python -m tests.faults.nursery` reads an order a line, `{"port", "log"}`, forks, and
prints the fork's process id. The fork serves as `manage.py up` would have it, in a
session of its own. A killed lane is so back in a moment and not in seconds, of which on
a busy machine there are many: the storm is to try what a kill leaves behind, not how
long Python imports. Nothing is opened before the fork.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Forked:
    """A fork, with as much of Popen as a Part asks for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                self.returncode = -signal.SIGKILL
        return self.returncode

    def wait(self, timeout: float = 30) -> int:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a fork", timeout)
            time.sleep(0.002)
        return self.returncode


class Nursery:
    """The process and the way to it."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_die_with_parent,
        )

    def fork(self, port: int, log: Path) -> Forked:
        self.process.stdin.write(json.dumps({"port": port, "log": str(log)}) + "\n")
        self.process.stdin.flush()
        return Forked(int(self.process.stdout.readline()))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))


def _become_a_lane(order: dict) -> None:
    import uvicorn

    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    uvicorn.run(
        "policyhub.asgi:app",
        host="127.0.0.1",
        port=order["port"],
        lifespan="on",
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )


def main() -> None:
    import uvloop  # noqa: F401 (before any fork)

    import policyhub.asgi
    import policyhub.lane_server  # noqa: F401 (its protocol is the lane's)

    # A fork that has ended leaves nothing that would have to be waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            _die_with_parent()
            os.write(theirs, b".")
            try:
                _become_a_lane(json.loads(line))
            finally:
                os._exit(1)
        os.read(ours, 1)
        os.close(ours)
        os.close(theirs)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
