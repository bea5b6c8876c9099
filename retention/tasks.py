"""What the worker does for retention. Each task may run twice: rows say what is due."""

from celery import shared_task
from django.utils import timezone

from retention import clocks, erasure, guard, partitions, services

SCHEDULES = [
    ("Prune what is due", "retention.prune_due", 60),
    ("Maintain partitions", "retention.maintain_partitions", 3_600),
]


@shared_task(name="retention.prune_due")
def prune_due() -> int:
    """Delete what is over its age, or let it wait while the clock is not trusted.

    Erasures that have not ended go on first: people wait for them.
    """
    now = timezone.now()
    witnesses = clocks.witnesses(now)
    if guard.trusted(now, witnesses):
        clocks.remember(now)
    gone_on = erasure.go_on_with_all(now=now)
    return gone_on + len(services.prune_due(now=now, witnesses=witnesses))


@shared_task(name="retention.maintain_partitions")
def maintain_partitions() -> dict[str, list[str]]:
    """Open the months ahead and drop those that are due."""
    now = timezone.now()
    trusted = guard.trusted(now, clocks.witnesses(now))
    return partitions.maintain_partitions(now=now, drop=trusted)
