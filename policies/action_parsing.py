"""Read the actions of a usage policy."""

import re
from collections.abc import Callable
from typing import Any, Final

from policies.json_reader import Reader, unprintable

MAX_SECONDS: Final = 366 * 86_400
MAX_RECIPIENTS: Final = 50

_EMAIL = re.compile(
    r"[^\s@<>(),;:\"\\\[\]]{1,64}"
    r"@[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.[^\W_](?:[\w-]{0,61}[^\W_])?)*"
)
# Whether there is such an endpoint is asked where the account is known.
_WEBHOOK = re.compile(r"whk_[0-9a-z]{1,40}")


def actions_of(reader: Reader, fields: dict[str, Any]) -> dict[str, Any]:
    """Read what a usage policy does; at least one action must be wanted."""
    if not reader.required(fields, "actions", ""):
        return {}
    wanted = reader.mapping(fields["actions"], "/actions")
    if wanted is None:
        return {}
    reader.only(wanted, tuple(_ACTIONS), "/actions")
    if not any(wanted.get(name) is not None for name in _ACTIONS):
        reader.problem("/actions", f"must want at least one of: {', '.join(_ACTIONS)}")
    actions = {}
    for name, read in _ACTIONS.items():
        # null says "not wanted", as it says "all" in a scope.
        if wanted.get(name) is None:
            continue
        pointer = f"/actions/{name}"
        options = reader.mapping(wanted[name], pointer)
        if options is not None:
            actions[name] = read(reader, options, pointer)
    return actions


def _plain_action(
    reader: Reader, options: dict[str, Any], pointer: str
) -> dict[str, Any]:
    reader.only(options, (), pointer)
    return {}


def _block(reader: Reader, options: dict[str, Any], pointer: str) -> dict[str, Any]:
    reader.only(options, ("duration_seconds",), pointer)
    duration = options.get("duration_seconds")
    if duration is not None:
        duration = reader.integer(
            duration, f"{pointer}/duration_seconds", least=1, most=MAX_SECONDS
        )
    return {"duration_seconds": duration}


def _email(reader: Reader, options: dict[str, Any], pointer: str) -> dict[str, Any]:
    to = emails_of(reader, options, pointer)
    return {"to": to} if to else {}


def emails_of(reader: Reader, options: dict[str, Any], pointer: str) -> list[str]:
    """Read the addresses in `to`, each once; none stand for the account's owner."""
    return _recipients(reader, options, pointer, _EMAIL, "must be an e-mail address")


def _webhook(reader: Reader, options: dict[str, Any], pointer: str) -> dict[str, Any]:
    to = _recipients(reader, options, pointer, _WEBHOOK, "must be a webhook id, whk_…")
    if not options.get("to"):
        reader.problem(f"{pointer}/to", "must name at least one webhook")
    return {"to": to}


def _recipients(
    reader: Reader,
    options: dict[str, Any],
    pointer: str,
    pattern: re.Pattern[str],
    detail: str,
) -> list[str]:
    reader.only(options, ("to",), pointer)
    if options.get("to") is None:
        return []
    to: dict[str, None] = {}
    entries = reader.array(options["to"], f"{pointer}/to", most=MAX_RECIPIENTS)
    for index, each in enumerate(entries):
        fits = isinstance(each, str) and len(each) <= 254 and pattern.fullmatch(each)
        if not fits or any(unprintable(letter, lines=False) for letter in each):
            reader.problem(f"{pointer}/to/{index}", detail)
        else:
            to[each] = None
    return list(to)


_Action = Callable[[Reader, dict[str, Any], str], dict[str, Any]]
_ACTIONS: Final[dict[str, _Action]] = {
    "warn": _plain_action,
    "throttle": _plain_action,
    "block": _block,
    "revoke": _plain_action,
    "email": _email,
    "webhook": _webhook,
}
