"""Signatures of Standard Webhooks (standardwebhooks.com), by its own library."""

import base64
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from standardwebhooks import Webhook as Signer

_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Return a new signing secret: `whsec_` and 32 random bytes in base64."""
    text = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")
    return f"whsec_{text}"


def signed_headers(
    *, message_id: str, body: str, at: datetime, signing: Iterable[str]
) -> dict[str, str]:
    """Return the headers of a message sent `at`; one signature for each secret."""
    signatures = (Signer(secret).sign(message_id, at, body) for secret in signing)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
