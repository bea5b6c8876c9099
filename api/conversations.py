"""Conversations and their messages: create or import, list, read, delete."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import NotFound
from api import examples
from api.callers import Caller, queried_bot, referred_bot
from api.endpoint import Endpoint, invalid_query
from api.fields import Body, Choice, Count, JsonObject, Moment, Text, instant
from api.listing import PAGING, each, listed
from api.schema import filters, operation, page, page_of
from retention.holding import delete_conversation, delete_message
from usage.conversations import (
    MAX_TEXT_CHARACTERS,
    ROLES,
    append_message,
    conversation_of,
    conversations,
    create_conversation,
    message_of,
    messages,
)
from usage.models import Conversation, Message


class ConversationBody(Body):
    """A conversation, as it happens or from a history."""

    bot = Text(max_length=200)
    user = Text(max_length=256, allow_null=True, default=None)
    external_id = Text(max_length=200, allow_null=True, default=None)
    started_at = Moment(allow_null=True, default=None)
    last_activity_at = Moment(allow_null=True, default=None)
    title = Text(max_length=300, allow_blank=True, default="")
    meta = JsonObject(default=dict)


class MessageBody(Body):
    """A message; its text is kept only if the account stores text."""

    role = Choice(choices=list(ROLES))
    text = Text(
        max_length=MAX_TEXT_CHARACTERS,
        allow_null=True,
        allow_blank=True,
        default=None,
        lines=True,
    )
    tokens = Count(default=0)
    meta = JsonObject(default=dict)
    created_at = Moment(allow_null=True, default=None)


class ConversationAnswer(serializers.Serializer[Conversation]):
    """A conversation."""

    id = serializers.CharField(source="public_id")
    bot = serializers.CharField(source="bot.public_id")
    user = serializers.CharField(allow_null=True)
    external_id = serializers.CharField(allow_null=True)
    title = serializers.CharField()
    meta = serializers.DictField()
    started_at = serializers.DateTimeField()
    last_activity_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()


class MessageAnswer(serializers.Serializer[Message]):
    """A message; `text` is null where it is not stored."""

    id = serializers.CharField(source="public_id")
    role = serializers.ChoiceField(choices=list(ROLES))
    text = serializers.CharField(allow_null=True)
    tokens = serializers.IntegerField()
    meta = serializers.DictField()
    created_at = serializers.DateTimeField()


def _visible(caller: Caller) -> QuerySet[Conversation]:
    return conversations(caller.account, caller.bot, project=caller.project)


def _visible_conversation(caller: Caller, public_id: str) -> Conversation:
    found = conversation_of(caller.account, public_id, project=caller.project)
    if caller.bot is not None and found.bot_id != caller.bot.id:
        raise NotFound
    return found


class Conversations(Endpoint):
    """The conversations of an account."""

    scopes = {"GET": "conversations:read", "POST": "conversations:write"}
    queries = PAGING | {"bot", "user", "external_id", "from", "to"}

    @operation(
        "conversations_list",
        "List conversations",
        answer=page_of(ConversationAnswer, "ConversationPage"),
        shows=page(examples.CONVERSATION),
        parameters=filters(
            bot="id or external id of a bot",
            user="of this user",
            external_id="with this external id",
            **{
                "from": "last active at or after this moment",
                "to": "last active before this moment",
            },
        ),
    )
    def get(self, request: Request) -> Response:
        """List conversations, the newest first."""
        rows = _visible(self.caller)
        ref = self.query("bot")
        if ref is not None:
            bot = queried_bot(self.caller, ref)
            rows = rows.none() if bot is None else rows.filter(bot=bot)
        for name in ("user", "external_id"):
            value = self.query(name)
            rows = rows if value is None else rows.filter(**{name: value})
        for name, lookup in (("from", "gte"), ("to", "lt")):
            text = self.query(name)
            if text is not None:
                moment = instant(text)
                if moment is None:
                    raise invalid_query(name, "must be a moment with an offset")
                rows = rows.filter(**{f"last_activity_at__{lookup}": moment})
        return listed(
            request,
            rows,
            show=each(ConversationAnswer),
            newest_first=True,
        )

    @operation(
        "conversations_create",
        "Register a conversation",
        request=ConversationBody,
        sends=examples.CONVERSATION_SENT,
        answer=ConversationAnswer,
        shows=examples.CONVERSATION,
        status=201,
    )
    def post(self, request: Request) -> Response:
        """Register or import a conversation; this never counts (CONTRACT A4)."""
        caller = self.caller
        values: dict[str, Any] = self.body(ConversationBody)
        values["bot"] = referred_bot(caller, values["bot"], "/bot")
        made = create_conversation(account=caller.account, now=timezone.now(), **values)
        return Response(ConversationAnswer(made).data, status=201)


class OneConversation(Endpoint):
    """One conversation."""

    scopes = {"GET": "conversations:read", "DELETE": "conversations:write"}

    @operation(
        "conversations_read",
        "Read a conversation",
        answer=ConversationAnswer,
        shows=examples.CONVERSATION,
    )
    def get(self, request: Request, conversation_id: str) -> Response:
        """Read a conversation."""
        found = _visible_conversation(self.caller, conversation_id)
        return Response(ConversationAnswer(found).data)

    @operation(
        "conversations_delete",
        "Delete a conversation",
        answer=None,
        shows=None,
        status=204,
    )
    def delete(self, request: Request, conversation_id: str) -> Response:
        """Delete a conversation and its messages; what was counted stays.

        One that a legal hold keeps is refused with 409 `held`.
        """
        caller = self.caller
        delete_conversation(
            conversation=_visible_conversation(caller, conversation_id),
            actor=caller.actor,
            now=timezone.now(),
        )
        return Response(status=204)


class Messages(Endpoint):
    """The messages of a conversation."""

    scopes = {"GET": "conversations:read", "POST": "conversations:write"}
    queries = PAGING

    @operation(
        "conversations_list_messages",
        "List messages",
        answer=page_of(MessageAnswer, "MessagePage"),
        shows=page(examples.MESSAGE),
        parameters=filters(),
    )
    def get(self, request: Request, conversation_id: str) -> Response:
        """List messages in the order they were recorded."""
        found = _visible_conversation(self.caller, conversation_id)
        return listed(
            request,
            messages(found),
            show=each(MessageAnswer),
        )

    @operation(
        "conversations_append_message",
        "Append a message",
        request=MessageBody,
        sends=examples.MESSAGE_SENT,
        answer=MessageAnswer,
        shows=examples.MESSAGE,
        status=201,
    )
    def post(self, request: Request, conversation_id: str) -> Response:
        """Append a message; this is activity, and never counts."""
        found = _visible_conversation(self.caller, conversation_id)
        values = self.body(MessageBody)
        made = append_message(conversation=found, now=timezone.now(), **values)
        return Response(MessageAnswer(made).data, status=201)


class OneMessage(Endpoint):
    """One message."""

    scopes = {"GET": "conversations:read", "DELETE": "conversations:write"}

    @operation(
        "conversations_read_message",
        "Read a message",
        answer=MessageAnswer,
        shows=examples.MESSAGE,
    )
    def get(self, request: Request, conversation_id: str, message_id: str) -> Response:
        """Read a message."""
        found = _visible_conversation(self.caller, conversation_id)
        return Response(MessageAnswer(message_of(found, message_id)).data)

    @operation(
        "conversations_delete_message",
        "Delete a message",
        answer=None,
        shows=None,
        status=204,
    )
    def delete(
        self, request: Request, conversation_id: str, message_id: str
    ) -> Response:
        """Delete a message; 409 `held` if a legal hold keeps its conversation."""
        caller = self.caller
        found = _visible_conversation(caller, conversation_id)
        delete_message(
            message=message_of(found, message_id),
            actor=caller.actor,
            now=timezone.now(),
        )
        return Response(status=204)
