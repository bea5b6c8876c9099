"""Costs: decimal US dollars outside, whole micro-dollars inside."""

import re
from decimal import Decimal
from typing import Final

MAX_INTEGER: Final = 2**53 - 1
MICROS: Final = 1_000_000

_PLACES = 6
_PLAIN_DECIMAL = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?", re.ASCII)
# The largest cost has ten digits before the point; a little room makes the message
# "too large" rather than "not a number", and keeps huge exponents from being spelled.
_MOST_DIGITS = 40


def cost_to_micros(value: object) -> int:
    """Return decimal US dollars (text or number) as whole micro-dollars.

    Raises ValueError if the value is not a plain non-negative decimal, has more than
    six decimal places, or is larger than 2**53 - 1 micro-dollars.
    """
    whole, _, places = _plain_text(value).partition(".")
    places = places.rstrip("0")
    if len(places) > _PLACES:
        raise ValueError("must have at most 6 decimal places")
    micros = int(whole) * MICROS + int(places.ljust(_PLACES, "0"))
    if micros > MAX_INTEGER:
        raise ValueError(f"must be at most {micros_to_cost(MAX_INTEGER)}")
    return micros


def micros_to_cost(micros: int) -> str:
    """Return whole micro-dollars as decimal text: `12.5`, `0`, `0.000001`."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    places = f"{rest:06d}".rstrip("0")
    return f"{sign}{whole}.{places}" if places else f"{sign}{whole}"


def _plain_text(value: object) -> str:
    if isinstance(value, str):
        if not _PLAIN_DECIMAL.fullmatch(value):
            raise ValueError('must be a decimal amount of US dollars such as "12.50"')
        return value
    if type(value) is int:
        if not 0 <= value <= MAX_INTEGER:
            raise ValueError("must be an amount of 0 or more, and not huge")
        return str(value)
    if isinstance(value, float):
        # str gives the shortest text that reads back as the same float: 0.1, not
        # 0.1000000000000000055…
        return _spelled_out(Decimal(str(value)))
    if isinstance(value, Decimal):
        return _spelled_out(value)
    raise ValueError("must be an amount of US dollars (decimal text or a number)")


def _spelled_out(number: Decimal) -> str:
    if not number.is_finite():
        raise ValueError("must be a finite amount of US dollars")
    if number.is_zero():
        return "0"
    if number < 0 or number.adjusted() > _MOST_DIGITS:
        raise ValueError("must be an amount of 0 or more, and not huge")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_MOST_DIGITS:
        raise ValueError("must have at most 6 decimal places")
    return format(number, "f")
