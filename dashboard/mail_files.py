"""Mails that were written to files: the embedded default has no mail server.

So that a first try shows what would have been sent, an alert's page shows the file.
"""

import email
import email.policy
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from django.conf import settings

from alerts.models import Delivery

BACKEND: Final = "django.core.mail.backends.filebased.EmailBackend"
RULE: Final = b"\n" + b"-" * 79 + b"\n"
MAX_BYTES: Final = 256 * 1024
MAX_FILES: Final = 200
# A message in another language than the first is named behind a dot.
_NAME: Final = re.compile(r"(<[^.@]+)\.[^.@]+@")
# A file is written when it is sent, by a clock that is not the database's.
NEAR: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it was written."""

    subject: str
    sender: str
    to: str
    date: str
    body: str
    file: str


def letters_of(deliveries: Sequence[Delivery]) -> list[Letter]:
    """Return the mails of some deliveries; none unless mails are written to files."""
    folder = getattr(settings, "EMAIL_FILE_PATH", None)
    if not folder or settings.EMAIL_BACKEND != BACKEND:
        return []
    sent = {f"<{each.message_id}@policyhub>": each.sent_at for each in deliveries}
    moments = [moment for moment in sent.values() if moment is not None]
    if not moments:
        return []
    files = _near(Path(folder), moments)
    return [
        _letter(message, path)
        for path in files
        for message in _messages(path)
        if _NAME.sub(r"\1@", str(message["Message-ID"])) in sent
    ]


def _near(folder: Path, moments: Iterable[datetime]) -> list[Path]:
    """Return the newest files that were written about one of the moments."""
    wanted = list(moments)
    dated = [
        (datetime.fromtimestamp(path.stat().st_mtime, UTC), path)
        for path in folder.glob("*.log")
    ]
    near = [
        (written, path)
        for written, path in dated
        if any(abs(written - moment) <= NEAR for moment in wanted)
    ]
    return [path for _, path in sorted(near, reverse=True)[:MAX_FILES]]


def _messages(path: Path) -> Iterator[EmailMessage]:
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES)
    for part in raw.split(RULE):
        if part.strip():
            yield email.message_from_bytes(part.lstrip(), policy=email.policy.default)


def _letter(message: EmailMessage, path: Path) -> Letter:
    body = message.get_body(("plain",))
    return Letter(
        subject=str(message["Subject"]),
        sender=str(message["From"]),
        to=str(message["To"]),
        date=str(message["Date"]),
        body="" if body is None else str(body.get_content()).strip(),
        file=path.name,
    )
