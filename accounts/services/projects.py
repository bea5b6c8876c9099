"""Projects: parts of an account whose keys and budgets never mix."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import ids
from accounts.actors import Actor
from accounts.errors import AlreadyArchived, Conflict
from accounts.models import Account, Project
from accounts.services.keys import revoke_live_keys
from accounts.services.records import (
    append_change,
    assign,
    bump_version,
    unique_external_id,
)


@transaction.atomic
def create_project(
    *,
    account: Account,
    name: str,
    external_id: str | None = None,
    description: str = "",
    actor: Actor,
    now: datetime,
) -> Project:
    """Make a project. Raises DuplicateExternalId."""
    bump_version(account_id=account.id)
    project = Project(
        id=ids.new_id(now),
        account=account,
        name=name,
        external_id=external_id,
        description=description,
        created_at=now,
        updated_at=now,
    )
    with unique_external_id():
        project.save(force_insert=True)
    append_change(
        account=account,
        actor=actor,
        action="project.created",
        target=project.public_id,
        now=now,
    )
    return project


@transaction.atomic
def update_project(
    *, project: Project, changes: Mapping[str, Any], actor: Actor, now: datetime
) -> Project:
    """Change name, external_id or description. Raises AlreadyArchived."""
    project = _locked(project)
    record = assign(project, changes)
    if not record:
        return project
    project.updated_at = now
    with unique_external_id():
        project.save()
    append_change(
        account=project.account,
        actor=actor,
        action="project.updated",
        target=project.public_id,
        changes=record,
        now=now,
    )
    return project


@transaction.atomic
def archive_project(
    *, project: Project, actor: Actor, now: datetime, reason: str = ""
) -> Project:
    """Stop a project for good, and its keys with it; its external id is freed.

    Raises Conflict while it has bots.
    """
    project = _locked(project)
    if project.bots.filter(archived_at=None).exists():
        raise Conflict("The project still has bots; move or archive them first.")
    record = assign(project, {"external_id": None})
    project.archived_at = now
    project.updated_at = now
    project.save()
    revoke_live_keys(
        keys=project.api_keys.all(), actor=actor, now=now, reason="project archived"
    )
    append_change(
        account=project.account,
        actor=actor,
        action="project.archived",
        target=project.public_id,
        changes=record,
        reason=reason,
        now=now,
    )
    return project


def _locked(project: Project) -> Project:
    bump_version(account_id=project.account_id)
    fresh = Project.objects.select_related("account").get(id=project.id)
    if fresh.archived_at is not None:
        raise AlreadyArchived
    return fresh
