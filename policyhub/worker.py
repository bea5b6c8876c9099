"""The worker's application: everything loaded, and the clock as one of its threads.

`celery worker -B` forks the clock as a second process of the same size. With
`--clock` it is a thread instead. Exactly one worker of an installation may have it.
"""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "policyhub.settings")
django.setup()

from celery import bootsteps  # noqa: E402 (Django comes first)
from celery.beat import EmbeddedService  # noqa: E402
from click import Option  # noqa: E402

from policyhub.celery import app  # noqa: E402


class Clock(bootsteps.StartStopStep):
    """Starts and stops Celery's beat with the worker."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, *, clock: bool = False, **options: Any) -> None:
        self.enabled = clock
        super().__init__(worker, **options)

    def create(self, worker: Any) -> Any:
        """Return the thread, which the worker starts and stops."""
        scheduler = worker.app.conf.beat_scheduler  # else Celery's own default
        return EmbeddedService(worker.app, thread=True, scheduler_cls=scheduler)


app.user_options["worker"].add(
    Option(("--clock",), is_flag=True, default=False, help="run beat as a thread")
)
app.steps["worker"].add(Clock)
