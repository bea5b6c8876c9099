"""KavachOS's form of a budget policy, translated into ours and back (F2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from policies.json_reader import Reader, pointer_to
from policies.rule_parsing import FIELDS
from policies.rule_types import InvalidPolicy, Window
from policies.wording import sentence

KAVACH_ACTIONS: Final = ("warn", "throttle", "block", "revoke")
# Their name -> our metric and calendar unit, always in UTC.
KAVACH_LIMITS: Final[Mapping[str, tuple[str, str]]] = {
    "maxTokensCostPerDay": ("tokens", "day"),
    "maxTokensCostPerMonth": ("tokens", "month"),
    "maxCallsPerDay": ("calls", "day"),
    "maxCallsPerMonth": ("calls", "month"),
}
# Their name -> our metric and calendar unit, in `currentUsage`.
KAVACH_USAGE: Final[Mapping[str, tuple[str, str]]] = {
    "tokensCostToday": ("tokens", "day"),
    "tokensCostThisMonth": ("tokens", "month"),
    "callsToday": ("calls", "day"),
    "callsThisMonth": ("calls", "month"),
}
_REFERENCES = ("agentId", "tenantId")
_FIELDS = ("type", "name", *_REFERENCES, "userId", "limits", "action")
_OTHER_FORM = "belongs to PolicyHub's own form, and this body is in KavachOS's"


@dataclass(frozen=True, slots=True)
class KavachDraft:
    """A translated document.

    `document` is a usage policy's draft for `parse`, or a patch of one. `references`
    holds what was given as `agentId` and `tenantId` (None to remove it): whoever calls
    finds the bot, and the account or project, and puts them into the scope.
    """

    document: dict[str, Any]
    references: dict[str, str | None]


def is_kavach(document: object) -> bool:
    """Say whether a body is written in KavachOS's form."""
    if not isinstance(document, dict):
        return False
    own = (*_REFERENCES, "userId", "action")
    return any(name in document for name in own) or isinstance(
        document.get("limits"), dict
    )


def from_kavach(document: object, *, partial: bool = False) -> KavachDraft:
    """Translate KavachOS's form; `partial` for a patch, where all may be left out.

    Raises InvalidPolicy with pointers into the document as it was given.
    """
    reader = Reader()
    fields = reader.mapping(document, "")
    if fields is None:
        raise InvalidPolicy(reader.problems)
    for name in fields:
        if name in FIELDS["usage"] and name not in _FIELDS:
            reader.problem(pointer_to("", name), _OTHER_FORM)
    known = {name: fields[name] for name in fields if name not in FIELDS["usage"]}
    reader.only(known, _FIELDS, "")
    if fields.get("type", "usage") != "usage":
        reader.problem("/type", "must be usage")
    draft: dict[str, Any] = {} if partial else {"type": "usage"}
    if "limits" in fields or not partial:
        draft["limits"] = _limits(reader, fields)
    if "action" in fields or not partial:
        draft["actions"] = _actions(reader, fields, partial=partial)
    references = {
        name: _text(reader, fields[name], name, most=200)
        for name in _REFERENCES
        if name in fields
    }
    if "userId" in fields:
        user = _text(reader, fields["userId"], "userId", most=256)
        draft["scope"] = {"user": user}
    if fields.get("name") is not None:
        draft["name"] = reader.text(fields["name"], "/name", most=200)
    if reader.problems:
        raise InvalidPolicy(reader.problems)
    if "name" not in draft and not partial:
        draft["name"] = _made_name(draft, references.get("agentId"))
    return KavachDraft(document=draft, references=references)


def kavach_action(actions: Mapping[str, Any]) -> str:
    """Return the action of a canonical document in KavachOS's words.

    One that only tells people is a `warn` there.
    """
    for name in reversed(KAVACH_ACTIONS):
        if name in actions:
            return name
    return "warn"


def _text(reader: Reader, value: object, name: str, *, most: int) -> str | None:
    if value is None:
        return None
    return reader.text(value, f"/{name}", most=most, strip=False)


def _limits(reader: Reader, fields: dict[str, Any]) -> list[dict[str, Any]]:
    if not reader.required(fields, "limits", ""):
        return []
    if isinstance(fields["limits"], list):
        reader.problem("/limits", f"as a list {_OTHER_FORM}")
        return []
    given = reader.mapping(fields["limits"], "/limits")
    if given is None:
        return []
    reader.only(given, tuple(KAVACH_LIMITS), "/limits")
    limits = []
    for name, (metric, unit) in KAVACH_LIMITS.items():
        if given.get(name) is None:
            continue
        threshold = reader.integer(given[name], f"/limits/{name}")
        window = Window(kind="calendar", unit=unit).document()
        limits.append({"metric": metric, "threshold": threshold, "window": window})
    if not limits:
        reader.problem("/limits", f"must set one of: {', '.join(KAVACH_LIMITS)}")
    return limits


def _actions(
    reader: Reader, fields: dict[str, Any], *, partial: bool
) -> dict[str, dict[str, Any] | None]:
    if not reader.required(fields, "action", ""):
        return {}
    name = reader.choice(fields["action"], "/action", KAVACH_ACTIONS)
    # A patch says that the three others are no longer wanted.
    others = dict.fromkeys(KAVACH_ACTIONS) if partial else {}
    return {**others, name: {"duration_seconds": None} if name == "block" else {}}


def _made_name(draft: dict[str, Any], agent: str | None) -> str:
    named = {"bot": agent, "user": draft.get("scope", {}).get("user")}
    scope = {field: value for field, value in named.items() if value is not None}
    filled = {
        **draft,
        "scope": scope,
        "group_by": [],
        "rollout_mode": "enforce",
        "rollout_percent": 100,
    }
    return sentence(filled).rstrip(".")[:200].strip()
