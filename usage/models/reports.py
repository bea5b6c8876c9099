"""What pages and reports read: prices and hourly rollups."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, Bot, PublicIdModel


class Price(PublicIdModel):
    """An account's own price of a model, in micro-USD per million tokens.

    Either `input` and `output`, or one flat `total`. `model` takes a trailing `*`.
    """

    prefix = "prc"

    account = models.ForeignKey(Account, models.CASCADE, related_name="prices")
    model = models.CharField(max_length=200)
    input = models.BigIntegerField(null=True, blank=True)
    output = models.BigIntegerField(null=True, blank=True)
    total = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "model"], name="price_once_per_model"
            ),
            models.CheckConstraint(
                condition=Q(input__gte=0, output__gte=0, total=None)
                | Q(input=None, output=None, total__gte=0),
                name="price_is_flat_or_split",
            ),
        ]

    def __str__(self) -> str:
        return self.model


class HourlyRollup(models.Model):
    """An hour's usage of one combination.

    `id` is a digest of the combination. `cost` is micro-USD; `unpriced` counts the
    events without a price. `hour` is when it starts; where the account's clock is not
    whole hours from UTC, a row is of 30 or 15 minutes, so that none spans two hours
    of that clock or of UTC.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    account = models.ForeignKey(Account, models.CASCADE, related_name="rollups")
    hour = models.DateTimeField()
    project_id = models.UUIDField(null=True, blank=True)
    bot = models.ForeignKey(
        Bot, models.DO_NOTHING, related_name="rollups", db_constraint=False
    )
    key_id = models.UUIDField(null=True, blank=True)
    user = models.CharField(max_length=256, blank=True, default="")
    model = models.CharField(max_length=200, blank=True, default="")
    events = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    messages = models.BigIntegerField(default=0)
    conversations = models.BigIntegerField(default=0)
    calls = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0)
    unpriced = models.BigIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["account", "hour"], name="rollup_hour"),
            models.Index(fields=["account", "bot", "hour"], name="rollup_bot_hour"),
            models.Index(fields=["account", "user", "hour"], name="rollup_user_hour"),
            models.Index(fields=["account", "key_id", "hour"], name="rollup_key_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}:00"


class UsageSummary(models.Model):
    """What one bot, user or key, or all of them, used in an hour, a day or a month.

    Sums of hourly rollups, so that a report of a month need not read each combination
    of them. `dimension` says of what: empty for all, else bot, user or key, which
    `value` names (empty: none); in the plural (total for all) they are of all projects
    and models together. Days and months are those of the account's zone;
    `start` is the instant they begin.
    """

    class Grain(models.TextChoices):
        HOUR = "hour"
        DAY = "day"
        MONTH = "month"

    id = models.UUIDField(primary_key=True, editable=False)
    account = models.ForeignKey(
        Account, models.CASCADE, related_name="summaries", db_index=False
    )
    grain = models.CharField(max_length=5, choices=Grain)
    dimension = models.CharField(max_length=5, blank=True)
    value = models.CharField(max_length=256, blank=True)
    project_id = models.UUIDField(null=True, blank=True)
    model = models.CharField(max_length=200, blank=True, default="")
    start = models.DateTimeField()
    events = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    messages = models.BigIntegerField(default=0)
    conversations = models.BigIntegerField(default=0)
    calls = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0)
    unpriced = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "usage summaries"
        indexes = [
            models.Index(
                fields=["account", "grain", "dimension", "start"],
                name="summary_of_all",
            ),
            models.Index(
                fields=["account", "grain", "dimension", "value", "start"],
                name="summary_of_one",
            ),
            # Days lie apart, among the hours of theirs: a month of many users would be
            # read page by page. All that a sum needs is in the index.
            models.Index(
                fields=["account", "dimension", "start"],
                include=[
                    "value",
                    "events",
                    "tokens",
                    "input_tokens",
                    "output_tokens",
                    "messages",
                    "conversations",
                    "calls",
                    "cost",
                    "unpriced",
                ],
                condition=Q(grain="day"),
                name="summary_by_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.grain} {self.start:%Y-%m-%d %H:%M} {self.value}".strip()


class SummaryZone(models.Model):
    """The zone that an account's summaries are in; another one, and they are redone."""

    account = models.OneToOneField(
        Account, models.CASCADE, primary_key=True, related_name="summary_zone"
    )
    zone = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.zone


class RollupProgress(models.Model):
    """How far the rollups have read: every transaction below `horizon` is in them."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    horizon = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "rollup progress"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="rollup_progress_is_one_row")
        ]

    def __str__(self) -> str:
        return str(self.horizon)
