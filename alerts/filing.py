"""Keep a message on disk instead of sending it to anybody.

For alerts of an invented past: their recipients exist no more than what they tell of,
but whoever looks at such an alert wants to read what would have been sent.
"""

from datetime import datetime
from pathlib import Path

from django.core.mail.backends.filebased import EmailBackend

from alerts.mail import compose
from alerts.models import Delivery

NOTE = "Kept in the mail folder of the state directory; sent to nobody."


def file_away(*, delivery: Delivery, folder: Path, now: datetime) -> None:
    """Write a delivery's message to a folder and mark it so; nothing is sent.

    Raises OSError if the folder cannot be written.
    """
    message = compose(delivery)
    message.connection = EmailBackend(file_path=str(folder))
    message.send()
    pending = Delivery.objects.filter(id=delivery.id, state=Delivery.State.PENDING)
    pending.update(
        state=Delivery.State.SENT,
        attempts=1,
        sent_at=now,
        claimed_until=None,
        last_error=NOTE,
    )
