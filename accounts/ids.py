"""Public ids: a prefix and a UUIDv7 in 26 characters of Crockford's base32.

Pure: no clock, no I/O. The caller reads the clock and passes it, because the
time inside an id chooses the partition its row lies in: it has to be the moment
that is stored beside it.

Ids that one process makes for one millisecond ascend, so that lists show what was
made together in the order in which it was made. After the milliseconds stand a number
of 34 bits and 40 random bits (RFC 9562 §6.2, method 1). The number is the count of the
ids made by the process, added to a beginning that belongs to the millisecond and that
no one else can compute: two ids do not tell how many others were made between them.

The text form follows TypeID (https://github.com/jetify-com/typeid): 128 bits,
left-padded to 130, so the first character is never above `7` and one UUID has
exactly one spelling.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import count
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

# RFC 9562 §5.7: version 7 in bits 76-79, variant 0b10 in bits 62-63. The number has the
# 12 bits between them and the 22 bits below.
_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)
_LAST_NUMBER = (1 << 34) - 1
_LOW_NUMBER = (1 << 22) - 1
_LAST_CHANCE = (1 << 40) - 1

# `next` of the one and `pop` of the other are single steps for every thread.
_made = count()
_chances: list[int] = []
_secret = os.urandom(32)

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


@lru_cache(maxsize=256)
def _beginning(milliseconds: int) -> int:
    # Half of the numbers lie above it: the first 8,589,934,592 ids of a process ascend
    # for certain; of later ones, two neighbours do but for one chance in twice as many.
    moment = milliseconds.to_bytes(6)
    drawn = blake2b(moment, digest_size=5, key=_secret).digest()
    return int.from_bytes(drawn) & (_LAST_NUMBER >> 1)


def _begin_anew() -> None:
    """Share nothing with the process that this one was forked from."""
    global _secret
    _secret = os.urandom(32)
    _beginning.cache_clear()
    _chances.clear()


os.register_at_fork(after_in_child=_begin_anew)


def new_id(now: datetime) -> UUID:
    """A new UUIDv7: the milliseconds of `now`, a number that ascends, and chance.

    Later ones of the same millisecond and process are greater. Raises ValueError for
    a moment before 1970 and TypeError for one without a timezone.
    """
    return next(ids_of(now))


def ids_of(now: datetime) -> Iterator[UUID]:
    """New ids of one moment without end, each made when it is asked for.

    Cheaper than `new_id` for who needs several; each iterator is for one thread.
    """
    milliseconds = _milliseconds(now)
    lead = (milliseconds << 80) | _VERSION_AND_VARIANT
    # The lane makes several for each call: names of its own are found quicker.
    first, made, chances = _beginning(milliseconds), _made, _chances
    while True:
        try:
            chance = chances.pop()
        except IndexError:
            # One question for chance instead of many.
            drawn = memoryview(os.urandom(1_024)).cast("Q")
            chances.extend([each & _LAST_CHANCE for each in drawn])
            continue
        number = first + next(made) & _LAST_NUMBER
        low = (number & _LOW_NUMBER) << 40
        yield UUID(int=lead | number >> 22 << 64 | low | chance)


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
