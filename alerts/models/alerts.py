"""What people are told, and how it reaches them."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, PublicIdModel


class Alert(PublicIdModel):
    """One logical alert. A repeat of the same crossing is the same row.

    Policy, bot and counter are named by text, so that an alert outlives them. The row
    is an outbox itself: `announced` says what endpoints and hooks were told of it.
    """

    prefix = "alr"

    class State(models.TextChoices):
        WARNING = "warning"
        BREACHED = "breached"
        RESOLVED = "resolved"

    class Announced(models.IntegerChoices):
        NOTHING = 0
        OPENED = 1
        RESOLVED = 2

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
    snoozed_until = models.DateTimeField(null=True, blank=True)
    snoozed_by = models.CharField(max_length=300, blank=True, default="", db_default="")
    actions = models.JSONField(
        default=list, db_default=models.Value([], models.JSONField()), blank=True
    )
    announced = models.PositiveSmallIntegerField(
        choices=Announced, default=0, db_default=0
    )
    trouble = models.TextField(blank=True, default="", db_default="")

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
            models.Index(
                fields=["id"],
                condition=Q(announced=0) | Q(announced=1, state="resolved"),
                name="alert_to_announce",
            ),
        ]

    def is_snoozed(self, now: datetime) -> bool:
        """Whether somebody has put it aside until a moment that is still to come."""
        return self.snoozed_until is not None and self.snoozed_until > now

    def __str__(self) -> str:
        return self.message or self.public_id
