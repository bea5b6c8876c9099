"""What the worker does for alerts. Each task may run twice: rows say what is due."""

from celery import shared_task
from django.utils import timezone

from alerts import services

SCHEDULES = [
    ("Deliver alerts", "alerts.deliver_due", 10),
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
