"""What mail services report: addresses that bounce, and people who complain.

django-anymail turns each service's own report into one signal; this is its receiver.
"""

from typing import Any

from anymail.signals import AnymailTrackingEvent, EventType
from django.utils import timezone

from alerts.services.recipients import mark_undeliverable

# A deferred message is still under way; a bounce is for good.
FINAL = frozenset({EventType.BOUNCED, EventType.COMPLAINED, EventType.UNSUBSCRIBED})


def on_report(*, event: AnymailTrackingEvent, **_: Any) -> None:
    """Send no more mail to an address that a report has ruled out."""
    if event.event_type in FINAL and event.recipient:
        mark_undeliverable(
            address=event.recipient,
            reason=event.event_type,
            detail=event.description or event.reject_reason or "",
            now=event.timestamp or timezone.now(),
        )
