"""Log lines of the parts: kept in files, shown on the terminal with a prefix."""

import contextlib
import os
import select
import sys
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
WIDTH = 8


class Log:
    """The log file of one part; the one before it is kept as `<name>.log.1`."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.name = name
        self.path = folder / f"{name}.log"
        self._file = self.path.open("ab")

    def write(self, line: bytes) -> None:
        """Append one line."""
        if self._file.tell() + len(line) > MAX_BYTES:
            self._file.close()
            self.path.replace(self.path.with_suffix(".log.1"))
            self._file = self.path.open("ab")
        self._file.write(line)
        self._file.flush()

    def last_lines(self, count: int = 8) -> str:
        """Return the end of the log, to explain a failure."""
        lines = self.path.read_bytes()[-8000:].decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-count:])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def show(name: str, line: bytes) -> None:
    """Print one line with the part's name before it."""
    emit(f"{name:<{WIDTH}} | ".encode() + line)


def say(text: str) -> None:
    """Print the supervisor's own words."""
    for line in text.splitlines():
        show("up", f"{line}\n".encode())


def emit(data: bytes) -> None:
    """Write to standard output, without ever waiting for whoever reads it.

    A reader that is gone or does not read must not stop the parts: what does not
    fit is dropped here and stays in the log file.
    """
    with contextlib.suppress(OSError, ValueError):
        out = sys.stdout.fileno()
        for start in range(0, len(data), select.PIPE_BUF):
            _, writable, _ = select.select([], [out], [], 0)
            if not writable:
                return
            os.write(out, data[start : start + select.PIPE_BUF])
