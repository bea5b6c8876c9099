"""The text of API keys and what a key may do.

Pure but for the system's randomness in `new_key_text`. A key reads
`phk_live_` + 30 random base62 characters (178 bits) + 6 characters of checksum.
The checksum is no secret: it lets a typo be refused without a look-up, and lets
secret scanners tell a real key from a look-alike.

Only `digest` (HMAC-SHA256 under the installation's pepper), `key_prefix` and
`last4` may be stored; the text itself is shown once.
"""

import hmac
import re
import secrets
import string
import zlib
from collections.abc import Collection, Iterable

LABEL = "phk_live_"
RANDOM_LENGTH = 30
CHECKSUM_LENGTH = 6
PREFIX_LENGTH = len(LABEL) + 8
SCANNER_REGEX = r"\bphk_live_[0-9A-Za-z]{36}\b"

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHAPE = re.compile(r"phk_live_([0-9A-Za-z]{30})([0-9A-Za-z]{6})")

EVERYTHING = "*"
SCOPES = frozenset(
    {
        "alerts:read",
        "alerts:write",
        "audit:read",
        "bots:read",
        "bots:write",
        "conversations:read",
        "conversations:write",
        "decide",
        "gateway",
        "keys:read",
        "keys:write",
        "policies:read",
        "policies:write",
        "prices:read",
        "prices:write",
        "projects:read",
        "projects:write",
        "retention:read",
        "retention:write",
        "upstreams:read",
        "upstreams:write",
        "usage:read",
        "usage:write",
        "webhooks:read",
        "webhooks:write",
    }
)


def _checksum(random: str) -> str:
    number = zlib.crc32(random.encode("ascii"))
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def new_key_text() -> str:
    """The text of a new key: a secret."""
    random = "".join(secrets.choice(_BASE62) for _ in range(RANDOM_LENGTH))
    return LABEL + random + _checksum(random)


def well_formed(text: object) -> bool:
    """Whether a text could be a key: its shape and its checksum are right."""
    if not isinstance(text, str):
        return False
    found = _SHAPE.fullmatch(text)
    return found is not None and _checksum(found[1]) == found[2]


def digest(text: str, pepper: bytes) -> str:
    """What is stored of a key, in 64 hexadecimal digits.

    Raises ValueError for an empty pepper: it would make the digest guessable to
    anybody who reads the table.
    """
    if not pepper:
        raise ValueError("the pepper is empty")
    return hmac.digest(pepper, text.encode(), "sha256").hex()


def key_prefix(text: str) -> str:
    """The part of a key that may be shown and searched: `phk_live_` and 8 more."""
    return text[:PREFIX_LENGTH]


def last4(text: str) -> str:
    """The last four characters of a key, which people compare by eye."""
    return text[-4:]


def parse_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Check scopes and put them in order, each once; `*` swallows the others.

    Raises ValueError naming the first one that does not exist.
    """
    wanted = list(scopes)
    for scope in wanted:
        if not isinstance(scope, str) or (scope not in SCOPES and scope != EVERYTHING):
            raise ValueError(f"unknown scope: {scope}")
    if EVERYTHING in wanted:
        return (EVERYTHING,)
    return tuple(sorted(set(wanted)))


def allows(scopes: Collection[str], scope: str) -> bool:
    """Whether a key with these scopes may do what needs `scope`."""
    return scope in scopes or EVERYTHING in scopes
