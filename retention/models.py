"""What was let go: one receipt for each pruning run."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, PublicIdModel
from policies.models import Policy


class PruneRun(PublicIdModel):
    """One run of one retention policy, and what it deleted.

    A run by the house's own rule (events after 400 days, decisions by plan) has no
    policy and revision 0. `deleted` maps a table to a number of rows. Nothing younger
    than `cutoff` was.
    """

    prefix = "run"

    class State(models.TextChoices):
        RUNNING = "running"
        COMPLETED = "completed"
        PAUSED = "paused"
        FAILED = "failed"

    account = models.ForeignKey(Account, models.CASCADE, related_name="prune_runs")
    policy = models.ForeignKey(
        Policy, models.CASCADE, null=True, blank=True, related_name="prune_runs"
    )
    policy_revision = models.PositiveIntegerField()
    target = models.CharField(max_length=20)
    cutoff = models.DateTimeField()
    state = models.CharField(max_length=12, choices=State, default=State.RUNNING)
    deleted = models.JSONField(default=dict)
    remaining = models.BigIntegerField(default=0)
    trigger = models.CharField(max_length=60, default="schedule")
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    digest = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["running", "completed", "paused", "failed"]),
                name="run_state_is_known",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-started_at"], name="run_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.public_id}"
