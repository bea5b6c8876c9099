"""Conversations and their messages: written by hand or import, never counted here.

What a conversation costs is counted by usage events alone. One that is created here is
remembered as seen, so the first event that names it does not count it (CONTRACT A4).
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest

from accounts import ids
from accounts.actors import Actor
from accounts.errors import DuplicateExternalId, FieldError, InvalidBody, NotFound
from accounts.models import Account, Bot, Project
from accounts.services import append_change
from usage.conversations_seen import seen_id
from usage.models import Conversation, ConversationSeen, Message

ROLES = ("system", "user", "assistant", "tool")
MAX_META_BYTES = 16_384
MAX_TEXT_CHARACTERS = 200_000
MAX_TOKENS = 2**53 - 1
# A client's clock may run ahead of ours by as much, as with events (CONTRACT A6).
_AHEAD = timedelta(minutes=5)


@transaction.atomic
def create_conversation(
    *,
    account: Account,
    bot: Bot,
    user: str | None = None,
    external_id: str | None = None,
    started_at: datetime | None = None,
    last_activity_at: datetime | None = None,
    title: str = "",
    meta: Mapping[str, Any] | None = None,
    now: datetime,
) -> Conversation:
    """Register a conversation that never counts, such as one of an imported history.

    The last activity is the start where only that is given, else `now`. Raises
    DuplicateExternalId, InvalidBody, and NotFound for another account's bot.
    """
    if bot.account_id != account.id:
        raise NotFound
    started = started_at or min(last_activity_at or now, now)
    active = last_activity_at or (started if started_at else now)
    values = {
        "external_id": external_id,
        "user": user,
        "title": title,
        "meta": dict(meta or {}),
    }
    _check_texts(values)
    _check_times(started, active, now)
    conversation = Conversation(
        **values,
        id=ids.new_id(now),
        account=account,
        bot=bot,
        started_at=started,
        last_activity_at=active,
        created_at=now,
    )
    _insert(conversation)
    _remember(conversation)
    return conversation


@transaction.atomic
def append_message(
    *,
    conversation: Conversation,
    role: str,
    text: str | None = None,
    tokens: int = 0,
    meta: Mapping[str, Any] | None = None,
    created_at: datetime | None = None,
    now: datetime,
) -> Message:
    """Add a message; its text is kept only if the account stores text on purpose.

    Raises InvalidBody, and NotFound when the conversation is gone.
    """
    moment = created_at or now
    values = {"role": role, "text": text, "tokens": tokens, "meta": dict(meta or {})}
    _check_message(values, moment, now)
    # The row is locked before the message is written: pruning skips a locked row, and
    # what it has locked already is gone when this returns.
    mine = Conversation.objects.filter(
        account_id=conversation.account_id, id=conversation.id
    )
    if not mine.update(last_activity_at=Greatest(F("last_activity_at"), moment)):
        raise NotFound
    conversation.last_activity_at = max(conversation.last_activity_at, moment)
    if not _stores_text(conversation):
        values["text"] = None
    return Message.objects.create(
        id=ids.new_id(now),
        account_id=conversation.account_id,
        conversation=conversation,
        created_at=moment,
        **values,
    )


@transaction.atomic
def delete_conversation(
    *, conversation: Conversation, actor: Actor, now: datetime, reason: str = ""
) -> None:
    """Delete a conversation with its messages. Nothing is refunded (CONTRACT E3)."""
    target, account = conversation.public_id, conversation.account
    mine = Conversation.objects.filter(account=account, id=conversation.id)
    if not mine.select_for_update().exists():
        raise NotFound
    messages(conversation).delete()
    mine.delete()
    append_change(
        account=account,
        actor=actor,
        action="conversation.deleted",
        target=target,
        reason=reason,
        now=now,
    )


@transaction.atomic
def delete_message(*, message: Message, actor: Actor, now: datetime) -> None:
    """Delete one message for good. Nothing is refunded (CONTRACT E3).

    Raises NotFound when it is gone.
    """
    mine = Message.objects.filter(account_id=message.account_id, id=message.id)
    if not mine.delete()[0]:
        raise NotFound
    append_change(
        account=message.account,
        actor=actor,
        action="message.deleted",
        target=message.public_id,
        now=now,
    )


def conversations(
    account: Account, bot: Bot | None = None, *, project: Project | None = None
) -> QuerySet[Conversation]:
    """Return the conversations, newest first; of one bot, or of a project's bots."""
    found = Conversation.objects.filter(account=account).select_related("bot")
    if bot is not None:
        found = found.filter(bot=bot)
    if project is not None:
        found = found.filter(bot__project=project)
    return found.order_by("-id")


def conversation_of(
    account: Account, public_id: str, *, project: Project | None = None
) -> Conversation:
    """Return one conversation. Raises NotFound."""
    try:
        wanted = ids.decode_id(Conversation.prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = conversations(account, project=project).filter(id=wanted).first()
    if found is None:
        raise NotFound
    return found


def conversation_by_reference(account: Account, ref: str) -> Conversation:
    """Return the conversation with this id, or the only one with this external id.

    Raises NotFound, also when several bots have one with that external id.
    """
    found = conversations(account)
    try:
        found = found.filter(id=ids.decode_id(Conversation.prefix, ref))
    except ids.InvalidId:
        if not _storable(ref):
            raise NotFound from None
        found = found.filter(external_id=ref)
    rows = list(found[:2])
    if len(rows) != 1:
        raise NotFound
    return rows[0]


def messages(conversation: Conversation) -> QuerySet[Message]:
    """Return a conversation's messages, oldest first."""
    mine = Q(account_id=conversation.account_id, conversation_id=conversation.id)
    return Message.objects.filter(mine).order_by("created_at", "id")


def message_of(conversation: Conversation, public_id: str) -> Message:
    """Return one message of a conversation. Raises NotFound."""
    try:
        wanted = ids.decode_id(Message.prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None
    mine = messages(conversation).select_related("conversation", "account")
    found = mine.filter(id=wanted).first()
    if found is None:
        raise NotFound
    return found


def _insert(conversation: Conversation) -> None:
    try:
        with transaction.atomic():
            conversation.save(force_insert=True)
    except IntegrityError as error:
        if "conversation_external_id_is_unique" not in str(error):
            raise
        raise DuplicateExternalId(
            errors=[{"pointer": "/external_id", "detail": "is taken"}]
        ) from error


def _remember(conversation: Conversation) -> None:
    names = [conversation.public_id]
    if conversation.external_id is not None:
        names.append(conversation.external_id)
    ConversationSeen.objects.bulk_create(
        (
            ConversationSeen(
                id=seen_id(conversation.account_id, conversation.bot_id, name),
                account_id=conversation.account_id,
            )
            for name in sorted(names)
        ),
        ignore_conflicts=True,
    )


def _stores_text(conversation: Conversation) -> bool:
    # Read now: whoever holds the conversation may have read the account long ago.
    mine = Account.objects.filter(id=conversation.account_id)
    return bool(mine.values_list("stores_text", flat=True).get())


def _check_texts(values: Mapping[str, Any]) -> None:
    errors: list[FieldError] = []
    for name, longest in (("external_id", 200), ("user", 256), ("title", 300)):
        value = values[name]
        if value is None:
            continue
        if name != "title" and not value:
            errors.append({"pointer": f"/{name}", "detail": "must not be empty"})
        if len(value) > longest:
            errors.append(
                {"pointer": f"/{name}", "detail": f"has over {longest} characters"}
            )
        if not _storable(value):
            errors.append({"pointer": f"/{name}", "detail": "has characters we refuse"})
    errors += _meta_errors(values["meta"])
    if errors:
        raise InvalidBody(errors=errors)


def _check_times(started: datetime, active: datetime, now: datetime) -> None:
    errors: list[FieldError] = []
    if started > now + _AHEAD:
        errors.append({"pointer": "/started_at", "detail": "lies in the future"})
    if active > now + _AHEAD:
        errors.append({"pointer": "/last_activity_at", "detail": "lies in the future"})
    if active < started:
        errors.append({"pointer": "/last_activity_at", "detail": "is before the start"})
    if errors:
        raise InvalidBody(errors=errors)


def _check_message(values: Mapping[str, Any], moment: datetime, now: datetime) -> None:
    errors = _meta_errors(values["meta"])
    text, tokens = values["text"], values["tokens"]
    if values["role"] not in ROLES:
        errors.append({"pointer": "/role", "detail": f"is none of {', '.join(ROLES)}"})
    if text is not None and (len(text) > MAX_TEXT_CHARACTERS or not _storable(text)):
        errors.append({"pointer": "/text", "detail": "is too long or not plain text"})
    if type(tokens) is not int or not 0 <= tokens <= MAX_TOKENS:
        errors.append({"pointer": "/tokens", "detail": "is not a whole number ≥ 0"})
    if moment > now + _AHEAD:
        errors.append({"pointer": "/created_at", "detail": "lies in the future"})
    if errors:
        raise InvalidBody(errors=errors)


def _meta_errors(meta: Mapping[str, Any]) -> list[FieldError]:
    text = json.dumps(meta, ensure_ascii=False)
    if not _storable(text) or "\\u0000" in text:
        return [{"pointer": "/meta", "detail": "has characters we refuse"}]
    if len(text.encode()) > MAX_META_BYTES:
        return [{"pointer": "/meta", "detail": f"is over {MAX_META_BYTES} bytes"}]
    return []


def _storable(text: str) -> bool:
    """Say whether PostgreSQL can keep the text: no NUL, no lone surrogate."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
