"""What content policies look for: patterns, terms, and things of known shape.

Patterns that people write run in RE2 only, in linear time; the shapes below are ours,
each bounded, and run in Python's `re`, which is faster on short texts.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from gateway.canonical import canonical_text
from gateway.prefixes import NotUnderstood, beginnings
from gateway.redaction import Found, Span
from policies.patterns import BadPattern, compiled

# No match of a pattern is longer, in canonical characters: it bounds what is held back.
LONGEST: Final = 1_024
UNDECIDED: Final = -1


class _Match(Protocol):
    def start(self) -> int: ...
    def end(self) -> int: ...


class _Pattern(Protocol):
    def search(self, text: str, at: int, /) -> _Match | None: ...
    def match(self, text: str, at: int, /) -> _Match | None: ...
    def finditer(self, text: str, at: int, /) -> Iterator[_Match]: ...


class PatternDetector:
    """Finds the matches of a pattern, from left to right, without overlaps.

    `begun` finds where a match may have begun that goes on beyond the text; None holds
    back `longest` characters. `check` says whether a match is one, `hint` quickly
    whether a text can have one.
    """

    def __init__(
        self,
        label: str,
        pattern: _Pattern,
        begun: _Pattern | None,
        *,
        longest: int = LONGEST,
        check: Callable[[str], bool] | None = None,
        hint: Callable[[str], bool] | None = None,
    ) -> None:
        self._label = label
        self._pattern = pattern
        self._begun = begun
        self._longest = longest
        self._check = check
        self._hint = hint

    def scan(self, text: str, start: int, final: bool) -> Found:
        """See `gateway.redaction.Detector`."""
        spans: list[Span] = []
        at = start
        alive = len(text) if final else self._alive(text, at)
        if self._hint is not None and not self._hint(text):
            return Found(spans, alive)
        matches = self._pattern.finditer(text, at)
        while True:
            found = next(matches, None)
            place = len(text) if found is None else found.start()
            end = 0 if found is None else found.end()
            if alive <= place:
                return Found(spans, alive)
            if end - place > self._longest:
                end, found = self._within(text, place), None
            if end <= place or not self._is_one(text[place:end]):
                end, found = place + 1, None
            else:
                spans.append(Span(place, end, self._label))
            at = end
            if alive < at:
                alive = self._alive(text, at)
            if found is None:
                matches = self._pattern.finditer(text, at)

    def _alive(self, text: str, at: int) -> int:
        """Return where a match may have begun that is not over yet, or the end."""
        at = max(at, len(text) - self._longest)
        if self._begun is None:
            return at
        found = self._begun.search(text, at)
        return len(text) if found is None else found.start()

    def _within(self, text: str, place: int) -> int:
        """Return the end of the match that begins here and is not too long, or 0."""
        before = max(place - 1, 0)
        window = text[before : place + self._longest]
        found = self._pattern.match(window, place - before)
        return 0 if found is None else before + found.end()

    def _is_one(self, text: str) -> bool:
        return self._check is None or self._check(text)


class ShapeDetector:
    """Finds what begins at `first` and what `probe` says is one.

    `probe(text, start, final)` returns the end, 0 if there is none, or UNDECIDED.
    `first` matches one character.
    """

    def __init__(
        self,
        label: str,
        first: re.Pattern[str],
        probe: Callable[[str, int, bool], int],
    ) -> None:
        self._label = label
        self._first = first
        self._probe = probe

    def scan(self, text: str, start: int, final: bool) -> Found:
        """See `gateway.redaction.Detector`."""
        spans: list[Span] = []
        at = start
        while (found := self._first.search(text, at)) is not None:
            place = found.start()
            end = self._probe(text, place, final)
            if end == UNDECIDED:
                return Found(spans, place)
            if end:
                spans.append(Span(place, end, self._label))
            at = end or place + 1
        return Found(spans, len(text))


class TermsDetector:
    """Finds phrases wherever they stand, in any case and form, overlaps included.

    `terms` maps the name a find goes by to the phrase. Raises BadPattern for a phrase
    of which nothing can be seen.
    """

    def __init__(self, kind: str, terms: Mapping[str, str]) -> None:
        self._labels: dict[str, str] = {}
        for name, term in terms.items():
            seen = folded(term)
            if not seen.strip():
                raise BadPattern("has nothing that can be found in a text")
            self._labels.setdefault(seen, f"{kind}:{name}")
        longest = sorted(self._labels, key=len, reverse=True)
        # Looking ahead consumes nothing: each place is asked for its longest phrase.
        self._any = re.compile(f"(?=({'|'.join(map(re.escape, longest))}))")
        self._begun = frozenset(
            each[:end] for each in longest for end in range(1, len(each))
        )
        self._reach = len(longest[0]) - 1

    def scan(self, text: str, start: int, final: bool) -> Found:
        """See `gateway.redaction.Detector`."""
        small = _small(text)
        decided = len(text) if final else self._alive(small, start)
        spans = [
            Span(each.start(), each.end(1), self._labels[each[1]])
            for each in self._any.finditer(small, start)
            if each.start() < decided
        ]
        return Found(spans, decided)

    def _alive(self, text: str, start: int) -> int:
        for at in range(max(start, len(text) - self._reach), len(text)):
            if text[at:] in self._begun:
                return at
        return len(text)


def folded(text: str) -> str:
    """Return a phrase as it is looked for: canonical, in small letters."""
    return _small(canonical_text(text))


def _small(text: str) -> str:
    """Return a text in small letters, of the same length."""
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(each.lower() if len(each.lower()) == 1 else each for each in text)


def shape(
    label: str,
    pattern: str,
    begun: str | None = None,
    *,
    longest: int = LONGEST,
    check: Callable[[str], bool] | None = None,
    hint: Callable[[str], bool] | None = None,
) -> PatternDetector:
    """Return a detector of one of our own shapes, for Python's `re`."""
    begun = beginnings(pattern) if begun is None else begun
    return PatternDetector(
        label,
        re.compile(pattern),
        re.compile(rf"(?=.)(?:{begun})\Z", re.DOTALL),
        longest=longest,
        check=check,
        hint=hint,
    )


def pattern(label: str, source: str) -> PatternDetector:
    """Return a detector of an RE2 pattern; raises BadPattern with the reason."""
    try:
        found = compiled(canonical_text(source))
    except BadPattern:
        # What is left of it says nothing any more; it can still be looked for as is.
        found = compiled(source)
    else:
        source = canonical_text(source)
    try:
        begun = compiled(rf"(?:{beginnings(source)})\z", may_be_empty=True)
    except (NotUnderstood, BadPattern):
        # RE2 knows it, we do not: hold back as much as a match may take.
        begun = None
    return PatternDetector(label, found, begun)
