"""What people are told, and how it reaches them."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, PublicIdModel


class Alert(PublicIdModel):
    """One logical alert. A repeat of the same crossing is the same row.

    Policy, bot and counter are named by text, so that an alert outlives them.
    """

    prefix = "alr"

    class State(models.TextChoices):
        WARNING = "warning"
        BREACHED = "breached"
        RESOLVED = "resolved"

    account = models.ForeignKey(Account, models.CASCADE, related_name="alerts")
    kind = models.CharField(max_length=24, default="limit")
    policy_id = models.CharField(max_length=40, blank=True, default="")
    policy_name = models.CharField(max_length=200, blank=True, default="")
    counter = models.CharField(max_length=40, blank=True, default="")
    subject = models.JSONField(default=list)
    window_start = models.DateTimeField()
    resets_at = models.DateTimeField(null=True, blank=True)
    step = models.PositiveSmallIntegerField(default=100)
    state = models.CharField(max_length=16, choices=State, default=State.BREACHED)
    bot_id = models.CharField(max_length=40, blank=True, default="")
    metric = models.CharField(max_length=20, blank=True, default="")
    threshold = models.BigIntegerField(null=True, blank=True)
    used = models.BigIntegerField(null=True, blank=True)
    message = models.TextField(blank=True, default="")
    enforced = models.BooleanField(default=True)
    late = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="alert_in_account"),
            models.UniqueConstraint(
                fields=[
                    "account",
                    "policy_id",
                    "counter",
                    "window_start",
                    "kind",
                    "step",
                ],
                name="alert_once_per_window_and_step",
            ),
            models.CheckConstraint(
                condition=Q(step__gte=0, step__lte=100), name="alert_step_is_percent"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["warning", "breached", "resolved"]),
                name="alert_state_is_known",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-created_at"], name="alert_recent"),
        ]

    def __str__(self) -> str:
        return self.message or self.public_id


class Delivery(PublicIdModel):
    """One message to one recipient about one alert: the outbox.

    An empty recipient means the account's owners, found when it is sent.
    """

    prefix = "dlv"

    class State(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        FAILED = "failed"

    account = models.ForeignKey(Account, models.CASCADE, related_name="deliveries")
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=16)
    recipient = models.CharField(max_length=320, blank=True, default="")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "alert", "channel", "recipient"],
                name="delivery_once_per_recipient",
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["email", "webhook"]),
                name="delivery_channel_is_known",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "sent", "failed"]),
                name="delivery_state_is_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state="pending"),
                name="delivery_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.public_id}"

    @property
    def message_id(self) -> str:
        """The Message-ID or webhook-id: the same at every attempt."""
        return self.public_id
