"""A watcher that ends the parts of a supervisor which was killed.

Linux already signals a child when its parent dies, but not a grandchild (granian's
and Celery's own processes), and other systems signal nobody. The watcher is forked
before anything starts and learns each part over a pipe. When the pipe closes while
parts are still listed, the supervisor is gone: it stops them, then kills what is
left. It shares the supervisor's lock, so the next start waits until it is done.
"""

import os
import select
import signal
import sys
import time
from typing import NoReturn

GRACE_SECONDS = 2.0


class Guardian:
    """The supervisor's end of the pipe. `keep` is a descriptor the watcher holds."""

    def __init__(self, keep: int) -> None:
        reading, self._writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _become_watcher(reading, keep)
        os.close(reading)

    def watch(self, group: int, stop: signal.Signals) -> None:
        """End this process group, asking with `stop` first, should we be killed."""
        self._tell(f"+{group} {int(stop)}\n")

    def forget(self, group: int) -> None:
        """This process group has ended."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        try:
            os.write(self._writing, line.encode("ascii"))
        except BrokenPipeError:
            pass  # Somebody killed the watcher; the parts run on without it.

    def close(self) -> None:
        """All parts have ended: let the watcher go, too."""
        os.close(self._writing)
        os.waitpid(self.pid, 0)


def _become_watcher(reading: int, keep: int) -> NoReturn:
    """Turn this fork into a fresh small Python that runs `main`."""
    try:
        os.setsid()
        os.set_inheritable(keep, True)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(reading, 0)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        # -I -S: neither the environment nor installed packages are looked at.
        command = [sys.executable, "-I", "-S", __file__]
        os.execv(sys.executable, command)  # noqa: S606
    finally:
        os._exit(1)


def main() -> None:
    """Read the supervisor's lines until it is gone, then end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, int] = {}
    for line in sys.stdin:
        if line.startswith("+"):
            pair = line[1:].split()
            groups[int(pair[0])] = int(pair[1])
        else:
            groups.pop(int(line[1:]), None)
    for group, stop in groups.items():
        _signal(group, stop)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(_signal(group, 0) for group in groups):
        select.select([], [], [], 0.05)
    for group in groups:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Signal a process group. Returns whether it exists."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
