"""Turn any JSON value into a canonical policy document, or say all that is wrong.

Nothing but InvalidPolicy ever leaves `parse`, whatever the value. Values are never
quoted in a problem: they may be huge, deeply nested or private.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from zoneinfo import available_timezones

from policies.action_parsing import MAX_SECONDS, actions_of
from policies.json_reader import Reader
from policies.rule_types import (
    CALENDAR_UNITS,
    METRICS,
    POLICY_TYPES,
    ROLLOUT_MODES,
    SCOPE_FIELDS,
    WINDOW_KINDS,
    InvalidPolicy,
    Window,
)

MIN_ROLLING_SECONDS: Final = 60
MAX_LIMITS: Final = 20
MAX_STEPS: Final = 10
HOLD_METRICS: Final = (
    "tokens",
    "input_tokens",
    "output_tokens",
    "messages",
    "calls",
    "cost",
)
RETENTION_TARGETS: Final = (
    "conversations",
    "message_text",
    "usage_events",
    "decisions",
)
DIRECTIONS: Final = ("request", "response", "both")
CONTENT_ACTIONS: Final = ("deny", "redact", "warn")
CATEGORIES: Final = ("email", "phone", "card", "iban", "national_id", "ip", "secrets")

_COMMON = ("type", "name", "description", "scope", "rollout_mode")
FIELDS: Final = {
    "usage": (
        *_COMMON,
        "group_by",
        "limits",
        "actions",
        "alert_steps",
        "rollout_percent",
        "fail_mode",
        "on_unpriced",
        "default_hold",
        "notify_in_shadow",
    ),
    "retention": (*_COMMON, "retention"),
    "content": (*_COMMON, "rollout_percent", "content"),
}


def parse(document: object) -> dict[str, Any]:
    """Return the canonical document of a policy of any type, defaults filled in.

    A canonical document parses to itself. Raises InvalidPolicy with every problem.
    """
    reader = Reader()
    fields = reader.mapping(document, "")
    canonical: dict[str, Any] = {}
    if fields is not None:
        canonical = _policy(reader, fields)
    if reader.problems:
        raise InvalidPolicy(reader.problems)
    return canonical


@lru_cache(maxsize=1)
def timezones() -> frozenset[str]:
    """Return the names of time zones a window may use."""
    names = available_timezones() - {"Factory", "localtime", "posixrules"}
    return frozenset(names | {"UTC"})


def _policy(reader: Reader, fields: dict[str, Any]) -> dict[str, Any]:
    if not reader.required(fields, "type", ""):
        return {}
    kind = fields["type"]
    if not isinstance(kind, str) or kind not in POLICY_TYPES:
        reader.choice(kind, "/type", POLICY_TYPES)
        return {}
    reader.only(fields, FIELDS[kind], "")
    canonical = _common(reader, fields, kind)
    return canonical | _BODIES[kind](reader, fields)


def _common(reader: Reader, fields: dict[str, Any], kind: str) -> dict[str, Any]:
    name = ""
    if reader.required(fields, "name", ""):
        name = reader.text(fields["name"], "/name", most=200)
    description = reader.text(
        fields.get("description", ""), "/description", most=2000, least=0, lines=True
    )
    scope = _scope(reader, fields.get("scope", {}))
    if kind == "retention" and "model" in scope:
        reader.problem("/scope/model", "does not apply to retention")
    mode = fields.get("rollout_mode", "enforce")
    return {
        "type": kind,
        "name": name,
        "description": description,
        "scope": scope,
        "rollout_mode": reader.choice(mode, "/rollout_mode", ROLLOUT_MODES),
    }


def _scope(reader: Reader, value: object) -> dict[str, str]:
    fields = reader.mapping(value, "/scope")
    if fields is None:
        return {}
    reader.only(fields, SCOPE_FIELDS, "/scope")
    scope = {}
    for field in SCOPE_FIELDS:
        if fields.get(field) is None:
            continue
        pointer = f"/scope/{field}"
        most = 256 if field == "user" else 200
        named = reader.text(fields[field], pointer, most=most, strip=False)
        if field == "model" and "*" in named[:-1]:
            reader.problem(pointer, "may have * only as its last character")
        scope[field] = named
    return scope


def _usage(reader: Reader, fields: dict[str, Any]) -> dict[str, Any]:
    percent = fields.get("rollout_percent", 100)
    fail_mode = fields.get("fail_mode", "closed")
    unpriced = fields.get("on_unpriced", "deny")
    notify = fields.get("notify_in_shadow", False)
    return {
        "group_by": _group_by(reader, fields.get("group_by", [])),
        "limits": _limits(reader, fields),
        "actions": actions_of(reader, fields),
        "alert_steps": _alert_steps(reader, fields.get("alert_steps", [100])),
        "rollout_percent": reader.integer(percent, "/rollout_percent", most=100),
        "fail_mode": reader.choice(fail_mode, "/fail_mode", ("closed", "open")),
        "on_unpriced": reader.choice(unpriced, "/on_unpriced", ("deny", "allow")),
        "default_hold": _default_hold(reader, fields.get("default_hold")),
        "notify_in_shadow": reader.boolean(notify, "/notify_in_shadow"),
    }


def _set_of(
    reader: Reader, value: object, pointer: str, choices: tuple[str, ...]
) -> list[str]:
    """Read an array of distinct names and return them in the order of `choices`."""
    chosen: set[str] = set()
    for index, each in enumerate(reader.array(value, pointer, most=len(choices))):
        before = len(reader.problems)
        name = reader.choice(each, f"{pointer}/{index}", choices)
        if len(reader.problems) > before:
            continue
        if name in chosen:
            reader.problem(f"{pointer}/{index}", "is named twice")
        chosen.add(name)
    return [name for name in choices if name in chosen]


def _group_by(reader: Reader, value: object) -> list[str]:
    return _set_of(reader, value, "/group_by", SCOPE_FIELDS)


def _limits(reader: Reader, fields: dict[str, Any]) -> list[dict[str, Any]]:
    if not reader.required(fields, "limits", ""):
        return []
    entries = fields["limits"]
    if entries == []:
        reader.problem("/limits", "must have at least one limit")
    limits: list[dict[str, Any]] = []
    seen: set[tuple[str, Window]] = set()
    for index, each in enumerate(reader.array(entries, "/limits", most=MAX_LIMITS)):
        before = len(reader.problems)
        limit = _limit(reader, each, f"/limits/{index}")
        if limit is None or len(reader.problems) > before:
            continue
        identity = (limit["metric"], Window(**limit["window"]))
        if identity in seen:
            reader.problem(
                f"/limits/{index}", "repeats the metric and window of another limit"
            )
        seen.add(identity)
        limits.append(limit)
    return limits


def _limit(reader: Reader, value: object, pointer: str) -> dict[str, Any] | None:
    fields = reader.mapping(value, pointer)
    if fields is None:
        return None
    reader.only(fields, ("metric", "threshold", "window"), pointer)
    metric = ""
    if reader.required(fields, "metric", pointer):
        metric = reader.choice(fields["metric"], f"{pointer}/metric", METRICS)
    threshold: int | str = 0
    if reader.required(fields, "threshold", pointer):
        threshold = reader.amount(fields["threshold"], f"{pointer}/threshold", metric)
    window: dict[str, object] = {}
    if reader.required(fields, "window", pointer):
        window = _window(reader, fields["window"], f"{pointer}/window")
    return {"metric": metric, "threshold": threshold, "window": window}


def _window(reader: Reader, value: object, pointer: str) -> dict[str, object]:
    fields = reader.mapping(value, pointer)
    if fields is None or not reader.required(fields, "kind", pointer):
        return {}
    kind = fields["kind"]
    if not isinstance(kind, str) or kind not in WINDOW_KINDS:
        reader.choice(kind, f"{pointer}/kind", WINDOW_KINDS)
        return {}
    if kind == "calendar":
        return _calendar(reader, fields, pointer)
    if kind == "lifetime":
        reader.only(fields, ("kind",), pointer)
        return {"kind": "lifetime"}
    reader.only(fields, ("kind", "seconds"), pointer)
    least = MIN_ROLLING_SECONDS if kind == "rolling" else 1
    seconds = least
    if reader.required(fields, "seconds", pointer):
        seconds = reader.integer(
            fields["seconds"], f"{pointer}/seconds", least=least, most=MAX_SECONDS
        )
    return Window(kind=kind, seconds=seconds).document()


def _calendar(
    reader: Reader, fields: dict[str, Any], pointer: str
) -> dict[str, object]:
    reader.only(fields, ("kind", "unit", "timezone", "week_start"), pointer)
    unit = CALENDAR_UNITS[0]
    if reader.required(fields, "unit", pointer):
        unit = reader.choice(fields["unit"], f"{pointer}/unit", CALENDAR_UNITS)
    zone = fields.get("timezone", "UTC")
    if not isinstance(zone, str) or zone not in timezones():
        reader.problem(
            f"{pointer}/timezone", "must be an IANA time zone such as Europe/Berlin"
        )
        zone = "UTC"
    week_start = reader.integer(
        fields.get("week_start", 1), f"{pointer}/week_start", least=1, most=7
    )
    return Window(
        kind="calendar", unit=unit, timezone=zone, week_start=week_start
    ).document()


def _alert_steps(reader: Reader, value: object) -> list[int]:
    pointer = "/alert_steps"
    if value == []:
        reader.problem(pointer, "must have at least one step")
    steps: set[int] = set()
    for index, each in enumerate(reader.array(value, pointer, most=MAX_STEPS)):
        step = reader.integer(each, f"{pointer}/{index}", least=1, most=100)
        if step in steps:
            reader.problem(f"{pointer}/{index}", "is named twice")
        steps.add(step)
    return sorted(steps)


def _default_hold(reader: Reader, value: object) -> dict[str, int | str] | None:
    if value is None:
        return None
    fields = reader.mapping(value, "/default_hold")
    if fields is None:
        return None
    reader.only(fields, HOLD_METRICS, "/default_hold")
    hold = {
        metric: reader.amount(fields[metric], f"/default_hold/{metric}", metric)
        for metric in HOLD_METRICS
        if fields.get(metric) is not None
    }
    return hold or None


def _retention(reader: Reader, fields: dict[str, Any]) -> dict[str, Any]:
    if not reader.required(fields, "retention", ""):
        return {}
    options = reader.mapping(fields["retention"], "/retention")
    if options is None:
        return {}
    reader.only(options, ("target", "max_age_days"), "/retention")
    target, days = "", 0
    if reader.required(options, "target", "/retention"):
        target = reader.choice(
            options["target"], "/retention/target", RETENTION_TARGETS
        )
    if reader.required(options, "max_age_days", "/retention"):
        days = reader.integer(
            options["max_age_days"], "/retention/max_age_days", least=1, most=36_500
        )
    return {"retention": {"target": target, "max_age_days": days}}


def _content(reader: Reader, fields: dict[str, Any]) -> dict[str, Any]:
    if not reader.required(fields, "content", ""):
        return {}
    options = reader.mapping(fields["content"], "/content")
    if options is None:
        return {}
    known = ("direction", "allowlist", "denylist", "categories", "action")
    reader.only(options, known, "/content")
    named: dict[str, str] = {}
    for name, choices in (("direction", DIRECTIONS), ("action", CONTENT_ACTIONS)):
        if reader.required(options, name, "/content"):
            named[name] = reader.choice(options[name], f"/content/{name}", choices)
    categories = _set_of(
        reader, options.get("categories", []), "/content/categories", CATEGORIES
    )
    lists = {
        name: _phrases(reader, options.get(name, []), f"/content/{name}")
        for name in ("allowlist", "denylist")
    }
    percent = fields.get("rollout_percent", 100)
    return {
        "rollout_percent": reader.integer(percent, "/rollout_percent", most=100),
        "content": {**named, **lists, "categories": categories},
    }


def _phrases(reader: Reader, value: object, pointer: str) -> list[str]:
    return [
        reader.text(each, f"{pointer}/{index}", most=500, strip=False)
        for index, each in enumerate(reader.array(value, pointer, most=200))
    ]


_Body = Callable[[Reader, dict[str, Any]], dict[str, Any]]
_BODIES: Final[dict[str, _Body]] = {
    "usage": _usage,
    "retention": _retention,
    "content": _content,
}
