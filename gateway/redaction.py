"""Redaction of a text that arrives in chunks (CONTRACT H4).

The contract of this module: for every text, rules and chunking, what leaves the stream
is what would leave it if the text came whole; nothing that a rule takes out leaves, in
part or whole; and a character leaves as soon as no rule can still take it out.

A detector looks for one kind of thing. Its verdicts must not depend on how the text was
cut: `scan` says what it found for good, and up to where it has made up its mind. A text
is read in up to three ways at once (as it stands, as JSON source, as JSON source inside
JSON source), since models write secrets with escapes as well.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

from gateway.canonical import Piece, Plain, Unescaped

# Long texts are taken in steps, so that no search runs over all of it again and again.
STEP: Final = 4_096
# What detectors may look back at: enough for a word boundary.
CONTEXT: Final = 4


class Span(NamedTuple):
    """A find in canonical text; `label` says what it is, as `category:card`."""

    start: int
    end: int
    label: str


class Found(NamedTuple):
    """What one scan found, and from where on it is undecided."""

    spans: list[Span]
    decided: int


class Detector(Protocol):
    """Finds one kind of thing in canonical text."""

    def scan(self, text: str, start: int, final: bool) -> Found:
        """Look from `start` on; text before it is only context.

        Each span is for good and begins before `decided`, and all those that begin
        there are named; `final` means that no more text will come.
        """


@dataclass(frozen=True, slots=True)
class Rule:
    """What one content policy looks for, and what it lets pass nevertheless."""

    key: str
    seeks: Sequence[Detector]
    spares: Sequence[Detector] = ()


class Hit(NamedTuple):
    """A rule's find: `start` and `end` are offsets into the original text."""

    start: int
    end: int
    order: int
    rule: str
    label: str


@dataclass(slots=True)
class _Watch:
    """One detector on one reading; `at` is where in the reading it goes on."""

    detector: Detector
    order: int
    rule: str
    spares: bool
    at: int = 0


@dataclass(slots=True)
class _Reading:
    """One way to read the text, and how far each detector has got in it."""

    decoders: list[Unescaped]
    watches: list[_Watch]
    text: str = ""
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def unescaped(self, depth: int) -> "_Reading":
        """Return the same reading, from here on of JSON source so many levels deep."""
        return _Reading(
            decoders=[Unescaped() for _ in range(depth)],
            watches=[replace(each) for each in self.watches],
            text=self.text,
            starts=self.starts.copy(),
            ends=self.ends.copy(),
        )

    def feed(self, piece: Piece, final: bool) -> int | None:
        """Read a piece; return where an escape that is not finished begins."""
        for decoder in self.decoders:
            piece = decoder.feed(piece, final=final)
        self.text += piece.text
        self.starts += piece.starts
        self.ends += piece.ends
        pending = [each.pending for each in self.decoders]
        return min((each for each in pending if each is not None), default=None)

    def look(self, final: bool, report: Callable[[_Watch, int, int, str], None]) -> int:
        """Let every detector go on; return the canonical place all have decided."""
        least = len(self.text)
        for watch in self.watches:
            spans, decided = watch.detector.scan(self.text, watch.at, final)
            for start, end, label in spans:
                report(watch, self.starts[start], self.ends[end - 1], label)
            watch.at = decided
            least = min(least, decided)
        return least

    def forget(self, place: int) -> None:
        """Drop what no detector needs to see again."""
        cut = place - CONTEXT
        if cut <= 0:
            return
        self.text = self.text[cut:]
        del self.starts[:cut]
        del self.ends[:cut]
        for watch in self.watches:
            watch.at -= cut


class Redactor:
    """Takes one text in chunks and gives it back without what rules take out.

    `source` says that the text is JSON source (a tool call's arguments): a mark that
    stands for a bare number is then written as a string. `hits` counts what was taken
    out by (rule, label), `spared` what was let pass, each once and for good.
    """

    def __init__(self, rules: Sequence[Rule], *, source: bool = False) -> None:
        self._plain = Plain()
        self._readings = [_Reading([], _watches(rules))]
        self._raw = ""
        self._done = 0
        self._found: list[Hit] = []
        self._spares: list[Hit] = []
        self._quotes = _Quotes() if source else None
        self.hits: Counter[tuple[str, str]] = Counter()
        self.spared: Counter[tuple[str, str]] = Counter()

    def feed(self, text: str) -> str:
        """Return what may leave now that `text` has arrived."""
        if len(text) <= STEP:
            return self._step(text, final=False)
        return "".join(
            self._step(text[at : at + STEP], final=False)
            for at in range(0, len(text), STEP)
        )

    def close(self) -> str:
        """Return the rest: no more text will come."""
        return self._step("", final=True)

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._raw)

    def _step(self, text: str, *, final: bool) -> str:
        if "\\" in text and len(self._readings) == 1:
            # Until the first backslash all readings are the same.
            for depth in (1, 2):
                self._readings.append(self._readings[0].unescaped(depth))
        self._raw += text
        piece = self._plain.feed(text)
        end = self._done + len(self._raw)
        decided = end
        for reading in self._readings:
            pending = reading.feed(piece, final)
            place = reading.look(final, self._report)
            if place < len(reading.text):
                decided = min(decided, reading.starts[place])
            elif pending is not None:
                decided = min(decided, pending)
            reading.forget(place)
        return self._leave(end if final else decided)

    def _report(self, watch: _Watch, start: int, end: int, label: str) -> None:
        hits = self._spares if watch.spares else self._found
        hits.append(Hit(start, end, watch.order, watch.rule, label))

    def _leave(self, decided: int) -> str:
        """Let go of everything up to a place, or up to what stretches across it."""
        if not self._found:
            return self._cut(decided)
        self._found.sort()
        for hit in reversed(self._found):
            if hit.start < decided < hit.end:
                decided = hit.start
        parts: list[str] = []
        clusters, self._found = _clusters(self._found, self._spares, decided, self)
        for start, end, label in clusters:
            parts += (self._cut(start), self._mark(label))
            self._skip(end)
        parts.append(self._cut(decided))
        self._spares = [each for each in self._spares if each.end > decided]
        return "".join(parts)

    def _cut(self, end: int) -> str:
        text = self._raw[: end - self._done]
        self._skip(end)
        return text

    def _skip(self, end: int) -> None:
        width = max(end - self._done, 0)
        if self._quotes is not None:
            self._quotes.read(self._raw[:width])
        self._raw = self._raw[width:]
        self._done += width

    def _mark(self, label: str) -> str:
        kind, _, name = label.partition(":")
        mark = f"[redacted:{name}]" if kind == "category" else "[redacted]"
        bare = self._quotes is not None and not self._quotes.inside
        return f'"{mark}"' if bare else mark


def _watches(rules: Sequence[Rule]) -> list[_Watch]:
    watches: list[_Watch] = []
    for rule in rules:
        for spares, detectors in ((False, rule.seeks), (True, rule.spares)):
            for detector in detectors:
                watches.append(_Watch(detector, len(watches), rule.key, spares))
    return watches


def _clusters(
    found: list[Hit], spares: list[Hit], decided: int, redactor: Redactor
) -> tuple[list[tuple[int, int, str]], list[Hit]]:
    """Return what to take out before a place, overlaps merged, and what is left."""
    clusters: list[tuple[int, int, str]] = []
    later: list[Hit] = []
    for hit in dict.fromkeys(found):
        if hit.start >= decided:
            later.append(hit)
            continue
        spare = next((each for each in spares if _covers(each, hit)), None)
        if spare is not None:
            redactor.spared[spare.rule, spare.label] += 1
            continue
        redactor.hits[hit.rule, hit.label] += 1
        if clusters and hit.start < clusters[-1][1]:
            start, end, label = clusters[-1]
            clusters[-1] = (start, max(end, hit.end), label)
        else:
            clusters.append((hit.start, hit.end, hit.label))
    return clusters, later


def _covers(spare: Hit, hit: Hit) -> bool:
    return spare.rule == hit.rule and spare.start <= hit.start and hit.end <= spare.end


class _Quotes:
    """Follows JSON source: is the next character inside a string?"""

    def __init__(self) -> None:
        self.inside = False
        self._escaped = False

    def read(self, text: str) -> None:
        for character in text:
            if self._escaped:
                self._escaped = False
            elif character == "\\":
                self._escaped = self.inside
            elif character == '"':
                self.inside = not self.inside
