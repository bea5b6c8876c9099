"""What the worker does for alerts. Each task may run twice: rows say what is due."""

from celery import shared_task
from django.utils import timezone

from accounts import heartbeats
from alerts import services

SCHEDULES = [
    ("Deliver alerts", "alerts.deliver_due", 10),
    ("Tell endpoints and hooks", "alerts.tell_due", 10),
    ("Forget what was told", "alerts.forget_told", 3_600),
    ("Show that the clock goes", "alerts.beat", 30),
    ("Resolve alerts whose time is over", "alerts.resolve_due", 30),
]


@shared_task(name="alerts.deliver_due")
def deliver_due() -> int:
    """Send what the outbox holds and is due."""
    return services.deliver_due(now=timezone.now())


@shared_task(name="alerts.resolve_due")
def resolve_due() -> int:
    """Resolve alerts whose time is over."""
    return services.resolve_due(now=timezone.now())


@shared_task(name="alerts.tell_due")
def tell_due() -> int:
    """Write what happened to endpoints and hooks, and send it."""
    now = timezone.now()
    services.announce_due(now=now)
    services.dispatch_due(now=now)
    return services.post_due(now=now)


@shared_task(name="alerts.forget_told")
def forget_told() -> int:
    """Forget what was told long ago."""
    return services.forget_told(now=timezone.now())


@shared_task(name="alerts.beat")
def beat() -> None:
    """Say that the clock sends work, and that it arrives."""
    heartbeats.beat(part=heartbeats.CLOCK, now=timezone.now())
