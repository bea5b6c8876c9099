"""The worker's application: everything loaded, and the clock as one of its threads.

`celery worker -B` forks the clock as a second process of the same size. With
`--clock` it is a thread instead. Exactly one worker of an installation may have it.
"""

import logging
import os
from threading import Event, Thread
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "policyhub.settings")
django.setup()

from celery import bootsteps  # noqa: E402 (Django comes first)
from celery.beat import Service  # noqa: E402
from click import Option  # noqa: E402
from django.db import close_old_connections  # noqa: E402

from accounts.heartbeats import WORKER, Pulse  # noqa: E402
from alerts import services as alerts  # noqa: E402
from alerts.courier import Courier, Round  # noqa: E402
from policies.services import tell_of_blocks  # noqa: E402
from policyhub.celery import app  # noqa: E402
from usage.denials import tell_denials  # noqa: E402

ROUNDS: dict[str, list[Round]] = {
    "Teller": [
        lambda now: tell_of_blocks(now=now),
        lambda now: tell_denials(now=now),
        lambda now: alerts.announce_due(now=now),
        lambda now: alerts.dispatch_due(now=now),
    ],
    "Mails": [lambda now: alerts.deliver_due(now=now)],
    "Pulse": [Pulse(WORKER)],
    "Webhooks": [lambda now: alerts.post_due(now=now)],
}
_LOG = logging.getLogger(__name__)


class ClockThread(Thread):
    """Celery's beat, started anew whenever it ends by an error.

    It reads its timetable from the database: without this, a database that is away
    while it does would end the thread, and nothing would ever be due again.
    """

    PAUSE_SECONDS = 2.0

    def __init__(self, app: Any, scheduler: Any) -> None:
        super().__init__(name="Beat", daemon=True)
        self._app, self._scheduler = app, scheduler
        self._ended = Event()
        self.service = self._new()

    def _new(self) -> Any:
        # Without a scheduler of the settings' it is Celery's own default.
        return Service(self._app, scheduler_cls=self._scheduler)

    def run(self) -> None:
        """Run the clock until it is stopped."""
        self._app.set_current()
        while not self._ended.is_set():
            try:
                self.service.start()
            except Exception:  # noqa: BLE001 (the clock outlives any one failure)
                _LOG.exception("the clock stopped; it is started again")
                self._ended.wait(self.PAUSE_SECONDS)
                close_old_connections()
                self.service = self._new()

    def stop(self) -> None:
        """Let it write down what it has done, and end."""
        self._ended.set()
        self.service.stop()
        self.join(self.PAUSE_SECONDS)


class Clock(bootsteps.StartStopStep):
    """Starts and stops Celery's beat with the worker."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, *, clock: bool = False, **options: Any) -> None:
        self.enabled = clock
        super().__init__(worker, **options)

    def create(self, worker: Any) -> Any:
        """Return the thread, which the worker starts and stops."""
        scheduler = worker.app.conf.beat_scheduler  # else Celery's own default
        return ClockThread(worker.app, scheduler)


class Couriers(bootsteps.StartStopStep):
    """Carries messages while the worker runs, whether or not there is a broker."""

    def __init__(self, worker: Any, **options: Any) -> None:
        self._threads: list[Courier] = []
        super().__init__(worker, **options)

    def start(self, worker: Any) -> None:
        """Start a thread for each way of telling: a slow one delays itself alone."""
        self._threads = [Courier(name, rounds) for name, rounds in ROUNDS.items()]
        for thread in self._threads:
            thread.start()

    def stop(self, worker: Any) -> None:
        """Let them finish what is under way."""
        for thread in self._threads:
            thread.stop()


app.user_options["worker"].add(
    Option(("--clock",), is_flag=True, default=False, help="run beat as a thread")
)
app.steps["worker"].add(Clock)
app.steps["worker"].add(Couriers)
