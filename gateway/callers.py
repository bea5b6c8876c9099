"""For whom a call is made: bot, user, conversation and tags (CONTRACT H1)."""

import asyncio
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connections

from accounts import ids
from accounts.actors import SYSTEM
from accounts.errors import DuplicateExternalId
from accounts.models import Account, Project
from accounts.services import create_bot
from gateway.exchange import Exchange
from gateway.protocol import USER_MAX, Refusal, plain
from gateway.routes import default_name

_NAME_MAX: Final = 200
_MOST_TAGS: Final = 16
_TAG_MAX: Final = 64
_VALUE_MAX: Final = 128


def named_bot(exchange: Exchange, bound_to: UUID | None) -> str | None:
    """Return the bot that a key is bound to, else the one that the client names."""
    if bound_to is not None:
        return ids.encode_id("bot", bound_to)
    return _text(exchange, "X-Policy-Target", _NAME_MAX)


def named_user(exchange: Exchange, user: str | None) -> str | None:
    """Return the body's user, else the header's."""
    return user or _text(exchange, "X-Policy-User", USER_MAX)


def named_conversation(exchange: Exchange) -> str | None:
    """Return the conversation that the client names."""
    return _text(exchange, "X-Policy-Conversation", _NAME_MAX)


def named_tags(exchange: Exchange) -> dict[str, str] | None:
    """Return the tags of `X-Policy-Tags: team=blue, env=test`. Raises Refusal."""
    text = _text(exchange, "X-Policy-Tags", _MOST_TAGS * (_TAG_MAX + _VALUE_MAX + 3))
    if text is None:
        return None
    tags: dict[str, str] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if not 0 < len(name) <= _TAG_MAX or len(value) > _VALUE_MAX:
            raise _unusable("X-Policy-Tags")
        tags[name] = value
    if len(tags) > _MOST_TAGS:
        raise _unusable("X-Policy-Tags")
    return tags


def _text(exchange: Exchange, name: str, longest: int) -> str | None:
    raw = exchange.headers.get(name.lower().encode("ascii"))
    if not raw:
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    if len(text) > longest or not plain(text):
        raise _unusable(name)
    return text.strip() or None


def _unusable(name: str) -> Refusal:
    return Refusal(400, f"The header {name} is not usable.", param=name)


async def make_default_bot(
    account_id: UUID, project_id: UUID | None, now: datetime
) -> None:
    """Make the bot of a project's or the account's calls that name none."""
    await asyncio.to_thread(_make, account_id, project_id, now)


def _make(account_id: UUID, project_id: UUID | None, now: datetime) -> None:
    account = Account.objects.get(id=account_id)
    project = None
    fields: dict[str, Any] = {"name": "Default bot"}
    if project_id is not None:
        project = Project.objects.get(account=account, id=project_id)
        fields["name"] = f"Default bot of {project.name}"[:_NAME_MAX]
    try:
        create_bot(
            account=account,
            project=project,
            external_id=default_name(project_id),
            description="Made by the gateway for calls that name no bot.",
            actor=SYSTEM,
            now=now,
            **fields,
        )
    except DuplicateExternalId:
        # Another process was quicker.
        return
    finally:
        connections.close_all()
