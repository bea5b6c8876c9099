"""Bots: what consumes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import ids
from accounts.actors import Actor
from accounts.errors import AlreadyArchived, StaleRevision
from accounts.models import Account, Bot, Project
from accounts.services.keys import revoke_live_keys
from accounts.services.records import (
    append_change,
    assign,
    bump_version,
    unique_external_id,
)


@transaction.atomic
def create_bot(
    *,
    account: Account,
    name: str,
    external_id: str | None = None,
    project: Project | None = None,
    owner: str | None = None,
    description: str = "",
    actor: Actor,
    now: datetime,
) -> Bot:
    """Register a bot. `owner` is the user its calls are for when they name none.

    Raises DuplicateExternalId.
    """
    bump_version(account_id=account.id)
    bot = Bot(
        id=ids.new_id(now),
        account=account,
        project=project,
        name=name,
        external_id=external_id,
        owner=owner,
        description=description,
        created_at=now,
        updated_at=now,
    )
    with unique_external_id():
        bot.save(force_insert=True)
    append_change(
        account=account,
        actor=actor,
        action="bot.created",
        target=bot.public_id,
        now=now,
    )
    return bot


@transaction.atomic
def update_bot(
    *,
    bot: Bot,
    changes: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    expected_revision: int | None = None,
) -> Bot:
    """Change name, external_id, project, owner, description or state.

    Raises StaleRevision, AlreadyArchived and DuplicateExternalId.
    """
    bot = locked_bot(bot, expected_revision=expected_revision)
    record = assign(bot, changes)
    if record:
        save_bot(bot, now=now)
        _append(bot, "bot.updated", actor=actor, changes=record, now=now)
    return bot


@transaction.atomic
def archive_bot(
    *,
    bot: Bot,
    actor: Actor,
    now: datetime,
    expected_revision: int | None = None,
    reason: str = "",
) -> Bot:
    """Remove a bot for good, and revoke its keys; its external id is freed.

    What it did stays. Raises StaleRevision and AlreadyArchived.
    """
    bot = locked_bot(bot, expected_revision=expected_revision)
    record = assign(bot, {"external_id": None})
    bot.archived_at = now
    save_bot(bot, now=now)
    revoke_live_keys(
        keys=bot.api_keys.all(), actor=actor, now=now, reason="bot archived"
    )
    _append(bot, "bot.archived", actor=actor, changes=record, reason=reason, now=now)
    return bot


@transaction.atomic
def set_bot_state(
    *, bot: Bot, state: str, reason: str, actor: Actor, now: datetime
) -> Bot:
    """Make a bot active, disabled or revoked; nothing else comes with it.

    Raises AlreadyArchived.
    """
    bot = locked_bot(bot)
    record = assign(bot, {"state": state})
    if record:
        save_bot(bot, now=now)
        action = {"active": "restored"}.get(state, state)
        _append(
            bot, f"bot.{action}", actor=actor, changes=record, reason=reason, now=now
        )
    return bot


def locked_bot(bot: Bot, *, expected_revision: int | None = None) -> Bot:
    """Take the account's lock and read the bot again.

    Raises StaleRevision and AlreadyArchived.
    """
    bump_version(account_id=bot.account_id)
    fresh = Bot.objects.select_related("account", "project").get(id=bot.id)
    if fresh.archived_at is not None:
        raise AlreadyArchived
    if expected_revision is not None and fresh.revision != expected_revision:
        raise StaleRevision
    return fresh


def save_bot(bot: Bot, *, now: datetime) -> None:
    """Write a changed bot as its next revision."""
    bot.revision += 1
    bot.updated_at = now
    with unique_external_id():
        bot.save()


def _append(bot: Bot, action: str, **details: Any) -> None:
    append_change(account=bot.account, action=action, target=bot.public_id, **details)
