"""ChatBotKit's form of a policy, translated into ours and back (CONTRACT F3).

Their form knows one limit in a fixed window, two actions, one bot or all. A policy
that says more than that cannot be told in it, and `config_of` says so.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from policies.action_parsing import MAX_SECONDS, emails_of
from policies.json_reader import Reader
from policies.rule_types import InvalidPolicy
from policies.wording import sentence

TYPES: Final = ("retention", "usage")
STATES: Final = ("enabled", "disabled")
METRICS: Final = ("tokens", "messages", "conversations")
# Retention without `expiresInDays` keeps for as long as the platform does.
KEPT_DAYS: Final = 36_500
MODES: Final = {"enabled": "enforce", "disabled": "off"}

_FIELDS: Final = ("alias", "name", "description", "meta", "blueprintId", "botId")
_ALIAS: Final = re.compile(r"[a-z0-9_-]{1,128}")
# Names that ChatBotKit keeps for itself and never stores.
_INTERNAL: Final = re.compile(r"[\W_]")


def read_body(value: object, *, type_now: str | None = None) -> dict[str, Any]:
    """Return what a body says, checked; only the members that were sent.

    `type_now` is that of the policy that is updated; a new one is a retention policy
    unless it says otherwise, and always has a config. Raises InvalidPolicy.
    """
    reader = Reader()
    body = reader.mapping(value, "") or {}
    reader.only(body, (*_FIELDS, "type", "state", "config"), "")
    read: dict[str, Any] = {}
    for name, (most, lines) in _TEXTS.items():
        if name in body:
            read[name] = _text(reader, body[name], name, most=most, lines=lines)
    if "alias" in body:
        read["alias"] = _alias(reader, body["alias"])
    if "meta" in body:
        read["meta"] = {} if body["meta"] is None else _meta(reader, body["meta"])
    if "state" in body:
        read["state"] = reader.choice(body["state"], "/state", STATES)
    kind = reader.choice(body.get("type", type_now or "retention"), "/type", TYPES)
    if type_now is not None and kind != type_now:
        reader.problem("/type", f"cannot be changed; this policy's is {type_now}")
    read["type"] = kind
    if "config" in body or type_now is None:
        config = body.get("config")
        config = {} if config is None else reader.mapping(config, "/config")
        if config is not None:
            read["config"] = config
            read |= _CONFIGS[kind](reader, config)
    if reader.problems:
        raise InvalidPolicy(reader.problems)
    return read


def document_of(
    read: Mapping[str, Any], base: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the draft that a checked body makes, or makes of a document, for `parse`.

    `read["bot"]` is the bot's id as the caller has found it, None for every bot; a
    document's stays without.
    """
    draft = {**(base or {"type": read["type"], "rollout_mode": "enforce"})}
    scope = {**draft.get("scope", {})}
    if "bot" in read:
        scope["bot"] = read["bot"]
    draft["scope"] = {name: value for name, value in scope.items() if value is not None}
    if "state" in read:
        draft["rollout_mode"] = MODES[read["state"]]
    for name in ("limits", "actions", "retention"):
        if name in read:
            draft[name] = read[name]
    if read.get("description") is not None:
        draft["description"] = read["description"]
    if read.get("name"):
        draft["name"] = read["name"]
    elif "name" in read or base is None:
        draft["name"] = _made_name(draft)
    return draft


def config_of(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the config of a canonical document; None if their form cannot tell it."""
    if document["rollout_mode"] == "shadow":
        return None
    if any(name in document["scope"] for name in ("user", "model")):
        return None
    if document["type"] == "retention":
        return _retention_config(document["retention"])
    return _usage_config(document) if document["type"] == "usage" else None


def same_config(given: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Say whether a config, as it was given, is what a document says."""
    reader = Reader()
    read = _CONFIGS[document["type"]](reader, dict(given))
    said = {name: document.get(name) for name in read}
    return not reader.problems and read == said


def updated_meta(meta: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the meta after an update: replaced, or merged by `$update`."""
    merging = isinstance(meta.get("$update"), Mapping)
    given = meta["$update"] if merging else meta
    kept = {name: each for name, each in given.items() if not _INTERNAL.match(name)}
    return {**before, **kept} if merging else kept


def _text(
    reader: Reader, value: object, name: str, *, most: int, lines: bool
) -> str | None:
    if value is None:
        return None
    return reader.text(
        value, f"/{name}", most=most, least=0, lines=lines, strip=name == "name"
    )


def _alias(reader: Reader, value: object) -> str | None:
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not _ALIAS.fullmatch(value):
        detail = "must be 1 to 128 lowercase letters, digits, hyphens or underscores"
        reader.problem("/alias", detail)
        return None
    return value


def _meta(reader: Reader, value: object) -> dict[str, Any]:
    return reader.mapping(value, "/meta") or {}


def _retention(reader: Reader, config: dict[str, Any]) -> dict[str, Any]:
    reader.only(config, ("expiresInDays",), "/config")
    days = KEPT_DAYS
    if "expiresInDays" in config:
        days = reader.integer(
            config["expiresInDays"], "/config/expiresInDays", least=1, most=KEPT_DAYS
        )
    return {"retention": {"target": "conversations", "max_age_days": days}}


def _usage(reader: Reader, config: dict[str, Any]) -> dict[str, Any]:
    names = ("metric", "threshold", "windowInSeconds", "actions")
    reader.only(config, names, "/config")
    missing = [name for name in names if not reader.required(config, name, "/config")]
    if missing:
        return {}
    metric = reader.choice(config["metric"], "/config/metric", METRICS)
    threshold = reader.integer(config["threshold"], "/config/threshold", least=1)
    seconds = reader.integer(
        config["windowInSeconds"], "/config/windowInSeconds", least=1, most=MAX_SECONDS
    )
    window = {"kind": "fixed", "seconds": seconds}
    return {
        "limits": [{"metric": metric, "threshold": threshold, "window": window}],
        "actions": _actions(reader, config["actions"]),
    }


def _actions(reader: Reader, value: object) -> dict[str, Any]:
    pointer = "/config/actions"
    given = reader.mapping(value, pointer)
    if given is None:
        return {}
    reader.only(given, ("block", "email"), pointer)
    actions: dict[str, Any] = {}
    if "block" in given:
        options = reader.mapping(given["block"], f"{pointer}/block") or {}
        reader.only(options, ("durationInSeconds",), f"{pointer}/block")
        where = f"{pointer}/block/durationInSeconds"
        duration = reader.integer(
            options.get("durationInSeconds"), where, least=1, most=MAX_SECONDS
        )
        actions["block"] = {"duration_seconds": duration}
    if "email" in given:
        actions["email"] = _email(reader, given["email"], f"{pointer}/email")
    if not actions:
        reader.problem(pointer, "must want at least one of: block, email")
    return actions


def _email(reader: Reader, value: object, pointer: str) -> dict[str, Any]:
    """Read a text, a list of texts, `{"to": …}` with either, or `{}`, the owner."""
    options = value if isinstance(value, dict) else {"to": value}
    if options == {}:
        return {}
    to = options.get("to")
    listed = {**options, "to": [to] if isinstance(to, str) else to}
    found = emails_of(reader, listed, pointer)
    if to is None or to == []:
        reader.problem(pointer, "must name an address, or be {} for the owner")
    return {"to": found}


def _retention_config(retention: Mapping[str, Any]) -> dict[str, Any] | None:
    if retention["target"] != "conversations":
        return None
    days = retention["max_age_days"]
    return {} if days == KEPT_DAYS else {"expiresInDays": days}


def _usage_config(document: Mapping[str, Any]) -> dict[str, Any] | None:
    limits, actions = document["limits"], document["actions"]
    block = actions.get("block")
    plain = (
        len(limits) == 1
        and limits[0]["metric"] in METRICS
        and limits[0]["threshold"] >= 1
        and limits[0]["window"]["kind"] == "fixed"
        and set(actions) <= {"block", "email"}
        and (block is None or block["duration_seconds"] is not None)
        and not document["group_by"]
        and document["rollout_percent"] == 100
        and document["alert_steps"] == [100]
    )
    if not plain:
        return None
    told: dict[str, Any] = {}
    if block is not None:
        told["block"] = {"durationInSeconds": block["duration_seconds"]}
    if "email" in actions:
        told["email"] = dict(actions["email"])
    return {
        "metric": limits[0]["metric"],
        "threshold": limits[0]["threshold"],
        "windowInSeconds": limits[0]["window"]["seconds"],
        "actions": told,
    }


def _made_name(draft: Mapping[str, Any]) -> str:
    filled = {"group_by": [], "rollout_percent": 100, **draft}
    return sentence(filled).rstrip(".")[:200].strip()


_CONFIGS: Final = {"retention": _retention, "usage": _usage}
_TEXTS: Final = {
    "name": (200, False),
    "description": (2000, True),
    "botId": (200, False),
    "blueprintId": (200, False),
}
