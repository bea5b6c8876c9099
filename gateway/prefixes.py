"""The pattern of everything that may still become a match (CONTRACT H4).

A stream can let go of a text as soon as no end of it can be the beginning of a
match. For a pattern P this module writes the pattern of all beginnings of P's matches;
anchored at the end of what has been read, it says from where on to hold a text back.

It understands the syntax of RE2 (https://github.com/google/re2/wiki/Syntax), which
Python's `re` shares. Parts that it need not understand stay as they are written.
"""

import re
from dataclasses import dataclass
from typing import Final

# Beginnings repeat a group once for each group around it; beyond this length a fixed
# number of characters is held back instead.
MAX_LENGTH: Final = 60_000
MAX_DEPTH: Final = 100

_CLASS: Final = re.compile(
    r"\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL | re.ASCII
)
_ESCAPE: Final = re.compile(
    r"\\(?:x\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{2}|[pP]\{\^?\w+\}|[pP]\w|[0-7]{1,3}|.)",
    re.DOTALL | re.ASCII,
)
_QUANTIFIER: Final = re.compile(r"(?:([*+?])|\{(\d+)(,?)(\d*)\})(\??)", re.ASCII)
_GROUP: Final = re.compile(r"\((?:\?P?<\w+>|\?([a-zA-Z]*(?:-[a-zA-Z]+)?)([:)]))?")
# Python's, of one character: what is behind or ahead is no part of a match.
_AROUND: Final = re.compile(r"\(\?<?[=!]")
_LITERAL: Final = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.DOTALL)
_ASSERTIONS: Final = frozenset(("^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z"))


class NotUnderstood(ValueError):
    """A pattern uses what has no beginnings that can be written down here."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One part of a sequence: `source` matches it, `begun` its beginnings.

    A `flag` changes how the rest is read, an `assertion` takes no text.
    """

    source: str
    begun: str = ""
    kind: str = "text"


def beginnings(pattern: str) -> str:
    """Return a pattern for every beginning of a match of `pattern`, also none.

    Raises NotUnderstood if the pattern cannot be taken apart, or it gets too long.
    """
    if _depth(pattern) > MAX_DEPTH:
        raise NotUnderstood(pattern)
    _, begun, end = _alternatives(pattern, 0)
    if end != len(pattern):
        raise NotUnderstood(pattern)
    if len(begun) > MAX_LENGTH:
        raise NotUnderstood(pattern)
    return begun


def _depth(pattern: str) -> int:
    """Return how deep groups are nested, or more if brackets stand for themselves."""
    depth = deepest = 0
    for character in pattern:
        depth += {"(": 1, ")": -1}.get(character, 0)
        deepest = max(deepest, depth)
    return deepest


def _alternatives(pattern: str, at: int) -> tuple[str, str, int]:
    """Return source and beginnings of what stands up to a `)` or the end."""
    sources: list[str] = []
    begun: list[str] = []
    # A flag in one alternative holds for those after it.
    flags = ""
    while True:
        items, at = _sequence(pattern, at)
        sources.append(flags + "".join(each.source for each in items))
        begun.append(flags + _begun(items))
        flags += "".join(each.source for each in items if each.kind == "flag")
        if at >= len(pattern) or pattern[at] == ")":
            return "|".join(sources), "|".join(begun), at
        at += 1


def _sequence(pattern: str, at: int) -> tuple[list[_Item], int]:
    items: list[_Item] = []
    while at < len(pattern) and pattern[at] not in "|)":
        literal = _LITERAL.match(pattern, at)
        if literal is not None:
            at = literal.end()
            if not literal[1]:
                continue
            *before, item = (_Item(re.escape(each)) for each in literal[1])
            items += before
        else:
            item, at = _atom(pattern, at)
        quantifier = _QUANTIFIER.match(pattern, at)
        if quantifier is not None and item.kind == "text":
            item = _repeated(item, quantifier)
            at = quantifier.end()
        items.append(item)
    return items, at


def _atom(pattern: str, at: int) -> tuple[_Item, int]:
    character = pattern[at]
    if character == "(":
        return _group(pattern, at)
    found = {"[": _CLASS, "\\": _ESCAPE}.get(character)
    if found is None:
        kind = "assertion" if character in _ASSERTIONS else "text"
        return _Item(character, kind=kind), at + 1
    match = found.match(pattern, at)
    if match is None:
        raise NotUnderstood(pattern)
    kind = "assertion" if match[0] in _ASSERTIONS else "text"
    return _Item(match[0], kind=kind), match.end()


def _group(pattern: str, at: int) -> tuple[_Item, int]:
    around = _AROUND.match(pattern, at)
    if around is not None:
        _, _, end = _alternatives(pattern, around.end())
        return _Item(pattern[at : end + 1], kind="assertion"), end + 1
    opening = _GROUP.match(pattern, at)
    if opening is None or (pattern.startswith("(?", at) and opening[0] == "("):
        raise NotUnderstood(pattern)
    if opening[2] == ")":
        return _Item(opening[0], kind="flag"), opening.end()
    source, begun, end = _alternatives(pattern, opening.end())
    if end >= len(pattern):
        raise NotUnderstood(pattern)
    # Nobody asks for what a group has caught.
    head = opening[0] if opening[2] == ":" else "(?:"
    return _Item(f"{head}{source})", f"{head}{begun})"), end + 1


def _repeated(item: _Item, quantifier: re.Match[str]) -> _Item:
    """Return an item with its quantifier: whole turns, then the beginning of one."""
    sign, least, comma, most, _ = quantifier.groups()
    if sign is not None:
        turns = {"*": "*", "+": "*", "?": ""}[sign]
    elif comma and not most:
        turns = "*"
    else:
        count = int(most or least)
        turns = f"{{0,{count - 1}}}" if count > 1 else ""
    whole = item.source + turns if turns else ""
    return _Item(item.source + quantifier[0], f"{whole}(?:{_some(item)})")


def _some(item: _Item) -> str:
    return item.begun or f"{item.source}?"


def _begun(items: list[_Item]) -> str:
    rest = ""
    for item in reversed(items):
        if item.kind == "flag":
            rest = item.source + rest
        elif item.kind == "assertion" or not item.begun:
            rest = f"(?:{item.source}{rest})?"
        else:
            rest = f"(?:{item.source}(?:{rest})|{item.begun})"
    return rest
