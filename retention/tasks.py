"""What the worker does for retention. Each task may run twice: rows say what is due."""

import time
from datetime import datetime, timedelta

from celery import shared_task
from django.utils import timezone

from retention import partitions, services
from retention.selectors import database_clock

SCHEDULES = [
    ("Prune what is due", "retention.prune_due", 60),
    ("Maintain partitions", "retention.maintain_partitions", 3_600),
]

# A clock that counts through suspension and that nobody can set.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_STARTED_AT = timezone.now()
_STARTED = time.clock_gettime(_STEADY)


def steady_clock() -> datetime:
    """Return the time as it was when the worker started, plus what has passed since."""
    return _STARTED_AT + timedelta(seconds=time.clock_gettime(_STEADY) - _STARTED)


@shared_task(name="retention.prune_due")
def prune_due() -> int:
    """Delete what is over its age, unless the clock cannot be trusted."""
    witnesses = (steady_clock(), database_clock())
    return len(services.prune_due(now=timezone.now(), witnesses=witnesses))


@shared_task(name="retention.maintain_partitions")
def maintain_partitions() -> dict[str, list[str]]:
    """Open the months ahead and drop those that are due."""
    return partitions.maintain_partitions(now=timezone.now())
