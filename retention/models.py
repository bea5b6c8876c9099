"""What was let go and what must not be: receipts of runs, and legal holds."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Account, Bot, Project, PublicIdModel
from policies.models import Policy


class PruneRun(PublicIdModel):
    """One run of one retention policy, and what it deleted.

    A run goes on, over as many turns of the worker as it takes, until nothing older
    than its `cutoff` is left; there is one such run for each rule at a time. Between
    its turns it is `paused`; until a person resumes it if it waits for that. A run by
    the house's own rule (events after 400 days, decisions by plan) has no policy and
    revision 0, and so has the erasure of a user's data, which names the user by a
    pseudonym (`subject`); `erasing` is the user's name as long as that goes on.

    `deleted` maps a table to a number of rows, `skipped` a reason to one. `due` and
    `total` are what was due and what there was when the run began, `held` what legal
    holds kept from it. `worked_seconds` is the time that its batches took.
    """

    prefix = "run"

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        PAUSED = "paused"
        COMPLETED = "completed"
        STOPPED = "stopped"
        FAILED = "failed"

    class Waiting(models.TextChoices):
        SHARE = "share"
        CLOCK = "clock"
        RESUME = "resume"

    account = models.ForeignKey(Account, models.CASCADE, related_name="prune_runs")
    policy = models.ForeignKey(
        Policy, models.CASCADE, null=True, blank=True, related_name="prune_runs"
    )
    policy_revision = models.PositiveIntegerField()
    target = models.CharField(max_length=20)
    cutoff = models.DateTimeField()
    state = models.CharField(max_length=12, choices=State, default=State.RUNNING)
    waiting_for = models.CharField(
        max_length=12, choices=Waiting, blank=True, default=""
    )
    due = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    deleted = models.JSONField(default=dict)
    skipped = models.JSONField(default=dict)
    remaining = models.BigIntegerField(default=0)
    trigger = models.CharField(max_length=60, default="schedule")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.CharField(max_length=300, blank=True, default="")
    started_at = models.DateTimeField(default=timezone.now)
    worked_at = models.DateTimeField(null=True, blank=True)
    worked_seconds = models.FloatField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)
    digest = models.CharField(max_length=64, blank=True, default="")
    subject = models.CharField(max_length=80, blank=True, default="")
    erasing = models.CharField(max_length=256, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    state__in=[
                        "waiting",
                        "running",
                        "paused",
                        "completed",
                        "stopped",
                        "failed",
                    ]
                ),
                name="run_state_is_known",
            ),
            models.UniqueConstraint(
                fields=["account", "policy", "target"],
                condition=Q(state__in=["waiting", "running", "paused"], subject=""),
                nulls_distinct=False,
                name="run_open_once_for_each_rule",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-started_at"], name="run_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.public_id}"

    @property
    def is_put_aside(self) -> bool:
        """Say whether a person paused it, so that nothing goes until one resumes it."""
        waits = self.waiting_for == self.Waiting.RESUME
        return waits and self.state == self.State.PAUSED


class LegalHold(PublicIdModel):
    """What must not be deleted, whatever a rule says, until somebody releases it.

    `ref` names what is held as it is named outside: a public id, or the user. `bots`
    are those that a project had when it was held or since, and those that left the
    user held: their conversations stay held if the bots are moved elsewhere (a trigger
    of the database adds them). A hold whose `until` has come holds nothing any more.
    """

    prefix = "hld"

    class Kind(models.TextChoices):
        ACCOUNT = "account"
        PROJECT = "project"
        BOT = "bot"
        USER = "user"
        CONVERSATION = "conversation"

    account = models.ForeignKey(Account, models.CASCADE, related_name="legal_holds")
    kind = models.CharField(max_length=12, choices=Kind)
    ref = models.CharField(max_length=256)
    project = models.ForeignKey(
        Project, models.PROTECT, null=True, blank=True, related_name="legal_holds"
    )
    bot = models.ForeignKey(
        Bot, models.PROTECT, null=True, blank=True, related_name="legal_holds"
    )
    bots = ArrayField(models.UUIDField(), default=list, blank=True)
    conversation_id = models.UUIDField(null=True, blank=True)
    reason = models.TextField()
    owner = models.CharField(max_length=300)
    until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=300, blank=True, default="")
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.CharField(max_length=300, blank=True, default="")
    release_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="account", project=None, bot=None)
                | Q(kind="user", project=None, bot=None)
                | Q(kind="project", project__isnull=False, bot=None)
                | Q(kind="bot", project=None, bot__isnull=False)
                | Q(
                    kind="conversation",
                    project=None,
                    bot=None,
                    conversation_id__isnull=False,
                ),
                name="hold_names_what_it_holds",
            ),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gt=F("created_at")),
                name="hold_ends_after_it_begins",
            ),
        ]
        indexes = [
            models.Index(
                fields=["account"], condition=Q(released_at=None), name="hold_live"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref}"


class ClockReading(models.Model):
    """What the wall clock and the clock that nobody sets read at the last run.

    One row for each time a machine was started (`boot`): within it, both clocks must
    go on alike, whichever process looks at them.
    """

    boot = models.CharField(primary_key=True, max_length=64)
    steady_seconds = models.FloatField()
    wall = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.wall:%Y-%m-%d %H:%M} {self.boot}"
