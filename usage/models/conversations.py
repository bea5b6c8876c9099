"""Conversations and their messages."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, Bot, PublicIdModel


class Conversation(PublicIdModel):
    """A conversation of a bot. What it cost is counted elsewhere, for ever."""

    prefix = "cnv"

    account = models.ForeignKey(Account, models.CASCADE, related_name="conversations")
    bot = models.ForeignKey(Bot, models.PROTECT, related_name="conversations")
    external_id = models.CharField(max_length=200, null=True, blank=True)
    user = models.CharField(max_length=256, null=True, blank=True)
    title = models.CharField(max_length=300, blank=True, default="")
    meta = models.JSONField(default=dict)
    started_at = models.DateTimeField(default=timezone.now)
    last_activity_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "id"], name="conversation_in_account"
            ),
            models.UniqueConstraint(
                fields=["account", "bot", "external_id"],
                name="conversation_external_id_is_unique",
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "last_activity_at"], name="conversation_age"
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.external_id or self.public_id


class ConversationSeen(models.Model):
    """A digest of (account, bot, conversation id): it counts once, for ever.

    Nothing of the conversation can be read back from it, so it outlives pruning
    (CONTRACT A4).
    """

    id = models.UUIDField(primary_key=True, editable=False)
    account = models.ForeignKey(
        Account, models.CASCADE, related_name="conversations_seen", db_constraint=False
    )

    class Meta:
        verbose_name_plural = "conversations seen"

    def __str__(self) -> str:
        return str(self.id)


class Message(PublicIdModel):
    """One message. Its text is kept only if the account stores text on purpose."""

    prefix = "msg"

    account = models.ForeignKey(Account, models.CASCADE, related_name="messages")
    # `message_conversation_same_account` says this and more; two would ask twice.
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="messages", db_constraint=False
    )
    role = models.CharField(max_length=20)
    text = models.TextField(null=True, blank=True)
    tokens = models.BigIntegerField(default=0)
    meta = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=["system", "user", "assistant", "tool"]),
                name="message_role_is_known",
            ),
            models.CheckConstraint(condition=Q(tokens__gte=0), name="message_tokens"),
        ]
        indexes = [
            models.Index(
                fields=["account", "conversation", "created_at"],
                name="message_of_conversation",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.public_id}"
