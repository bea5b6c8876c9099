"""Due rows that a run has chosen and not tried yet, for one worker or for several.

Choosing reads what is due in order, from where the last choice ended, so a run reads
each row once however many batches it takes. Whoever finds little left chooses more,
while the others go on with what there is.

What is chosen comes and stays in lumps. As one text of all of it, it would have to pass
through the buffer of a connection whole, and no connection gives that memory back: each
worker would hold some 2 MB from the first time that it chose.
"""

from collections import deque
from dataclasses import dataclass, field
from threading import Condition

from django.db import connection

from retention import targets
from retention.jobs import Job

# How many characters an id takes in a list: 36 and a comma.
_ID = 37
# Rows in a lump. About a batch, since whoever takes less has to cut one.
_LUMP = 1_000


def rows_in(chosen: str) -> int:
    """Return how many ids the text of an array holds."""
    return len(chosen) // _ID


@dataclass(slots=True)
class Stock:
    """Ids as text, oldest first, in lumps: `id,id,…,`. Refilled below `least` rows.

    `most` is how many rows are chosen at once.
    """

    job: Job
    most: int
    least: int = 1
    lumps: deque[str] = field(default_factory=deque)
    place: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    _choosing: bool = False
    _changed: Condition = field(default_factory=Condition)

    def take(self, size: int) -> str:
        """Return the oldest rows as the text of an array; empty if there are none."""
        while True:
            with self._changed:
                if not self._is_to_choose():
                    if self.lumps or not self._choosing:
                        return self._cut(size)
                    self._changed.wait()
                    continue
                self._choosing = True
            self.choose()

    def choose(self) -> None:
        """Choose more; for one worker at a time."""
        lumps: list[tuple[str, str]] = []
        ended = True
        try:
            lumps = self._read()
            ended = sum(rows_in(lump) for lump, _ in lumps) < self.most
        finally:
            with self._changed:
                # Where reading failed, nobody is to wait for what will not come.
                self.lumps.extend(lump for lump, _ in lumps)
                self.ended, self._choosing = ended, False
                if lumps:
                    last, at = lumps[-1]
                    self.place = {"after_id": last[-_ID:-1], "after_at": at}
                self._changed.notify_all()

    def batches(self, size: int) -> int:
        """Return how many batches of a size what is chosen makes."""
        return -(-self._rows() // size)

    def _rows(self) -> int:
        return sum(map(rows_in, self.lumps))

    def _is_to_choose(self) -> bool:
        return not self.ended and not self._choosing and self._rows() < self.least

    def _cut(self, size: int) -> str:
        taken = ""
        while self.lumps and (room := size * _ID - len(taken)) > 0:
            lump = self.lumps.popleft()
            taken += lump[:room]
            if lump[room:]:
                self.lumps.appendleft(lump[room:])
        return taken and f"{{{taken[:-1]}}}"

    def _read(self) -> list[tuple[str, str]]:
        sql = targets.choose(self.job.target, self.job.within, onwards=bool(self.place))
        values = {"most": self.most, "lump": _LUMP, **self.place}
        with connection.cursor() as cursor:
            cursor.execute(sql, self.job.parameters(**values))
            return [(f"{ids},", at) for ids, at in cursor.fetchall()]
