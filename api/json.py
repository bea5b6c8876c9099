"""Strict JSON: what every parser reads the same way, or nothing."""

import json
import math
import re
from typing import Any, Final, NoReturn

from accounts.errors import BodyTooLarge, MalformedJson, UnsupportedMediaType

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32

_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def loads(data: bytes, *, max_bytes: int = MAX_BYTES) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises BodyTooLarge, and MalformedJson for anything that two readers could
    understand in two ways: duplicate names, NaN, lone surrogates, NUL; and for
    nesting deeper than MAX_DEPTH.
    """
    if len(data) > max_bytes:
        raise BodyTooLarge(f"The body is over {max_bytes // 1024} KB.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedJson("The body is not UTF-8.") from None
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        raise MalformedJson(
            f"{error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except ValueError:
        # Python reads no integer of more than 4,300 digits.
        raise MalformedJson("A number is too long.") from None
    _check_strings(value)
    return value


def check_charset(content_type: str | None) -> None:
    """Raise UnsupportedMediaType for JSON in anything but UTF-8 (RFC 8259, 8.1)."""
    named = _CHARSET.search(content_type or "")
    if named and named[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("Send the body in UTF-8.")


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH:
            raise MalformedJson(f"It is nested deeper than {MAX_DEPTH} levels.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedJson("An object names a member twice.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJson(f"{name} is not JSON.")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise MalformedJson("A number is too large.")
    return number


def _check_strings(value: object) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise MalformedJson("Text contains the NUL character.")
        if _SURROGATE.search(value):
            raise MalformedJson("Text contains half of a surrogate pair.")
    elif isinstance(value, dict):
        for name, each in value.items():
            _check_strings(name)
            _check_strings(each)
    elif isinstance(value, list):
        for each in value:
            _check_strings(each)
