"""Which calls a policy is about, and which counter a call falls into (B4, C7)."""

import json
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from policies.rules import Scope, UsageRule

Subject = tuple[tuple[str, str | None], ...]


class Caller(NamedTuple):
    """What a call looks like to a policy; `user` is the effective user (B4)."""

    project: str | None
    bot: str
    user: str | None
    model: str | None


def effective_user(user: str | None, owner: str | None) -> str | None:
    """Return the user of a call: its own, else the bot's owner if it has one."""
    return user or owner or None


def matches(scope: Scope, caller: Caller) -> bool:
    """Say whether a call is within a scope.

    A field the scope does not name admits everything; one it names never admits a
    call without that field.
    """
    if scope.bot is not None and scope.bot != caller.bot:
        return False
    if scope.project is not None and scope.project != caller.project:
        return False
    if scope.user is not None and scope.user != caller.user:
        return False
    return scope.model is None or _model_matches(scope.model, caller.model)


def subject_of(group_by: Sequence[str], caller: Caller) -> Subject:
    """Return the combination of values whose counter the call falls into.

    An absent value is a combination of its own, so leaving it out bypasses nothing.
    """
    if not group_by:
        return ()
    return tuple([(field, getattr(caller, field)) for field in group_by])


@lru_cache(maxsize=16_384)
def subject_key(subject: Subject) -> str:
    """Return the canonical text of a subject; empty for the one shared counter."""
    if not subject:
        return ""
    return json.dumps(subject, separators=(",", ":"))


def in_rollout(policy_id: str, caller: Caller, percent: int) -> bool:
    """Say whether a caller is among the `percent` a policy is rolled out to.

    The share is stable: the same user (else bot) always falls on the same side, and
    raising the percentage only ever adds callers.
    """
    if percent >= 100:
        return True
    if percent <= 0:
        return False
    by_user = caller.user is not None
    who = f"user:{caller.user}" if by_user else f"bot:{caller.bot}"
    text = f"{policy_id}\n{who}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) % 100 < percent


def enforced(rule: UsageRule, caller: Caller) -> bool:
    """Say whether a policy's refusals bind this caller."""
    return rule.rollout_mode == "enforce" and in_rollout(
        rule.policy_id, caller, rule.rollout_percent
    )


def overlaps(first: Scope, second: Scope) -> bool:
    """Say whether some call could be within both scopes."""
    for field in ("project", "bot", "user"):
        one, other = getattr(first, field), getattr(second, field)
        if one is not None and other is not None and one != other:
            return False
    return _models_overlap(first.model, second.model)


def _model_matches(pattern: str, model: str | None) -> bool:
    if model is None:
        return False
    if pattern.endswith("*"):
        return model.startswith(pattern[:-1])
    return model == pattern


def _models_overlap(first: str | None, second: str | None) -> bool:
    if first is None or second is None:
        return True
    if first.endswith("*") and second.endswith("*"):
        one, other = first[:-1], second[:-1]
        return one.startswith(other) or other.startswith(one)
    if first.endswith("*"):
        return second.startswith(first[:-1])
    return _model_matches(second, first)
