"""How many tokens a text has, roughly: for holds, and where an upstream says nothing.

Pure. No tokenizer of a provider is asked: theirs differ from model to model and this
count only has to be bounded, quick and additive. A word of up to six letters is one
token, as is a sign of punctuation, a run of spaces and a character of any other
script. What an upstream reports always wins over it (CONTRACT H3).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_TOKEN: Final = re.compile(r" ?[0-9A-Za-z_]{1,6}| ?[^\s0-9A-Za-z_]|\s+")
# Longer texts are measured, not read: reading two megabytes would hold everybody up.
_READ_MAX: Final = 2_048
_BYTES_A_TOKEN: Final = 4
# What providers add for each message and for the start of the answer.
_A_MESSAGE: Final = 3
_THE_ANSWER: Final = 3
# A picture or a sound is not read; this is what a large picture costs at most places.
_A_PART: Final = 1_000


def count(text: str) -> int:
    """Return the tokens of a text."""
    return len(_TOKEN.findall(text))


def pieces(text: str) -> list[str]:
    """Return a text's tokens; together they are the text."""
    return _TOKEN.findall(text)


def estimate(text: str) -> int:
    """Return the tokens of a text that may be long."""
    if len(text) <= _READ_MAX:
        return count(text)
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)


def of_messages(messages: Sequence[Any]) -> int:
    """Return the tokens of a chat's messages."""
    total = _THE_ANSWER
    for message in messages:
        total += _A_MESSAGE
        for name, value in message.items():
            total += 0 if name == "role" else of_value(value)
    return total


def of_value(value: Any) -> int:
    """Return the tokens of whatever a request may carry: texts, parts, tools."""
    if isinstance(value, str):
        return estimate(value)
    if isinstance(value, Mapping):
        if value.get("type") in _NOT_TEXT:
            return _A_PART
        return sum(of_value(inner) for inner in value.values())
    if isinstance(value, list):
        return sum(of_value(inner) for inner in value)
    return 0 if value is None else 1


_NOT_TEXT: Final = frozenset({"image_url", "input_audio", "file"})
