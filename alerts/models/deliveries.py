"""What is told to whom: notices, and the outbox of messages."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, PublicIdModel
from alerts.models.alerts import Alert


class Notice(PublicIdModel):
    """Something that happened, as endpoints and hooks are told of it: type and data.

    `key` names what happened, so that the same is told once. It is kept for as long as
    an endpoint was told, because a repeat has to say the very same.
    """

    prefix = "ntc"

    account = models.ForeignKey(Account, models.CASCADE, related_name="notices")
    type = models.CharField(max_length=40)
    key = models.CharField(max_length=120)
    data = models.JSONField(default=dict)
    alert = models.ForeignKey(
        Alert, models.CASCADE, null=True, blank=True, related_name="notices"
    )
    happened_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="notice_in_account"),
            models.UniqueConstraint(
                fields=["account", "type", "key"], name="notice_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(dispatched_at=None),
                name="notice_to_dispatch",
            ),
            models.Index(fields=["happened_at"], name="notice_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.key}"


class Delivery(PublicIdModel):
    """One message to one recipient: the outbox.

    An e-mail is about an alert, or a digest of several, or asks an address whether it
    wants mail, or is a test. An empty recipient means the account's owners, found when
    it is sent. A webhook's recipient is the endpoint's id, and its body is its notice.
    """

    prefix = "dlv"

    class State(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        FAILED = "failed"
        HELD = "held"
        REDIRECTED = "redirected"

    class Purpose(models.TextChoices):
        ALERT = "alert"
        DIGEST = "digest"
        CONFIRMATION = "confirmation"
        NOTICE = "notice"
        TEST = "test"

    account = models.ForeignKey(Account, models.CASCADE, related_name="deliveries")
    alert = models.ForeignKey(
        Alert, models.CASCADE, null=True, blank=True, related_name="deliveries"
    )
    notice = models.ForeignKey(
        Notice, models.CASCADE, null=True, blank=True, related_name="deliveries"
    )
    digest = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="parts"
    )
    purpose = models.CharField(
        max_length=16,
        choices=Purpose,
        default=Purpose.ALERT,
        db_default=Purpose.ALERT.value,
    )
    channel = models.CharField(max_length=16)
    recipient = models.CharField(max_length=320, blank=True, default="")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")
    mail_hour = models.DateTimeField(null=True, blank=True)
    tries = models.JSONField(
        default=list, db_default=models.Value([], models.JSONField())
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "alert", "channel", "recipient"],
                condition=Q(channel="email"),
                name="delivery_once_per_recipient",
            ),
            models.UniqueConstraint(
                fields=["account", "notice", "recipient"],
                condition=Q(notice__isnull=False),
                name="delivery_once_per_endpoint",
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["email", "webhook"]),
                name="delivery_channel_is_known",
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=["pending", "sent", "failed", "held", "redirected"]
                ),
                name="delivery_state_is_known",
            ),
            models.UniqueConstraint(
                fields=["account", "id"], name="delivery_in_account"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state="pending"),
                name="delivery_due",
            ),
            models.Index(fields=["account", "recipient", "-id"], name="delivery_to"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.public_id}"

    @property
    def message_id(self) -> str:
        """The Message-ID or webhook-id: the same at every attempt."""
        return self.public_id

    @property
    def last_try(self) -> dict[str, Any]:
        """What came of the last attempt: at, status, latency_ms, error, answer."""
        return self.tries[-1] if self.tries else {}
