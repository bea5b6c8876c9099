"""Check single JSON values and gather all that is wrong with them.

Values are never quoted in a problem: they may be huge, deeply nested or private.
"""

from collections.abc import Mapping
from typing import Any, Final

from policies.money import MAX_INTEGER, cost_to_micros, micros_to_cost
from policies.rule_types import Problem

# A body of nothing but mistakes still gets a short answer.
MAX_PROBLEMS: Final = 100


def pointer_to(parent: str, key: object) -> str:
    """Return the JSON pointer of a member, escaped and cut to a sane length."""
    name = str(key)[:100].encode("utf-8", "replace").decode()
    return f"{parent}/{name.replace('~', '~0').replace('/', '~1')}"


class Reader:
    """Checks single values and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def problem(self, pointer: str, detail: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(pointer, detail))

    def mapping(self, value: object, pointer: str) -> dict[str, Any] | None:
        if isinstance(value, dict):
            return value
        self.problem(pointer, "must be an object")
        return None

    def only(
        self, fields: Mapping[str, Any], known: tuple[str, ...], pointer: str
    ) -> None:
        for name in fields:
            if name not in known:
                self.problem(pointer_to(pointer, name), "is not a known field")

    def required(self, fields: Mapping[str, Any], name: str, pointer: str) -> bool:
        if name in fields:
            return True
        self.problem(f"{pointer}/{name}", "is required")
        return False

    def array(self, value: object, pointer: str, *, most: int) -> list[Any]:
        if not isinstance(value, list):
            self.problem(pointer, "must be an array")
            return []
        if len(value) > most:
            self.problem(pointer, f"must have at most {most} entries")
            return []
        return value

    def choice(self, value: object, pointer: str, choices: tuple[str, ...]) -> str:
        if isinstance(value, str) and value in choices:
            return value
        self.problem(pointer, f"must be one of: {', '.join(choices)}")
        return choices[0]

    def integer(
        self, value: object, pointer: str, *, least: int = 0, most: int = MAX_INTEGER
    ) -> int:
        if type(value) is int and least <= value <= most:
            return value
        self.problem(pointer, f"must be a whole number from {least} to {most}")
        return least

    def boolean(self, value: object, pointer: str) -> bool:
        if isinstance(value, bool):
            return value
        self.problem(pointer, "must be true or false")
        return False

    def text(
        self,
        value: object,
        pointer: str,
        *,
        most: int,
        least: int = 1,
        lines: bool = False,
        strip: bool = True,
    ) -> str:
        if not isinstance(value, str):
            self.problem(pointer, "must be text")
            return ""
        # A long text is not stripped or searched: refusing it must stay cheap.
        if len(value) > 4 * most:
            self.problem(pointer, f"must have at most {most} characters")
            return ""
        value = value.strip() if strip or value.isspace() else value
        if not least <= len(value) <= most:
            self.problem(pointer, f"must have {least} to {most} characters")
        elif any(unprintable(letter, lines=lines) for letter in value):
            self.problem(pointer, "must not contain control characters")
        return value

    def amount(self, value: object, pointer: str, metric: str) -> int | str:
        """Read an amount: whole for a count, decimal text for cost."""
        if metric != "cost":
            return self.integer(value, pointer)
        try:
            return micros_to_cost(cost_to_micros(value))
        except ValueError as error:
            self.problem(pointer, str(error))
            return "0"


def unprintable(letter: str, *, lines: bool) -> bool:
    if lines and letter in "\n\r\t":
        return False
    code = ord(letter)
    # C0, DEL and C1 controls, line and paragraph separators, lone surrogates.
    return (
        code < 0x20
        or 0x7F <= code <= 0x9F
        or code in (0x2028, 0x2029)
        or 0xD800 <= code <= 0xDFFF
    )
