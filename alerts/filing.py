"""Keep a message on disk instead of sending it to anybody.

For alerts of an invented past: their recipients exist no more than what they tell of,
but whoever looks at such an alert wants to read what would have been sent.
"""

import os
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path

from accounts.selectors import owner_emails
from alerts.mail import compose
from alerts.models import Delivery

SAMPLE = "Sample data: sent to nobody."
NOTE = "Kept in the mail folder of the state directory; sent to nobody."
# What Django's file backend writes below each message.
_RULE = b"\n" + b"-" * 79 + b"\n"


def file_away(*, delivery: Delivery, folder: Path, now: datetime) -> None:
    """Write a delivery's message to a file dated `now` and mark it so; nothing is sent.

    Again, it writes the same file. Raises OSError if the folder cannot be written.
    """
    named = [delivery.recipient] if delivery.recipient else None
    message = compose(delivery, named or owner_emails(delivery.account))
    message.extra_headers["Date"] = format_datetime(now)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{delivery.message_id}.log"
    file.write_bytes(message.message().as_bytes() + _RULE)
    os.utime(file, (now.timestamp(), now.timestamp()))
    _mark(delivery, NOTE, now)


def put_by(*, delivery: Delivery, now: datetime) -> None:
    """Mark a delivery of sample data as done; nothing is written or sent."""
    _mark(delivery, SAMPLE, now)


def _mark(delivery: Delivery, note: str, now: datetime) -> None:
    pending = Delivery.objects.filter(id=delivery.id, state=Delivery.State.PENDING)
    pending.update(
        state=Delivery.State.SENT,
        attempts=1,
        sent_at=now,
        claimed_until=None,
        last_error=note,
    )
