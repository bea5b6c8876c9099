"""From a canonical policy document to the values that are decided on."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from policies.money import cost_to_micros
from policies.rule_types import (
    Actions,
    BlockAction,
    Limit,
    Scope,
    UsageRule,
    Window,
)


def usage_rule(
    *,
    policy_id: str,
    revision: int,
    document: Mapping[str, Any],
    counting_since: Mapping[str, datetime] | None = None,
) -> UsageRule:
    """Return the rule of a canonical usage document, as `parse` returns it."""
    scope = Scope(**document["scope"])
    group_by = tuple(document["group_by"])
    hold = document["default_hold"]
    return UsageRule(
        policy_id=policy_id,
        revision=revision,
        name=document["name"],
        scope=scope,
        group_by=group_by,
        limits=tuple(_limit(each, scope, group_by) for each in document["limits"]),
        actions=_actions(document["actions"]),
        alert_steps=tuple(document["alert_steps"]),
        rollout_mode=document["rollout_mode"],
        rollout_percent=document["rollout_percent"],
        fail_mode=document["fail_mode"],
        on_unpriced=document["on_unpriced"],
        default_hold={m: _amount(m, value) for m, value in hold.items()}
        if hold
        else None,
        notify_in_shadow=document["notify_in_shadow"],
        counting_since=counting_since,
    )


def limit_key(
    *, limit_metric: str, window: Window, scope: Scope, group_by: Sequence[str]
) -> str:
    """Return 32 hex characters that name a limit by its identity (B5).

    Threshold and actions are not part of it: changing them keeps the counters.
    """
    identity = {
        "metric": limit_metric,
        "window": window.document(),
        "scope": scope.document(),
        "group_by": list(group_by),
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode("ascii"), digest_size=16).hexdigest()


def _limit(
    document: Mapping[str, Any], scope: Scope, group_by: tuple[str, ...]
) -> Limit:
    metric = document["metric"]
    window = Window(**document["window"])
    return Limit(
        metric=metric,
        threshold=_amount(metric, document["threshold"]),
        window=window,
        key=limit_key(
            limit_metric=metric, window=window, scope=scope, group_by=group_by
        ),
    )


def _amount(metric: str, value: Any) -> int:
    return cost_to_micros(value) if metric == "cost" else int(value)


def _actions(document: Mapping[str, Any]) -> Actions:
    block = document.get("block")
    email = document.get("email")
    webhook = document.get("webhook")
    return Actions(
        warn="warn" in document,
        throttle="throttle" in document,
        block=None if block is None else BlockAction(block["duration_seconds"]),
        revoke="revoke" in document,
        email=None if email is None else tuple(email.get("to", ())),
        webhook=None if webhook is None else tuple(webhook["to"]),
    )
