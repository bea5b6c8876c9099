"""What is written down: policies, their revisions, and the blocks they caused."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Account, Bot, Project, PublicIdModel


class Policy(PublicIdModel):
    """A rule that an account wrote. `document` is the canonical form of CONTRACT F.

    `limits`, `actions` and the scope columns repeat parts of the document, so that
    the database can check and find them. `counting_since` maps a limit's key to the
    moment from which its counters count (CONTRACT B5). `alias`, `meta` and
    `foreign_form` hold what the form of another product says besides (CONTRACT F3).
    """

    prefix = "pol"

    class Type(models.TextChoices):
        USAGE = "usage"
        RETENTION = "retention"
        CONTENT = "content"

    class Rollout(models.TextChoices):
        OFF = "off"
        SHADOW = "shadow"
        ENFORCE = "enforce"

    account = models.ForeignKey(Account, models.CASCADE, related_name="policies")
    project = models.ForeignKey(
        Project, models.PROTECT, null=True, blank=True, related_name="policies"
    )
    type = models.CharField(max_length=16, choices=Type)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    document = models.JSONField()
    limits = models.JSONField(default=list)
    actions = models.JSONField(default=dict)
    scope_project = models.ForeignKey(
        Project, models.PROTECT, null=True, blank=True, related_name="scoped_policies"
    )
    scope_bot = models.ForeignKey(
        Bot, models.PROTECT, null=True, blank=True, related_name="scoped_policies"
    )
    scope_user = models.CharField(max_length=256, null=True, blank=True)
    scope_model = models.CharField(max_length=200, null=True, blank=True)
    rollout_mode = models.CharField(
        max_length=16, choices=Rollout, default=Rollout.ENFORCE
    )
    counting_since = models.JSONField(default=dict)
    revision = models.PositiveIntegerField(default=1)
    alias = models.CharField(max_length=200, null=True, blank=True)
    meta = models.JSONField(default=dict)
    foreign_form = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="policy_in_account"),
            models.CheckConstraint(
                condition=Q(type__in=["usage", "retention", "content"]),
                name="policy_type_is_known",
            ),
            models.CheckConstraint(
                condition=Q(rollout_mode__in=["off", "shadow", "enforce"]),
                name="policy_rollout_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(type="usage") | (~Q(limits=[]) & ~Q(actions={})),
                name="policy_of_usage_has_a_limit_and_an_action",
            ),
            models.CheckConstraint(
                condition=Q(revision__gte=1), name="policy_revision_is_positive"
            ),
            # A project must not learn which names others took (CONTRACT G7).
            models.UniqueConstraint(
                fields=["account", "alias"],
                condition=Q(project=None, archived_at=None),
                name="policy_alias_is_unique",
            ),
            models.UniqueConstraint(
                fields=["account", "project", "alias"],
                condition=Q(archived_at=None),
                name="policy_alias_in_project",
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "type"],
                condition=Q(archived_at=None),
                name="policy_live",
            ),
            models.Index(fields=["account", "scope_bot"], name="policy_of_bot"),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyRevision(PublicIdModel):
    """A policy as it stood after one edit. Append-only."""

    prefix = "rev"

    account = models.ForeignKey(Account, models.CASCADE, related_name="revisions")
    policy = models.ForeignKey(Policy, models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    changes = models.JSONField(default=list)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=40, blank=True, default="")
    actor_label = models.CharField(max_length=300, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "policy", "number"], name="revision_number_is_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"revision {self.number}"


class Block(PublicIdModel):
    """A refusal that stands until it ends or somebody lifts it (CONTRACT C3–C5).

    `cover` is what the ledger looks up: a digest of (policy, subject) for a policy's
    block, of the bot for a person's block or a revoke. The row is an outbox itself:
    `told` says how much of it people were told.
    """

    prefix = "blk"

    class Told(models.IntegerChoices):
        NOTHING = 0
        START = 1
        END = 2

    class Kind(models.TextChoices):
        PERSON = "person"
        POLICY = "policy"
        REVOKE = "revoke"

    account = models.ForeignKey(Account, models.CASCADE, related_name="blocks")
    kind = models.CharField(max_length=16, choices=Kind)
    policy = models.ForeignKey(
        Policy, models.CASCADE, null=True, blank=True, related_name="blocks"
    )
    bot = models.ForeignKey(
        Bot, models.CASCADE, null=True, blank=True, related_name="blocks"
    )
    cover = models.UUIDField()
    counter = models.UUIDField(null=True, blank=True)
    window_start = models.DateTimeField(null=True, blank=True)
    subject = models.JSONField(default=list)
    enforced = models.BooleanField(default=True)
    reason = models.TextField(blank=True, default="")
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=300, blank=True, default="")
    lift_reason = models.TextField(blank=True, default="")
    told = models.PositiveSmallIntegerField(choices=Told, default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="block_in_account"),
            models.CheckConstraint(
                condition=Q(kind="person", policy=None, bot__isnull=False)
                | Q(kind="policy", policy__isnull=False, counter__isnull=False)
                | Q(kind="revoke", policy__isnull=False, bot__isnull=False),
                name="block_names_what_caused_it",
            ),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gte=F("starts_at")),
                name="block_ends_after_it_starts",
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "cover"],
                condition=Q(lifted_at=None),
                name="block_live",
            ),
            models.Index(fields=["account", "policy", "-starts_at"], name="block_of"),
            models.Index(
                fields=["id"],
                condition=Q(told=0) | Q(told=1, lifted_at__isnull=False),
                name="block_to_tell",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} block {self.public_id}"
