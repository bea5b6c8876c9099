"""Rows that could not be written to PostgreSQL, kept on disk until they can.

Each process appends to a file of its own, locked while it lives; whoever finds a file
without a living owner replays it. A row is on disk (fsync) before its call is answered,
and its id makes a second replay harmless.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

MAX_ROWS: Final = 10_000


class SpoolFull(Exception):
    """There is no room for more; the call has to be refused."""


class Spool:
    """The spool of one process in a folder that all processes share."""

    def __init__(self, folder: Path, *, most: int = MAX_ROWS) -> None:
        self._folder = folder
        self._most = most
        self._file: int | None = None
        self._path: Path | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.rows = sum(len(_read(path)) for path in self._files())

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Put rows on disk. Raises SpoolFull, and then keeps none of them."""
        if self.rows + len(rows) > self._most:
            raise SpoolFull
        lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        descriptor = self._open()
        os.write(descriptor, lines)
        os.fsync(descriptor)
        self.rows += len(rows)

    def drain(self) -> Iterator[list[dict[str, Any]]]:
        """Yield each file's rows; a file goes when its rows have been taken care of."""
        self._close()
        for path in self._files():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Another living process appends to it, and replays it itself.
                continue
            else:
                rows = _read(path)
                yield rows
                path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
        self.rows = 0

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))

    def _open(self) -> int:
        if self._file is None:
            self._path = self._folder / f"{uuid4().hex}.jsonl"
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = os.open(self._path, flags, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _read(path: Path) -> list[dict[str, Any]]:
    """Read a file's rows; a line that a crash cut short was never answered."""
    rows: list[dict[str, Any]] = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            rows.append(msgspec.json.decode(line))
        except msgspec.DecodeError:
            continue
    return rows
