"""Carries messages without being asked to: threads of the worker, beside the broker.

The timetable's tasks do the same work, but they need the broker. Each thread here looks
for what is due every second or so, so a crossing is told within seconds, and still is
while the broker is away. Any number of workers may have a courier: rows are claimed.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Event, Thread

from django.db import DatabaseError, close_old_connections
from django.utils import timezone

Round = Callable[[datetime], int]
log = logging.getLogger(__name__)


class Courier(Thread):
    """Does its rounds one after the other, again and again, until it is stopped."""

    PAUSE_SECONDS = 1.0
    PAUSE_WITHOUT_DATABASE = 5.0

    def __init__(self, name: str, rounds: Sequence[Round]) -> None:
        super().__init__(name=name, daemon=True)
        self._rounds = rounds
        self._ended = Event()

    def run(self) -> None:
        """Go on until the end; what goes wrong in one turn is tried in the next."""
        pause = self.PAUSE_SECONDS
        while not self._ended.wait(pause):
            pause = self.PAUSE_SECONDS if self._turn() else self.PAUSE_WITHOUT_DATABASE

    def stop(self) -> None:
        """End after what is under way; a message that was claimed comes again."""
        self._ended.set()

    def _turn(self) -> bool:
        """Do every round once; say whether the database was there."""
        try:
            for do in self._rounds:
                do(timezone.now())
        except DatabaseError as error:
            log.warning("%s: the database is away: %s", self.name, error)
            return False
        except Exception:
            # A thread that ended would be missed by nobody until somebody waits for
            # an alert.
            log.exception("%s failed", self.name)
        finally:
            close_old_connections()
        return True
