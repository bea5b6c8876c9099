"""Public ids: a prefix and a UUIDv7 in 26 characters of Crockford's base32.

Pure: no clock, no I/O. The caller reads the clock and passes it, because the
time inside an id chooses the partition its row lies in: it has to be the moment
that is stored beside it.

The text form follows TypeID (https://github.com/jetify-com/typeid): 128 bits,
left-padded to 130, so the first character is never above `7` and one UUID has
exactly one spelling.
"""

import os
import re
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from uuid import UUID

PREFIXES = MappingProxyType(
    {
        "account": "acc",
        "adjustment": "adj",
        "alert": "alr",
        "block": "blk",
        "bot": "bot",
        "change": "chg",
        "conversation": "cnv",
        "decision": "dec",
        "delivery": "dlv",
        "event": "evt",
        "hold": "hld",
        "key": "key",
        "member": "mem",
        "message": "msg",
        "person": "per",
        "policy": "pol",
        "project": "prj",
        "reservation": "res",
        "revision": "rev",
        "run": "run",
        "webhook": "whk",
    }
)

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST_MILLISECOND = (1 << 48) - 1

# RFC 9562 §5.7: version 7 in bits 76-79, variant 0b10 in bits 62-63.
_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)
_RANDOM_BITS = (((1 << 12) - 1) << 64) | ((1 << 62) - 1)

# Two characters at a time halve the work of the encoder.
_PAIRS = tuple(high + low for high in ALPHABET for low in ALPHABET)
_LOW_BITS = (1 << 70) - 1

# Python's own base 32 runs 0-9a-v and is decoded in C.
_TO_PYTHON = str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_BODY = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")


class InvalidId(ValueError):
    """The text is not the public id of such a thing."""


def _milliseconds(moment: datetime) -> int:
    count = (moment - _EPOCH) // _MILLISECOND
    if not 0 <= count <= _LAST_MILLISECOND:
        raise ValueError("an id's moment lies in 1970 or later")
    return count


def new_id(now: datetime) -> UUID:
    """A new UUIDv7: the milliseconds of `now`, then 74 random bits.

    Ids of one millisecond are in no particular order. Raises ValueError for a
    moment before 1970 and TypeError for one without a timezone.
    """
    random = int.from_bytes(os.urandom(10), "big") & _RANDOM_BITS
    return UUID(int=(_milliseconds(now) << 80) | _VERSION_AND_VARIANT | random)


def new_ids(now: datetime, count: int) -> list[UUID]:
    """As many new ids of one moment: one question for chance instead of many."""
    chance = os.urandom(10 * count)
    lead = (_milliseconds(now) << 80) | _VERSION_AND_VARIANT
    return [
        UUID(int=lead | int.from_bytes(chance[at : at + 10], "big") & _RANDOM_BITS)
        for at in range(0, 10 * count, 10)
    ]


def first_id_at(moment: datetime) -> UUID:
    """The bound below every id of the moment's millisecond; itself never given."""
    return UUID(int=_milliseconds(moment) << 80)


def time_of(value: UUID) -> datetime:
    """The moment inside an id, in UTC, to the millisecond.

    Raises ValueError when it lies beyond the year 9999 (no id of ours does).
    """
    try:
        return _EPOCH + timedelta(milliseconds=value.int >> 80)
    except OverflowError:
        raise ValueError("the id carries no time") from None


def encode_id(prefix: str, value: UUID) -> str:
    """The public form of an id, such as `bot_01jd5x…`."""
    # Written out, and on halves that a machine word holds: each call shows several.
    number, pairs = value.int, _PAIRS
    high, low = number >> 70, number & _LOW_BITS
    middle, low = low >> 30, low & 0x3FFFFFFF
    return (
        f"{prefix}_{pairs[high >> 50]}{pairs[high >> 40 & 1023]}"
        f"{pairs[high >> 30 & 1023]}{pairs[high >> 20 & 1023]}"
        f"{pairs[high >> 10 & 1023]}{pairs[high & 1023]}"
        f"{pairs[middle >> 30]}{pairs[middle >> 20 & 1023]}"
        f"{pairs[middle >> 10 & 1023]}{pairs[middle & 1023]}"
        f"{pairs[low >> 20]}{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )


def decode_id(prefix: str, text: str) -> UUID:
    """The UUID behind a public id; the exact inverse of `encode_id`.

    Raises InvalidId for another prefix, another length, capitals, or characters
    that the alphabet leaves out.
    """
    if not isinstance(text, str) or not text.startswith(prefix + "_"):
        raise InvalidId(f"not an id that starts with {prefix}_")
    body = text[len(prefix) + 1 :]
    if _BODY.fullmatch(body) is None:
        raise InvalidId(f"not a well-formed {prefix}_ id")
    return UUID(int=int(body.translate(_TO_PYTHON), 32))
