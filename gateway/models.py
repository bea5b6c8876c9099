"""Where calls go: the upstreams of an account or of one of its projects."""

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Account, Project, PublicIdModel

LONGEST_SECONDS = 3_600


class Upstream(PublicIdModel):
    """A provider's address, its secret and the models it serves.

    `chat_models` and `embedding_models` map the name that clients use to the provider's
    own; both empty: it serves every model under its own name. `secret` is encrypted.
    Of several that serve a model the one with the smallest `position` is asked first.
    """

    prefix = "ups"

    account = models.ForeignKey(Account, models.CASCADE, related_name="upstreams")
    project = models.ForeignKey(
        Project, models.PROTECT, null=True, blank=True, related_name="upstreams"
    )
    name = models.CharField(max_length=200)
    base_url = models.CharField(max_length=2000)
    secret = models.TextField(blank=True, default="", editable=False)
    secret_last4 = models.CharField(max_length=4, blank=True, default="")
    chat_models = models.JSONField(default=dict, blank=True)
    embedding_models = models.JSONField(default=dict, blank=True)
    connect_seconds = models.PositiveSmallIntegerField(default=5)
    first_byte_seconds = models.PositiveSmallIntegerField(default=60)
    idle_seconds = models.PositiveSmallIntegerField(default=30)
    total_seconds = models.PositiveSmallIntegerField(default=600)
    position = models.PositiveSmallIntegerField(default=0)
    enabled = models.BooleanField(default=True)
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "id"], name="upstream_in_account"
            ),
            models.CheckConstraint(
                condition=Q(
                    connect_seconds__gte=1,
                    first_byte_seconds__gte=1,
                    idle_seconds__gte=1,
                    total_seconds__gte=1,
                    connect_seconds__lte=LONGEST_SECONDS,
                    first_byte_seconds__lte=LONGEST_SECONDS,
                    idle_seconds__lte=LONGEST_SECONDS,
                    total_seconds__lte=LONGEST_SECONDS,
                ),
                name="upstream_times_are_bounded",
            ),
        ]

    def __str__(self) -> str:
        return self.name
