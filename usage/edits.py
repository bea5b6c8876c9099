"""Edits of policies, with what they mean for what was counted (CONTRACT B5).

An edit that leaves `used ≥ threshold` is a crossing and fires once. Raising the
threshold above `used`, `off` and archiving lift the policy's own blocks, never a
revoke. Everything lies in one transaction, under the account's exclusive lock.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.actors import Actor
from accounts.errors import FieldError, InvalidBody
from accounts.models import Account, Project
from accounts.services import bump_version
from policies import services
from policies.models import Policy
from policies.rules import InvalidPolicy, UsageRule, parse
from policies.selectors import blocks, rule_of
from policies.services import lift_blocks
from usage import counters
from usage.resets import empty_counters
from usage.resolving import after_edit
from usage.safety import fire_after_edit
from usage.selectors import from_model
from usage.whole import whole


@whole
def create_policy(
    *,
    account: Account,
    document: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    project: Project | None = None,
) -> Policy:
    """Write a policy. It counts from now on, so it can have crossed nothing yet."""
    return services.create_policy(
        account=account, document=document, actor=actor, now=now, project=project
    )


@whole
def replace_policy(
    *,
    policy: Policy,
    document: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    expected_revision: int | None,
    reason: str = "",
) -> Policy:
    """Give a policy a new document. Raises what the policy's own service raises."""
    bump_version(account_id=policy.account_id)
    before = _rule(policy)
    edited = services.replace_policy(
        policy=policy,
        document=document,
        actor=actor,
        now=now,
        expected_revision=expected_revision,
        reason=reason,
    )
    return _follow_up(edited, before, actor=actor, now=now)


@whole
def patch_policy(
    *,
    policy: Policy,
    patch: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    expected_revision: int | None,
    reason: str = "",
) -> Policy:
    """Merge a patch (RFC 7396) into a policy's document. Raises InvalidBody too."""
    bump_version(account_id=policy.account_id)
    policy.refresh_from_db()
    document = parsed(merged(policy.document, patch))
    return replace_policy(
        policy=policy,
        document=document,
        actor=actor,
        now=now,
        expected_revision=expected_revision,
        reason=reason,
    )


@whole
def rewrite_policy(
    *,
    policy: Policy,
    rewrite: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    actor: Actor,
    now: datetime,
) -> Policy:
    """Replace a policy's document by what `rewrite` makes of it, if that differs.

    For forms that know no revisions: nobody else's edit comes in between.
    """
    bump_version(account_id=policy.account_id)
    policy.refresh_from_db()
    document = parsed(rewrite(policy.document))
    if document == policy.document:
        return policy
    return replace_policy(
        policy=policy,
        document=document,
        actor=actor,
        now=now,
        expected_revision=None,
    )


@whole
def restore_revision(
    *,
    policy: Policy,
    number: int,
    actor: Actor,
    now: datetime,
    expected_revision: int | None,
    reason: str = "",
) -> Policy:
    """Make an earlier revision's document the next one. Raises NotFound too."""
    bump_version(account_id=policy.account_id)
    before = _rule(policy)
    edited = services.restore_revision(
        policy=policy,
        number=number,
        actor=actor,
        now=now,
        expected_revision=expected_revision,
        reason=reason,
    )
    return _follow_up(edited, before, actor=actor, now=now)


@whole
def switch_policy(
    *,
    policy: Policy,
    mode: str,
    actor: Actor,
    now: datetime,
    expected_revision: int | None,
    reason: str = "",
) -> Policy:
    """Give a policy another rollout mode (CONTRACT C7); none if it has it already.

    Raises what `replace_policy` raises.
    """
    bump_version(account_id=policy.account_id)
    policy.refresh_from_db()
    seen = expected_revision in (None, policy.revision)
    if seen and policy.rollout_mode == mode and policy.archived_at is None:
        return policy
    return replace_policy(
        policy=policy,
        document={**policy.document, "rollout_mode": mode},
        actor=actor,
        now=now,
        expected_revision=expected_revision,
        reason=reason,
    )


@whole
def archive_policy(
    *,
    policy: Policy,
    actor: Actor,
    now: datetime,
    expected_revision: int | None = None,
    reason: str = "",
) -> Policy:
    """Stop a policy for good and lift its blocks."""
    archived = services.archive_policy(
        policy=policy,
        actor=actor,
        now=now,
        expected_revision=expected_revision,
        reason=reason,
    )
    lift_blocks(policy=archived, actor=actor, now=now, reason="policy archived")
    after_edit(policy=archived, before=None, now=now)
    return archived


def parsed(document: object) -> dict[str, Any]:
    """Return the canonical form of a document. Raises InvalidBody with pointers."""
    try:
        return parse(document)
    except InvalidPolicy as invalid:
        problems: list[FieldError] = [
            {"pointer": problem.pointer, "detail": problem.detail}
            for problem in invalid.problems
        ]
        raise InvalidBody(errors=problems) from None


def merged(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with a JSON merge patch (RFC 7396) applied."""
    result = dict(document)
    for name, value in patch.items():
        known = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            result[name] = merged(known if isinstance(known, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def _rule(policy: Policy) -> UsageRule | None:
    if policy.type != Policy.Type.USAGE:
        return None
    return rule_of(Policy.objects.get(id=policy.id))


def _follow_up(
    policy: Policy, before: UsageRule | None, *, actor: Actor, now: datetime
) -> Policy:
    if policy.type != Policy.Type.USAGE:
        return policy
    _count_anew(policy, before, actor=actor, now=now)
    after_edit(policy=policy, before=before, now=now)
    if policy.rollout_mode == Policy.Rollout.OFF:
        lift_blocks(policy=policy, actor=actor, now=now, reason="policy switched off")
        return policy
    if before is not None and before.rollout_mode != policy.rollout_mode:
        # What still stands is made anew below, enforced or not as it now is (C7).
        lift_blocks(policy=policy, actor=actor, now=now, reason="rollout changed")
    if "block" not in policy.actions:
        lift_blocks(policy=policy, actor=actor, now=now, reason="no longer blocks")
    freed = _freed(policy, before, now=now)
    if freed:
        lift_blocks(
            policy=policy,
            actor=actor,
            now=now,
            reason="threshold raised",
            only_counters=freed,
        )
    fire_after_edit(policy=policy, before=before, now=now)
    return policy


def _freed(policy: Policy, before: UsageRule | None, *, now: datetime) -> list[UUID]:
    """Return the counters whose blocks an edit lifts (B5).

    Their limit is gone, or its threshold was raised above what is used.
    """
    limits = {limit.key: limit for limit in rule_of(policy).limits}
    old = {limit.key: limit.threshold for limit in before.limits} if before else {}
    blocked = blocks(policy.account, policy, live_at=now).values("counter")
    freed = []
    for row in policy.counters.filter(id__in=blocked):
        limit = limits.get(row.limit_key)
        if limit is None:
            freed.append(row.id)
        elif limit.threshold > old.get(limit.key, limit.threshold):
            used = counters.view(from_model(row), limit, now).used
            if used < limit.threshold:
                freed.append(row.id)
    return freed


def _count_anew(
    policy: Policy, before: UsageRule | None, *, actor: Actor, now: datetime
) -> None:
    """Empty what a limit counted before it was taken away: it counts from now (B5)."""
    had = {limit.key for limit in before.limits} if before else set()
    added = {limit.key for limit in rule_of(policy).limits} - had
    empty_counters(
        policy=policy,
        limit_keys=added,
        reason="counts anew",
        actor=actor,
        now=now,
    )
