"""Decisions as they were made: append-only, partitioned by time, without any text."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from accounts.models import Account, PublicIdModel


class DecisionRecord(PublicIdModel):
    """One decision. Names everything by text, so that it outlives what it names.

    `sequence` orders decisions and usage events as the ledger made them. `estimate`
    (metric to amount; cost in micro-USD) and `subject` are what was decided on.
    """

    prefix = "dec"

    # Its other indexes start with the account.
    account = models.ForeignKey(
        Account,
        models.CASCADE,
        related_name="decisions",
        db_constraint=False,
        db_index=False,
    )
    sequence = models.BigIntegerField()
    kind = models.CharField(max_length=16, default="authorize")
    key_id = models.CharField(max_length=40, blank=True, default="")
    allowed = models.BooleanField()
    decision = models.CharField(max_length=8)
    reason_code = models.CharField(max_length=32)
    message = models.TextField(blank=True, default="")
    enforced = models.BooleanField()
    rollout_mode = models.CharField(max_length=16, null=True, blank=True)
    policy_id = models.CharField(max_length=40, null=True, blank=True)
    policy_target = models.CharField(max_length=40)
    policy_user = models.CharField(max_length=256, null=True, blank=True)
    policy_project_id = models.CharField(max_length=40, null=True, blank=True)
    model = models.CharField(max_length=200, null=True, blank=True)
    estimate = models.JSONField(default=dict)
    subject = models.JSONField(default=dict)
    policies = models.JSONField(default=list)
    triggered_categories = ArrayField(models.CharField(max_length=40), default=list)
    allowlist_hits = ArrayField(models.CharField(max_length=500), default=list)
    denylist_hits = ArrayField(models.CharField(max_length=500), default=list)
    retry_after = models.BigIntegerField(null=True, blank=True)
    reservation_id = models.CharField(max_length=40, null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["account", "-id"], name="decision_recent"),
            models.Index(
                fields=["account", "policy_target", "-id"], name="decision_of_bot"
            ),
            models.Index(fields=["account", "sequence"], name="decision_sequence"),
        ]

    def __str__(self) -> str:
        return f"{self.decision} {self.reason_code} {self.public_id}"
