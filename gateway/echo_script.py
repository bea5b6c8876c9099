"""What the echo was told to do, and the parts that its answers are made of."""

import re
from dataclasses import dataclass
from typing import Any, Final

from gateway import protocol
from gateway.protocol import Asked

SCRIPTS: Final = frozenset(
    {
        "slow",
        "drip",
        "stall",
        "cut",
        "cut-utf8",
        "no-usage",
        "zero-usage",
        "429",
        "500",
        "500-after-headers",
        "giant-line",
        "wrong-type",
        "tool",
    }
)
GIANT: Final = 4 * 1024 * 1024
FOREVER: Final = 86_400.0
_TIMED: Final = re.compile(r"echo-(slow|drip)-([0-9]{1,6})")
_CREATED: Final = 1_767_225_600


class Broken(Exception):
    """The connection ends here, in the middle of an answer."""


@dataclass(slots=True)
class Counted:
    """What the echo has counted of one call so far."""

    id: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """What goes wrong, and when it is about time, after how long."""

    name: str = ""
    seconds: float = 0.0


def script_of(model: str) -> Script | None:
    """Return what a model's name tells the echo to do; None for another model."""
    timed = _TIMED.fullmatch(model)
    if timed is not None:
        return Script(timed[1], int(timed[2]) / 1_000)
    name = model.removeprefix("echo-")
    if name == model or name not in SCRIPTS:
        return None
    return Script(name, {"slow": 2.0, "drip": 0.1}.get(name, 0.0))


@dataclass(slots=True)
class Said:
    """What the answer says: a text in pieces, or the arguments of a tool call."""

    pieces: list[str]
    finish: str
    tool: str | None = None


def head(asked: Asked, counted: Counted, kind: str) -> dict[str, Any]:
    """Return what every answer and chunk begins with."""
    return {
        "id": counted.id,
        "object": kind,
        "created": _CREATED,
        "model": asked.model,
        "system_fingerprint": None,
    }


def usage(script: Script, counted: Counted) -> dict[str, int] | None:
    """Return the usage that the answer tells."""
    if script.name == "no-usage":
        return None
    if script.name == "zero-usage":
        return protocol.Usage(0, 0).document()
    return protocol.Usage(counted.input_tokens, counted.output_tokens).document()


def tool_call(said: Said, arguments: str, counted: Counted) -> dict[str, Any]:
    """Return the call of a tool."""
    return {
        "id": f"call_{counted.id[-12:]}",
        "type": "function",
        "function": {"name": said.tool, "arguments": arguments},
    }
