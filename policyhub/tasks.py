"""What the worker does for the installation as a whole."""

from celery import shared_task
from django.utils import timezone

from policyhub.demo import samples

SCHEDULES = [("Fill sample accounts", "policyhub.fill_samples", 5)]


@shared_task(name="policyhub.fill_samples")
def fill_samples() -> int:
    """Fill the sample accounts that were opened, delete those that were removed."""
    return samples.fill_samples(now=timezone.now())
