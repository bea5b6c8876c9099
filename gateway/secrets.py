"""Upstreams' secrets at rest: encrypted with the installation's keys, newest first."""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class UnreadableSecret(Exception):
    """No key of this installation opens the secret."""


def seal(secret: str) -> str:
    """Return a secret as it is stored; empty stays empty."""
    return _box().encrypt(secret.encode()).decode("ascii") if secret else ""


def unseal(stored: str) -> str:
    """Return a stored secret. Raises UnreadableSecret."""
    if not stored:
        return ""
    try:
        return _box().decrypt(stored.encode("ascii")).decode()
    except (InvalidToken, UnicodeError) as error:
        raise UnreadableSecret from error


def renew(stored: str) -> str:
    """Return a stored secret under the newest key. Raises UnreadableSecret."""
    return seal(unseal(stored))


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.POLICYHUB_ENCRYPTION_KEYS])
