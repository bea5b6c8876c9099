"""What an `Idempotency-Key` may look like (CONTRACT G5)."""

from typing import Final

from accounts.errors import DomainError

_LONGEST: Final = 255


class InvalidIdempotencyKey(DomainError):
    """The header is not a key of 1 to 255 printable characters."""

    status, code = 400, "invalid_idempotency_key"
    title = "Idempotency-Key takes 1 to 255 printable ASCII characters."


def checked_key(key: str) -> str:
    """Return a header's value. Raises InvalidIdempotencyKey."""
    if not 1 <= len(key) <= _LONGEST or not (key.isascii() and key.isprintable()):
        raise InvalidIdempotencyKey
    return key
