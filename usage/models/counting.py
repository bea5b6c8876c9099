"""What was counted: events, counters, reservations, adjustments."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, Bot, PublicIdModel
from policies.models import Policy


class Counter(models.Model):
    """What one limit has counted for one subject in one window.

    `id` is a digest of (policy, limit key, subject, window start); of a fixed or
    rolling limit's head without the start, since its window moves (CONTRACT B3).
    `used` and `held` are in the metric's own unit; cost in micro-USD. `ring` holds the
    61 sub-buckets of a rolling window, `ring_head` the newest bucket's number.
    `fired` maps an alert step to the moment (µs since 1970) its alert was opened.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    account = models.ForeignKey(Account, models.CASCADE, related_name="counters")
    policy = models.ForeignKey(Policy, models.CASCADE, related_name="counters")
    limit_key = models.CharField(max_length=32)
    metric = models.CharField(max_length=20)
    kind = models.CharField(max_length=12)
    is_head = models.BooleanField(default=False)
    subject = models.JSONField(default=list)
    subject_key = models.TextField(blank=True, default="")
    window_start = models.DateTimeField(null=True, blank=True)
    window_end = models.DateTimeField(null=True, blank=True)
    used = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    ring = ArrayField(models.BigIntegerField(), null=True, blank=True)
    ring_head = models.BigIntegerField(null=True, blank=True)
    fired = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "account",
                    "policy",
                    "limit_key",
                    "subject_key",
                    "window_start",
                ],
                name="counter_once_per_window",
            ),
            models.CheckConstraint(condition=Q(used__gte=0), name="counter_used"),
            models.CheckConstraint(condition=Q(held__gte=0), name="counter_held"),
            models.CheckConstraint(
                condition=Q(kind__in=["calendar", "fixed", "rolling", "lifetime"]),
                name="counter_kind_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(kind="rolling")
                | Q(ring__len=61, ring_head__isnull=False, is_head=True),
                name="counter_rolling_has_a_ring",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "window_end"], name="counter_window"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.subject_key or 'all'}"


class Reservation(PublicIdModel):
    """A hold on every matching counter, until it is settled, released or expires.

    `amounts` is the estimate (metric to amount). `holds` lists what was held where:
    `[{"counter", "window_start", "metric", "amount"}]`.
    """

    prefix = "res"

    class State(models.TextChoices):
        OPEN = "open"
        SETTLED = "settled"
        RELEASED = "released"
        EXPIRED = "expired"

    # No index of their own: each one costs every call, and `reservation_of_bot` serves.
    account = models.ForeignKey(
        Account,
        models.CASCADE,
        related_name="reservations",
        db_constraint=False,
        db_index=False,
    )
    bot = models.ForeignKey(
        Bot,
        models.CASCADE,
        related_name="reservations",
        db_constraint=False,
        db_index=False,
    )
    project_id = models.UUIDField(null=True, blank=True)
    key_id = models.UUIDField(null=True, blank=True)
    user = models.CharField(max_length=256, null=True, blank=True)
    model = models.CharField(max_length=200, null=True, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    amounts = models.JSONField(default=dict)
    holds = models.JSONField(default=list)
    ttl_seconds = models.PositiveIntegerField(default=600)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    dispatched = models.BooleanField(default=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    event_id = models.UUIDField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)
    request_digest = models.CharField(max_length=64, null=True, blank=True)
    answer = models.JSONField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "idempotency_key", "key_id"],
                # A caller without a key is one caller.
                nulls_distinct=False,
                condition=Q(idempotency_key__isnull=False),
                name="reservation_once_per_idempotency_key",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "settled", "released", "expired"]),
                name="reservation_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(state="open", ended_at=None)
                | (~Q(state="open") & Q(ended_at__isnull=False)),
                name="reservation_ends_once",
            ),
            models.CheckConstraint(
                condition=Q(ttl_seconds__gte=1, ttl_seconds__lte=86_400),
                name="reservation_ttl_is_bounded",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "bot"], name="reservation_of_bot"),
            # By account first: a batch asks for its own, however many the others have,
            # and would go through all that the account ever had if that looked cheaper.
            models.Index(
                fields=["account", "expires_at"],
                condition=Q(state="open"),
                name="reservation_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.public_id}"


class UsageEvent(PublicIdModel):
    """What one call consumed. Append-only, partitioned by the time in its id.

    `cost` is micro-USD, null when no price was known. `created_at` is when it was
    recorded, `occurred_at` when it happened.
    """

    prefix = "evt"

    account = models.ForeignKey(
        Account,
        models.CASCADE,
        related_name="usage_events",
        db_constraint=False,
        db_index=False,
    )
    sequence = models.BigIntegerField()
    source = models.CharField(max_length=200, default="api")
    client_id = models.CharField(max_length=200, blank=True, default="")
    bot = models.ForeignKey(
        Bot,
        models.DO_NOTHING,
        related_name="usage_events",
        db_constraint=False,
        db_index=False,
    )
    project_id = models.UUIDField(null=True, blank=True)
    key_id = models.UUIDField(null=True, blank=True)
    user = models.CharField(max_length=256, null=True, blank=True)
    model = models.CharField(max_length=200, null=True, blank=True)
    conversation_id = models.UUIDField(null=True, blank=True)
    tokens = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    messages = models.BigIntegerField(default=0)
    conversations = models.BigIntegerField(default=0)
    calls = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(null=True, blank=True)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)
    reservation_id = models.UUIDField(null=True, blank=True)
    overrun = models.BooleanField(default=False)
    estimated = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["account", "bot", "-id"], name="event_of_bot"),
            models.Index(fields=["account", "sequence"], name="event_sequence"),
        ]

    def __str__(self) -> str:
        return self.public_id


class EventId(models.Model):
    """An event id that was used. Kept 35 days, so a repeat is known (CONTRACT A5).

    `id` is a digest of (account, source, client id): inserting it is the claim.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    account = models.ForeignKey(
        Account,
        models.CASCADE,
        related_name="event_ids",
        db_constraint=False,
        db_index=False,
    )
    source = models.CharField(max_length=200)
    client_id = models.CharField(max_length=200)
    event_id = models.UUIDField()
    content = models.CharField(max_length=32)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="event_id_age")]

    def __str__(self) -> str:
        return f"{self.source} {self.client_id}"


class FirstAnswer(models.Model):
    """What a recorded event or a release with an `Idempotency-Key` was answered first.

    `id` is a digest of (account, key, route, Idempotency-Key). Written in the
    transaction of what it answers and kept 24 hours (CONTRACT G5).
    """

    id = models.UUIDField(primary_key=True, editable=False)
    account = models.ForeignKey(
        Account, models.CASCADE, related_name="first_answers", db_constraint=False
    )
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    answer = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["created_at"], name="first_answer_age"),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.created_at:%Y-%m-%d %H:%M}"


class Adjustment(PublicIdModel):
    """What a reset, a clear or a grant added to a counter (CONTRACT A7). Signed."""

    prefix = "adj"

    account = models.ForeignKey(Account, models.CASCADE, related_name="adjustments")
    policy = models.ForeignKey(Policy, models.CASCADE, related_name="adjustments")
    counter = models.UUIDField()
    window_start = models.DateTimeField(null=True, blank=True)
    metric = models.CharField(max_length=20)
    amount = models.BigIntegerField()
    kind = models.CharField(max_length=16)
    reason = models.TextField(blank=True, default="")
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=40, blank=True, default="")
    actor_label = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["reset", "clear", "grant"]),
                name="adjustment_kind_is_known",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "counter"], name="adjustment_of_counter"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"
