"""Where content policies touch a call: its prompt, and each text of its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.protocol import Asked
from policies.decision_types import Finding


@dataclass(frozen=True, slots=True)
class Verdict:
    """What content policies found: no text, only whose rules and which categories."""

    findings: Sequence[Finding] = ()
    triggered_categories: Sequence[str] = ()
    allowlist_hits: Sequence[str] = ()
    denylist_hits: Sequence[str] = ()


NOTHING = Verdict()


class TextFilter(Protocol):
    """One text of an answer that arrives in pieces."""

    def feed(self, text: str) -> str:
        """Take a piece; return what can leave now."""
        ...

    def flush(self) -> str:
        """Return what is left when the text has ended."""
        ...


class Filters(Protocol):
    """The content policies that apply to one call."""

    @property
    def reads_answers(self) -> bool:
        """Whether texts of the answer have to pass through `text`."""
        ...

    @property
    def denies_answer(self) -> bool:
        """Whether nothing more of the answer may be passed on."""
        ...

    def prompt(self, asked: Asked) -> tuple[dict[str, Any], Verdict]:
        """Return the body with what must not go out removed, and what was found."""
        ...

    def text(self, *, source: bool = False) -> TextFilter:
        """Return a filter for one text of the answer; `source` if it is JSON."""
        ...

    def answer(self) -> Verdict:
        """Return what was found in the answer so far."""
        ...


class PassThrough:
    """No policy reads this call."""

    reads_answers = False
    denies_answer = False

    def prompt(self, asked: Asked) -> tuple[dict[str, Any], Verdict]:
        """Return the body as it is."""
        return asked.body, NOTHING

    def text(self, *, source: bool = False) -> TextFilter:
        """Return a filter that lets everything pass."""
        return _Open()

    def answer(self) -> Verdict:
        """Return nothing."""
        return NOTHING


class _Open:
    def feed(self, text: str) -> str:
        return text

    def flush(self) -> str:
        return ""


PASS = PassThrough()
