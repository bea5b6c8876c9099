"""What services said in English, in the language of whoever reads it.

Services answer programs, and write rows that programs read, so their sentences are
English (CONTRACT G1). Where a person reads one, on a page or in a mail, `say` finds it
in the phrasebook and says it anew; a text that is in none stays as it is. So rows that
are years old are read in a language that came last week.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from django.utils.formats import number_format
from django.utils.translation import get_language, gettext, ngettext

from accounts.phrasebook import INSIDE, PHRASES, TARGETS, UNITS

_FIELD = re.compile(r"%\((\w+)\)s")
# What a field may hold, by the first word of its name; else anything.
_SHAPES: Final[Mapping[str, str]] = {
    "number": r"\$?\d[\d,]*(?:\.\d+)?",
    "span": r"\d+ (?:d|h|min|s)(?: \d+ (?:h|min|s))?",
    "unit": "|".join(sorted((form for each in UNITS for form in each), reverse=True)),
    "moment": r"\d{4}-\d\d-\d\d \d\d:\d\d UTC",
    "id": r"[a-z]{3}_[0-9a-z]{26}",
}
_MOST: Final = 2_000


def say(text: str) -> str:
    """Return a service's text as the reader of the page or mail reads it."""
    language = get_language()
    if not text or language is None or language.partition("-")[0] == "en":
        return text
    return _said(text, language)


# The language is a part of the cache's key alone.
@lru_cache(maxsize=4_096)
def _said(text: str, language: str) -> str:
    return _translated(text, 0)


def _translated(text: str, depth: int) -> str:
    if text in _plain():
        return gettext(text)
    if len(text) <= _MOST and depth < 6:
        for phrase, pattern in _patterns():
            found = pattern.fullmatch(text)
            if found is not None:
                return gettext(phrase) % {
                    name: _value(name, value, depth)
                    for name, value in found.groupdict().items()
                }
    return text


def _value(name: str, value: str, depth: int) -> str:
    if name in INSIDE:
        return _translated(value, depth + 1)
    kind = name.partition("_")[0]
    if kind == "number":
        return _number(value)
    if kind == "unit":
        return _unit(value)
    return gettext(value) if kind == "target" and value in TARGETS else value


def _number(text: str) -> str:
    """Write `1,234.50` or `$20` with the reader's own signs."""
    digits = text.removeprefix("$").replace(",", "")
    places = len(digits.partition(".")[2])
    number = str(number_format(digits, places or None, force_grouping=True))
    return gettext("$%(amount)s") % {"amount": number} if text[0] == "$" else number


def _unit(word: str) -> str:
    for one, many in UNITS:
        if word in (one, many):
            return ngettext(one, many, 1 if word == one else 2)
    return word


@lru_cache(maxsize=1)
def _plain() -> frozenset[str]:
    return frozenset(each for each in PHRASES if not _FIELD.search(each))


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (each, re.compile("".join(_parts(each)), re.DOTALL))
        for each in PHRASES
        if _FIELD.search(each)
    )


def _parts(phrase: str) -> Iterator[str]:
    at = 0
    for field in _FIELD.finditer(phrase):
        yield re.escape(phrase[at : field.start()])
        shape = _SHAPES.get(field[1].partition("_")[0], ".+")
        yield f"(?P<{field[1]}>{shape})"
        at = field.end()
    yield re.escape(phrase[at:])
