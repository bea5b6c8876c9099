"""Entries of allow and deny lists: phrases, and patterns that run in RE2 only.

An entry that uses RE2's syntax is a pattern: a class (`\\d`, `[a-z]`), a repeated or
anchored part (`.*`, `(ab)+`, `^x`), a special group (`(?i)`). `re:` in front says that
an entry is a pattern, `term:` that it is a phrase, whatever it looks like.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import re2

from accounts.errors import FieldError, InvalidBody

# Memory of one compiled pattern, bytes.
MAX_MEMORY: Final = 8 << 20
_LOOKS_LIKE_ONE: Final = re.compile(
    r"\\[AbBdDpPQsSwWxz.]|\[[^\]]+\]|\(\?|[.)\]][*+?{]|\.\*|\w\{\d+,?\d*\}|^\^|\$$"
    r"|^\(.+\|.+\)"
)


class BadPattern(ValueError):
    """A pattern that RE2 refuses, or that matches nothing at all; says why."""


class Entry(NamedTuple):
    """An entry of a list: `text` is a phrase, or a pattern's source."""

    text: str
    is_pattern: bool


def entry(written: str) -> Entry:
    """Return what an entry of an allow or deny list means."""
    if written.startswith("re:"):
        return Entry(written[3:], is_pattern=True)
    if written.startswith("term:"):
        return Entry(written[5:], is_pattern=False)
    return Entry(written, _LOOKS_LIKE_ONE.search(written) is not None)


def compiled(source: str, *, may_be_empty: bool = False) -> Any:
    """Return a pattern compiled by RE2, which never takes more than linear time.

    Raises BadPattern for what RE2 refuses (look-around, back-references, counts over
    1,000), and for a pattern that matches an empty text unless it may.
    """
    pattern = _compiled(source)
    for text in () if may_be_empty else ("", "a", " "):
        found = pattern.search(text)
        if found is not None and found.end() == found.start():
            raise BadPattern("matches nothing at all")
    return pattern


def _compiled(source: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    try:
        return re2.compile(source, options=options)
    except re2.error as error:
        said = error.args[0] if error.args else "it is bad"
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise BadPattern(f"is not a pattern of RE2: {text}") from None


def refuse_bad_patterns(document: Mapping[str, Any]) -> None:
    """Raise InvalidBody with a pointer to each entry that cannot be looked for."""
    problems: list[FieldError] = []
    for name in ("allowlist", "denylist"):
        for index, written in enumerate(document.get("content", {}).get(name, ())):
            detail = _wrong(*entry(written))
            if detail:
                pointer = f"/content/{name}/{index}"
                problems.append({"pointer": pointer, "detail": detail})
    if problems:
        raise InvalidBody(errors=problems)


def _wrong(text: str, is_pattern: bool) -> str:
    if not is_pattern:
        return "" if text.strip() else "has nothing that can be found in a text"
    try:
        compiled(text)
    except BadPattern as error:
        return str(error)
    return ""
