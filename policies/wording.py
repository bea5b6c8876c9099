"""Policies and the changes to them, in plain English."""

from collections.abc import Mapping, Sequence
from typing import Any

from policies.money import cost_to_micros
from policies.phrases import amount_text, duration_text

_NO_NAMES: Mapping[str, str] = {}
_RETENTION = {
    "conversations": "conversations",
    "message_text": "the text of messages",
    "usage_events": "usage events",
    "decisions": "decision records",
}
_CATEGORY = {
    "email": "e-mail addresses",
    "phone": "phone numbers",
    "card": "card numbers",
    "iban": "IBANs",
    "national_id": "national ids",
    "ip": "IP addresses",
    "secrets": "secrets",
}
_MODE = {"off": "Switched off: ", "shadow": "In shadow: ", "enforce": ""}


def sentence(document: Mapping[str, Any], names: Mapping[str, str] = _NO_NAMES) -> str:
    """Return a canonical document as one sentence.

    `names` maps public ids to what people call them.
    """
    told = {
        "usage": _usage_sentence,
        "retention": _retention_sentence,
        "content": _content_sentence,
    }[document["type"]](document, names)
    mode = _MODE[document["rollout_mode"]]
    if mode:
        told = told[0].lower() + told[1:]
    return f"{mode}{told}."


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields in which two canonical documents differ.

    Each is `{"field", "before", "after"}` with a dotted path; a side that lacks the
    field has None. Lists of objects are compared place by place, others as a whole.
    """
    changes: list[dict[str, Any]] = []
    _compare("", old, new, changes)
    return changes


def _compare(path: str, old: Any, new: Any, changes: list[dict[str, Any]]) -> None:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        before, after = old, new
    elif _objects(old) and _objects(new):
        before = {str(index): each for index, each in enumerate(old)}
        after = {str(index): each for index, each in enumerate(new)}
    else:
        # 1 and True are equal to Python, but not in JSON.
        if type(old) is not type(new) or old != new:
            changes.append({"field": path, "before": old, "after": new})
        return
    for name in [*before, *(name for name in after if name not in before)]:
        inner = f"{path}.{name}" if path else name
        if name in before and name in after:
            _compare(inner, before[name], after[name], changes)
        else:
            sides = {"before": before.get(name), "after": after.get(name)}
            changes.append({"field": inner, **sides})


def _objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, Mapping) for v in value)


def _usage_sentence(document: Mapping[str, Any], names: Mapping[str, str]) -> str:
    whom = _whom(document["scope"], names, everyone="every bot")
    limits = _either([_limit_text(limit) for limit in document["limits"]])
    told = f"{_action_text(document, whom)} after {limits}"
    if document["group_by"]:
        told += f", counted for each {_all(document['group_by'])}"
    if document["rollout_percent"] < 100:
        told += f", for {document['rollout_percent']} % of users"
    return told


def _action_text(document: Mapping[str, Any], whom: str) -> str:
    actions = document["actions"]
    parts: list[str] = []
    if "revoke" in actions:
        parts.append(f"revoke {whom}")
    if "block" in actions:
        span = _block_text(actions["block"]["duration_seconds"], document["limits"])
        parts.append(f"block {'it' if parts else whom} {span}")
    if "throttle" in actions:
        parts.append(f"throttle {'it' if parts else whom}")
    about = "" if parts else f" about {whom}"
    told = [
        (name, text)
        for name, text in (
            ("warn", "warn"),
            ("email", f"e-mail {_mail_text(actions.get('email') or {})}"),
            ("webhook", _webhook_text(actions.get("webhook") or {})),
        )
        if name in actions
    ]
    parts += [text for _, text in told]
    joined = _all(parts) + about
    return joined[0].upper() + joined[1:]


def _block_text(seconds: int | None, limits: Sequence[Mapping[str, Any]]) -> str:
    if seconds is not None:
        return f"for {duration_text(seconds)}"
    kinds = {limit["window"]["kind"] for limit in limits}
    if kinds == {"lifetime"}:
        return "until someone clears it"
    units = {limit["window"].get("unit") for limit in limits}
    if kinds == {"calendar"} and len(units) == 1:
        return f"for the rest of the {units.pop()}"
    return "until the window ends"


def _mail_text(options: Mapping[str, Any]) -> str:
    to = options.get("to")
    if not to:
        return "the owner"
    return str(to[0]) if len(to) == 1 else f"{len(to)} people"


def _webhook_text(options: Mapping[str, Any]) -> str:
    count = len(options.get("to", ()))
    return "call a webhook" if count == 1 else f"call {count} webhooks"


def _limit_text(limit: Mapping[str, Any]) -> str:
    metric = limit["metric"]
    threshold = limit["threshold"]
    amount = cost_to_micros(threshold) if metric == "cost" else threshold
    return f"{amount_text(metric, amount)} {_window_text(limit['window'])}"


def _window_text(window: Mapping[str, Any]) -> str:
    if window["kind"] == "lifetime":
        return "in all"
    if window["kind"] == "fixed":
        return f"within {duration_text(window['seconds'])} of the first call"
    if window["kind"] == "rolling":
        return f"in any {duration_text(window['seconds'])}"
    unit, zone = window["unit"], window["timezone"]
    told = "in an hour" if unit == "hour" else f"in a {unit}"
    return told if zone == "UTC" else f"{told} ({zone})"


def _retention_sentence(document: Mapping[str, Any], names: Mapping[str, str]) -> str:
    rule = document["retention"]
    days = rule["max_age_days"]
    what = _RETENTION[rule["target"]]
    whom = _whom(document["scope"], names, everyone="")
    of = f" of {whom}" if whom else ""
    return f"Delete {what}{of} after {days:,} day{'' if days == 1 else 's'}"


def _content_sentence(document: Mapping[str, Any], names: Mapping[str, str]) -> str:
    content = document["content"]
    verb = {"deny": "Refuse", "redact": "Redact", "warn": "Warn about"}
    where = {
        "request": "requests",
        "response": "responses",
        "both": "requests and responses",
    }[content["direction"]]
    found = [_CATEGORY[category] for category in content["categories"]]
    if content["denylist"]:
        found.append(_count(len(content["denylist"]), "deny-listed phrase"))
    told = f"{verb[content['action']]} {_all(found) or 'nothing'} in {where}"
    whom = _whom(document["scope"], names, everyone="")
    told += f" of {whom}" if whom else ""
    if content["allowlist"]:
        told += f", except {_count(len(content['allowlist']), 'allowed phrase')}"
    return told


def _whom(scope: Mapping[str, str], names: Mapping[str, str], *, everyone: str) -> str:
    def named(field: str) -> str:
        return names.get(scope[field], scope[field])

    narrower = [
        f"{field} {named(field)}"
        for field in ("user", "model", "project")
        if field in scope
    ]
    if "bot" not in scope:
        return ", ".join(narrower) or everyone
    return f"{named('bot')} ({', '.join(narrower)})" if narrower else named("bot")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _all(parts: Sequence[str]) -> str:
    return _listed(parts, "and")


def _either(parts: Sequence[str]) -> str:
    return _listed(parts, "or")


def _listed(parts: Sequence[str], word: str) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"
