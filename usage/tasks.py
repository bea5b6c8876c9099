"""What the worker does for usage. Each task may run twice: rows say what is due."""

from celery import shared_task
from django.utils import timezone

from policies import services as policies
from usage import denials, expiry, foretelling, rollups, safety, upkeep

SCHEDULES = [
    ("Roll up usage", "usage.roll_up", 15),
    ("Expire reservations", "usage.expire_reservations", 15),
    ("End windows and blocks", "usage.end_windows", 15),
    ("Evaluate thresholds", "usage.evaluate_thresholds", 60),
    ("Tell of blocks", "usage.tell_of_blocks", 10),
    ("Tell of refused calls", "usage.tell_denials", 10),
    ("Tell of likely breaches", "usage.tell_forecasts", 900),
    ("Forget old event ids", "usage.prune_event_ids", 3_600),
    ("Forget answers to be replayed", "usage.prune_first_answers", 3_600),
]


@shared_task(name="usage.roll_up")
def roll_up() -> int:
    """Add recorded events to their hours."""
    return rollups.roll_up(now=timezone.now())


@shared_task(name="usage.expire_reservations")
def expire_reservations() -> int:
    """Free the holds of reservations whose time is over."""
    return expiry.expire_reservations(now=timezone.now())


@shared_task(name="usage.end_windows")
def end_windows() -> int:
    """Lift the blocks and resolve the alerts of windows that are over."""
    return upkeep.end_windows(now=timezone.now())


@shared_task(name="usage.evaluate_thresholds")
def evaluate_thresholds() -> int:
    """Fire what a crossing should have fired and did not."""
    return safety.evaluate_thresholds(now=timezone.now())


@shared_task(name="usage.prune_event_ids")
def prune_event_ids() -> int:
    """Forget event ids that are too old to be repeated."""
    return upkeep.prune_event_ids(now=timezone.now())


@shared_task(name="usage.prune_first_answers")
def prune_first_answers() -> int:
    """Forget answers whose Idempotency-Key is too old to be sent again."""
    return upkeep.prune_first_answers(now=timezone.now())


@shared_task(name="usage.tell_of_blocks")
def tell_of_blocks() -> int:
    """Tell people of blocks that began or ended."""
    return policies.tell_of_blocks(now=timezone.now())


@shared_task(name="usage.tell_denials")
def tell_denials() -> int:
    """Tell the endpoints that want it of refused calls."""
    return denials.tell_denials(now=timezone.now())


@shared_task(name="usage.tell_forecasts")
def tell_forecasts() -> int:
    """Tell of limits that are likely to be reached before they reset."""
    return foretelling.tell_forecasts(now=timezone.now())
