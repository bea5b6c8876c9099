"""Secrets at rest: sealed with keys that can be rotated (DESIGN §6).

The keys are the setting `POLICYHUB_ENCRYPTION_KEYS`, newest first. The first one seals;
all of them open.
"""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unopenable(Exception):
    """None of the installation's keys opens it."""


def seal(text: str) -> str:
    """Return a secret as it may be stored."""
    return _box().encrypt(text.encode()).decode("ascii")


def unseal(sealed: str) -> str:
    """Return the secret that was sealed. Raises Unopenable."""
    try:
        return _box().decrypt(sealed.encode("ascii")).decode()
    except (InvalidToken, UnicodeError) as error:
        raise Unopenable("sealed with a key that is not in the settings") from error


def reseal(sealed: str) -> str:
    """Return the same secret, sealed with the newest key. Raises Unopenable."""
    return seal(unseal(sealed))


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.POLICYHUB_ENCRYPTION_KEYS])
