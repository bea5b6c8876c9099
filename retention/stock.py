"""Due rows that a run has chosen and not tried yet, for one worker or for several.

Choosing reads what is due in order, from where the last choice ended, so a run reads
each row once however many batches it takes. Whoever finds little left chooses more,
while the others go on with what there is.
"""

from dataclasses import dataclass, field
from threading import Condition

from django.db import connection

from retention import targets
from retention.jobs import Job

# How many characters an id takes in a list: 36 and a comma.
_ID = 37


def rows_in(chosen: str) -> int:
    """Return how many ids the text of an array holds."""
    return len(chosen) // _ID


@dataclass(slots=True)
class Stock:
    """Ids as text: `id,id,…`, oldest first. It is refilled below `least` rows.

    `most` is how many rows are chosen at once.
    """

    job: Job
    most: int
    least: int = 1
    ids: str = ""
    place: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    _choosing: bool = False
    _changed: Condition = field(default_factory=Condition)

    def take(self, size: int) -> str:
        """Return the oldest rows as the text of an array; empty if there are none."""
        while True:
            with self._changed:
                if not self._is_to_choose():
                    if self.ids or not self._choosing:
                        return self._cut(size)
                    self._changed.wait()
                    continue
                self._choosing = True
            self.choose()

    def choose(self) -> None:
        """Choose more; for one worker at a time."""
        ids, at, ended = "", "", True
        try:
            ids, at = self._read()
            ended = rows_in(ids) < self.most
        finally:
            with self._changed:
                # Where reading failed, nobody is to wait for what will not come.
                self.ids, self.ended, self._choosing = self.ids + ids, ended, False
                if ids:
                    self.place = {"after_id": ids[-_ID:-1], "after_at": at}
                self._changed.notify_all()

    def batches(self, size: int) -> int:
        """Return how many batches of a size what is chosen makes."""
        return -(-rows_in(self.ids) // size)

    def _is_to_choose(self) -> bool:
        little = len(self.ids) < self.least * _ID
        return little and not self.ended and not self._choosing

    def _cut(self, size: int) -> str:
        taken, self.ids = self.ids[: size * _ID], self.ids[size * _ID :]
        return taken and f"{{{taken[:-1]}}}"

    def _read(self) -> tuple[str, str]:
        sql = targets.choose(self.job.target, self.job.within, onwards=bool(self.place))
        with connection.cursor() as cursor:
            cursor.execute(sql, self.job.parameters(most=self.most, **self.place))
            ids, at = cursor.fetchone()
        return (f"{ids},", at) if ids else ("", "")
