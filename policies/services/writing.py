"""Create, replace, restore and archive policies, one revision at a time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import ids
from accounts.actors import Actor
from accounts.errors import AlreadyArchived, InvalidBody, NotFound, StaleRevision
from accounts.models import Account, Project
from accounts.services import append_change, bump_version
from policies import rules
from policies.models import Policy, PolicyRevision
from policies.services.references import Resolved, resolve


@transaction.atomic
def create_policy(
    *,
    account: Account,
    document: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    project: Project | None = None,
) -> Policy:
    """Write a policy from a canonical document; it counts from now on.

    `project` is the one it belongs to (CONTRACT G7). Raises UnknownReference.
    """
    bump_version(account_id=account.id)
    found = resolve(account=account, document=document, project=project)
    policy = Policy(
        id=ids.new_id(now),
        account=account,
        project=project,
        type=document["type"],
        created_at=now,
    )
    _fill(policy, found, now=now)
    policy.save(force_insert=True)
    _remember(policy, "policy.created", changes=[], actor=actor, reason="", now=now)
    return policy


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
    """Give a policy a new document, as its next revision.

    A limit whose identity stays keeps the moment from which it counts (CONTRACT B5).
    Raises StaleRevision, AlreadyArchived, UnknownReference, and InvalidBody when the
    type would change.
    """
    policy = _locked(policy, expected_revision)
    return _replace(
        policy, document, "policy.updated", actor=actor, reason=reason, now=now
    )


@transaction.atomic
def restore_revision(
    *,
    policy: Policy,
    number: int,
    actor: Actor,
    now: datetime,
    expected_revision: int | None,
    reason: str = "",
) -> Policy:
    """Make an earlier revision's document the next revision.

    What is kept as its reason names the revision, with the `reason` behind it. Raises
    NotFound for a number that was never given, and what `replace_policy` does.
    """
    policy = _locked(policy, expected_revision)
    earlier = policy.revisions.filter(number=number).first()
    if earlier is None:
        raise NotFound
    restored = f"revision {number} restored"
    return _replace(
        policy,
        earlier.document,
        "policy.restored",
        actor=actor,
        reason=f"{restored}: {reason}" if reason else restored,
        now=now,
    )


@transaction.atomic
def archive_policy(
    *,
    policy: Policy,
    actor: Actor,
    now: datetime,
    expected_revision: int | None = None,
    reason: str = "",
) -> Policy:
    """Stop a policy for good. Its revisions, counters and decisions stay.

    Raises StaleRevision and AlreadyArchived.
    """
    policy = _locked(policy, expected_revision)
    policy.archived_at = now
    policy.updated_at = now
    policy.save(update_fields=["archived_at", "updated_at"])
    append_change(
        account=policy.account,
        actor=actor,
        action="policy.archived",
        target=policy.public_id,
        reason=reason,
        now=now,
    )
    return policy


def _locked(policy: Policy, expected_revision: int | None) -> Policy:
    bump_version(account_id=policy.account_id)
    fresh = Policy.objects.select_related(
        "account", "project", "scope_bot", "scope_project"
    ).get(id=policy.id)
    if fresh.archived_at is not None:
        raise AlreadyArchived
    if expected_revision is not None and fresh.revision != expected_revision:
        raise StaleRevision
    return fresh


def _replace(
    policy: Policy,
    document: Mapping[str, Any],
    action: str,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Policy:
    if document["type"] != policy.type:
        detail = f"cannot be changed; this policy's is {policy.type}"
        raise InvalidBody(errors=[{"pointer": "/type", "detail": detail}])
    before = policy.document
    found = resolve(account=policy.account, document=document, project=policy.project)
    policy.revision += 1
    _fill(policy, found, now=now)
    policy.save()
    changes = rules.diff(before, policy.document)
    _remember(policy, action, changes=changes, actor=actor, reason=reason, now=now)
    return policy


def _fill(policy: Policy, found: Resolved, *, now: datetime) -> None:
    document = found.document
    scope = document["scope"]
    policy.document = document
    policy.name = document["name"]
    policy.description = document["description"]
    policy.limits = document.get("limits", [])
    policy.actions = document.get("actions", {})
    policy.scope_project = found.project
    policy.scope_bot = found.bot
    policy.scope_user = scope.get("user")
    policy.scope_model = scope.get("model")
    policy.rollout_mode = document["rollout_mode"]
    policy.counting_since = _counting_since(policy, now=now)
    policy.updated_at = now


def _counting_since(policy: Policy, *, now: datetime) -> dict[str, str]:
    if policy.type != Policy.Type.USAGE:
        return {}
    rule = rules.usage_rule(
        policy_id=policy.public_id, revision=policy.revision, document=policy.document
    )
    known = policy.counting_since
    return {limit.key: known.get(limit.key, now.isoformat()) for limit in rule.limits}


def _remember(
    policy: Policy,
    action: str,
    *,
    changes: list[dict[str, Any]],
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    PolicyRevision.objects.create(
        id=ids.new_id(now),
        account=policy.account,
        policy=policy,
        number=policy.revision,
        document=policy.document,
        changes=changes,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label,
        reason=reason,
        created_at=now,
    )
    append_change(
        account=policy.account,
        actor=actor,
        action=action,
        target=policy.public_id,
        changes=changes,
        reason=reason,
        now=now,
    )
