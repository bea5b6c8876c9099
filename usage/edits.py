"""Edits of policies, with what they mean for what was counted (CONTRACT B5).

An edit that leaves `used ≥ threshold` is a crossing and fires once. Raising the
threshold above `used`, `off` and archiving lift the policy's own blocks, never a
revoke. Everything lies in one transaction, under the account's exclusive lock.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.actors import Actor
from accounts.errors import FieldError, InvalidBody
from accounts.models import Account, Project
from accounts.services import bump_version
from policies import services
from policies.models import Policy
from policies.rules import InvalidPolicy, UsageRule, parse
from policies.selectors import rule_of
from policies.services import lift_blocks
from usage.safety import fire_after_edit


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


@transaction.atomic
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


@transaction.atomic
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


@transaction.atomic
def restore_revision(
    *,
    policy: Policy,
    number: int,
    actor: Actor,
    now: datetime,
    expected_revision: int | None,
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
    )
    return _follow_up(edited, before, actor=actor, now=now)


@transaction.atomic
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
    if policy.rollout_mode == Policy.Rollout.OFF:
        lift_blocks(policy=policy, actor=actor, now=now, reason="policy switched off")
        return policy
    if "block" not in policy.actions:
        lift_blocks(policy=policy, actor=actor, now=now, reason="no longer blocks")
    below = fire_after_edit(policy=policy, before=before, now=now)
    if below:
        lift_blocks(
            policy=policy,
            actor=actor,
            now=now,
            reason="threshold raised",
            only_counters=below,
        )
    return policy
