"""Text as a detector reads it: what looks the same is the same (CONTRACT H4).

Each character is read for itself, so that the result does not depend on how a text is
cut into chunks: compatibility forms become plain ones (Unicode's NFKD), accents and
invisible characters vanish, every dash is a hyphen, every decimal digit is 0 to 9. A
reader of JSON source reads `\\u0040` as what it stands for.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

# What most text consists of: read as it stands.
_COMMON: Final = re.compile(r"[\t\n\r -~]*")
# Accents of Latin, Greek and Cyrillic, and signs of other categories that show
# nothing (Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties).
_UNSEEN: Final = re.compile(
    "[\u0300-\u036f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f"
    "\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_ESCAPES: Final = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}
_PARTIAL: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_HEX: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


class Piece(NamedTuple):
    """Canonical `text`; `starts` and `ends` say where each character came from.

    They are offsets into the whole of what was fed, in characters.
    """

    text: str
    starts: list[int]
    ends: list[int]


@lru_cache(maxsize=65_536)
def canonical(character: str) -> str:
    """Return how one character is read: nothing, itself, or what it stands for."""
    if _COMMON.fullmatch(character):
        return character
    return "".join(_plain(each) for each in unicodedata.normalize("NFKD", character))


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Cf") or _UNSEEN.match(character):
        return ""
    if category == "Pd":
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Zs":
        return " "
    return "\ufffd" if category == "Cs" else character


def canonical_text(text: str) -> str:
    """Return the canonical form of a whole text, without where it came from."""
    return text if _COMMON.fullmatch(text) else "".join(map(canonical, text))


class Plain:
    """Reads characters as they stand."""

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset

    def feed(self, text: str) -> Piece:
        """Return the canonical form of the next chunk."""
        start = self._offset
        self._offset = end = start + len(text)
        if _COMMON.fullmatch(text):
            return Piece(text, list(range(start, end)), list(range(start + 1, end + 1)))
        parts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        for at, character in enumerate(text, start):
            read = canonical(character)
            parts.append(read)
            starts.extend([at] * len(read))
            ends.extend([at + 1] * len(read))
        return Piece("".join(parts), starts, ends)


class Unescaped:
    """Reads JSON source: an escape is the character it stands for.

    What it is fed are pieces, so that one reader can read what another has read. A
    piece that ends inside an escape is continued by the next one; `pending` is where
    in the original such an unfinished escape begins, or None.
    """

    def __init__(self) -> None:
        self._rest = Piece("", [], [])

    @property
    def pending(self) -> int | None:
        """Where in the original an unfinished escape begins."""
        return self._rest.starts[0] if self._rest.text else None

    def feed(self, piece: Piece, *, final: bool = False) -> Piece:
        """Return what the next piece says; `final` leaves nothing pending."""
        text = self._rest.text + piece.text
        starts = self._rest.starts + piece.starts
        ends = self._rest.ends + piece.ends
        if "\\" not in text:
            self._rest = Piece("", [], [])
            return Piece(text, starts, ends)
        read = Piece("", [], [])
        parts: list[str] = []
        at = 0
        while at < len(text):
            character, width = _unit(text, at, final)
            if not width:
                break
            parts.append(character)
            read.starts.extend([starts[at]] * len(character))
            read.ends.extend([ends[at + width - 1]] * len(character))
            at += width
        self._rest = Piece(text[at:], starts[at:], ends[at:])
        return read._replace(text="".join(parts))


def _unit(text: str, at: int, final: bool) -> tuple[str, int]:
    """Return the character at a place and how many it takes; 0 if it may go on."""
    if text[at] != "\\":
        return text[at], 1
    found = _HEX.match(text, at)
    if found is None:
        partial = _PARTIAL.match(text, at)
        if partial is not None and partial.end() == len(text) and not final:
            return "", 0
        named = _ESCAPES.get(text[at + 1 : at + 2])
        return (named, 2) if named is not None else ("\\", 1)
    code = int(found[1], 16)
    if not 0xD800 <= code < 0xDC00:
        return canonical(chr(code)), 6
    low = _HEX.match(text, at + 6)
    if low is not None and 0xDC00 <= int(low[1], 16) < 0xE000:
        code = 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        return canonical(chr(code)), 12
    rest = text[at + 6 :]
    partial = _PARTIAL.fullmatch(rest)
    if (not rest or partial is not None) and not final:
        return "", 0
    return "\ufffd", 6
