"""The fields of policy forms, and each part of a policy as text and back.

What cannot be read as a number is passed on as it was typed: the parser says why not.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from django import forms

from dashboard.amounts import number_text, plain_amount, typed_amount
from dashboard.policy_choices import Choices

Values = Mapping[str, Any]

HOLD_METRICS: Final = (
    "tokens",
    "input_tokens",
    "output_tokens",
    "messages",
    "calls",
    "cost",
)


def text(label: Any, help_text: Any = "", **attributes: str) -> forms.CharField:
    """Make a line of text."""
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=False,
        max_length=1000,
        widget=forms.TextInput(attrs={"autocomplete": "off", **attributes}),
    )


def long_text(label: Any, help_text: Any = "") -> forms.CharField:
    """Make a field of several lines."""
    box_of_lines = forms.Textarea(attrs={"rows": 2})
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=False,
        max_length=20_000,
        widget=box_of_lines,
    )


def choice(label: Any, choices: Choices) -> forms.ChoiceField:
    """Make a field with one of a few values."""
    return forms.ChoiceField(label=label, choices=choices, required=False)


def radio(label: Any, choices: Choices) -> forms.ChoiceField:
    """Make a field with one of a few values, all of them in sight."""
    return forms.ChoiceField(
        label=label, choices=choices, required=False, widget=forms.RadioSelect
    )


def several(label: Any, choices: Choices) -> forms.MultipleChoiceField:
    """Make a field with any of a few values."""
    return forms.MultipleChoiceField(
        label=label,
        choices=choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )


def box(label: Any, help_text: Any = "") -> forms.BooleanField:
    """Make a field that is wanted or not."""
    return forms.BooleanField(label=label, help_text=help_text, required=False)


def typed(form: forms.Form) -> dict[str, Any]:
    """Return what was typed; empty where a field is not there or not right."""
    return {name: form.cleaned_data.get(name, "") for name in form.fields}


def number(value: str) -> int | str:
    """Read a whole number, with thousands separators or not; else return the text."""
    plain = plain_amount(value, whole=True)
    return int(plain) if re.fullmatch(r"-?[0-9]{1,20}", plain) else value


def money(value: str) -> str:
    """Read dollars: a leading $ and thousands separators are let go."""
    return plain_amount(value.strip().strip("$"), whole=False)


def amount(metric: str, value: str) -> int | str:
    """Read an amount of a metric."""
    return money(value) if metric == "cost" else number(value)


def amount_shown(metric: str, value: object) -> str:
    """Show an amount as the field takes it."""
    if metric == "cost":
        return typed_amount(str(value))
    return number_text(value) if isinstance(value, int) else str(value)


def span(value: str, unit: str) -> int | str:
    """Read a length of time as seconds."""
    length = number(value)
    return length * int(unit or 1) if isinstance(length, int) else length


def span_shown(seconds: int | None) -> tuple[str, str]:
    """Show seconds as a number and the largest unit that fits."""
    if seconds is None:
        return "", "3600"
    size = next(size for size in (86_400, 3_600, 60, 1) if seconds % size == 0)
    return f"{seconds // size}", str(size)


def limit_of(values: Values) -> dict[str, Any]:
    """Return a limit as JSON."""
    return {
        "metric": values["metric"],
        "threshold": amount(values["metric"], values["threshold"]),
        "window": _window_of(values),
    }


def limit_shown(limit: Values, *, zone: str, week_start: int) -> dict[str, str]:
    """Show a limit, or a new one that counts tokens a day in the account's zone."""
    window = limit.get("window", {"kind": "calendar", "unit": "day", "timezone": zone})
    length, length_unit = span_shown(window.get("seconds"))
    metric = limit.get("metric", "tokens")
    return {
        "metric": metric,
        "threshold": amount_shown(metric, limit.get("threshold", "")),
        "window": window.get("unit") or window["kind"],
        "length": length,
        "length_unit": length_unit,
        "timezone": window.get("timezone", zone),
        "week_start": str(window.get("week_start", week_start)),
    }


def usage_of(values: Values) -> dict[str, Any]:
    """Return the parts of a usage policy that are not limits, as JSON."""
    holds = {
        metric: amount(metric, values[f"hold_{metric}"])
        for metric in HOLD_METRICS
        if values[f"hold_{metric}"]
    }
    return {
        "group_by": list(values["group_by"]),
        "actions": _actions_of(values),
        "alert_steps": [number(step) for step in _listed(values["alert_steps"])],
        "rollout_percent": number(values["rollout_percent"]),
        "fail_mode": values["fail_mode"],
        "on_unpriced": values["on_unpriced"],
        "notify_in_shadow": bool(values["notify_in_shadow"]),
        "default_hold": holds or None,
    }


def usage_shown(document: Values) -> dict[str, Any]:
    """Show the parts of a usage policy that are not limits."""
    actions = document.get("actions", {"throttle": {}})
    block_for, block_unit = span_shown(actions.get("block", {}).get("duration_seconds"))
    steps = document.get("alert_steps", [80, 100])
    return {
        **{name: name in actions for name in ("warn", "throttle", "block", "revoke")},
        "email": "email" in actions,
        "email_to": "\n".join(actions.get("email", {}).get("to", [])),
        "webhook": "webhook" in actions,
        "webhook_to": actions.get("webhook", {}).get("to", []),
        "block_for": block_for,
        "block_unit": block_unit,
        "group_by": document.get("group_by", []),
        "alert_steps": ", ".join(str(step) for step in steps),
        "rollout_percent": str(document.get("rollout_percent", 100)),
        "fail_mode": document.get("fail_mode", "closed"),
        "on_unpriced": document.get("on_unpriced", "deny"),
        "notify_in_shadow": document.get("notify_in_shadow", False),
        **{
            f"hold_{metric}": amount_shown(metric, value)
            for metric, value in (document.get("default_hold") or {}).items()
        },
    }


def _window_of(values: Values) -> dict[str, Any]:
    kind = values["window"]
    if kind == "lifetime":
        return {"kind": kind}
    if kind in {"rolling", "fixed"}:
        return {"kind": kind, "seconds": span(values["length"], values["length_unit"])}
    window = {"kind": "calendar", "unit": kind, "timezone": values["timezone"].strip()}
    if kind == "week":
        window["week_start"] = number(values["week_start"])
    return window


def _actions_of(values: Values) -> dict[str, Any]:
    actions: dict[str, Any] = {
        name: {} for name in ("warn", "throttle", "revoke") if values[name]
    }
    if values["block"]:
        duration = values["block_for"].strip()
        seconds = span(duration, values["block_unit"]) if duration else None
        actions["block"] = {"duration_seconds": seconds}
    if values["email"]:
        actions["email"] = {"to": _listed(values["email_to"])}
    if values["webhook"]:
        actions["webhook"] = {"to": list(values["webhook_to"])}
    return actions


def _listed(value: str) -> list[str]:
    return [part for part in re.split(r"[\s,;]+", value) if part]
