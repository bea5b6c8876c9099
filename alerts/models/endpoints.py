"""Who is told beside the owners: webhook endpoints, and addresses of e-mail."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import Account, PublicIdModel


class Webhook(PublicIdModel):
    """An endpoint that is told what happens, signed by Standard Webhooks.

    `secrets` holds the sealed signing secrets, the newest first: `{"sealed", "until"}`
    with `until` null for the current one. `failing_since` is the first failure after
    the last success.
    """

    prefix = "whk"

    account = models.ForeignKey(Account, models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=2_000)
    description = models.CharField(max_length=500, blank=True, default="")
    event_types = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    enabled = models.BooleanField(default=True)
    secrets = models.JSONField(default=list)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=500, blank=True, default="")
    failing_since = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "id"], name="webhook_in_account"
            ),
        ]

    def __str__(self) -> str:
        return self.public_id


class Recipient(PublicIdModel):
    """An address outside the account's members, asked once whether it wants mail."""

    prefix = "rcp"

    account = models.ForeignKey(Account, models.CASCADE, related_name="recipients")
    address = models.CharField(max_length=320)
    asked_at = models.DateTimeField(default=timezone.now)
    confirmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "account", Lower("address"), name="recipient_once_per_account"
            ),
        ]

    def __str__(self) -> str:
        return self.address


class Undeliverable(models.Model):
    """An address that no mail goes to any more: it bounced, or its owner complained."""

    address = models.CharField(max_length=320)
    reason = models.CharField(max_length=40)
    detail = models.TextField(blank=True, default="")
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "undeliverable address"
        verbose_name_plural = "undeliverable addresses"
        constraints = [
            models.UniqueConstraint(Lower("address"), name="undeliverable_once"),
        ]

    def __str__(self) -> str:
        return self.address


class MailHour(models.Model):
    """How many mails an account had in one hour of the clock (CONTRACT D3)."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="mail_hours")
    hour = models.DateTimeField()
    taken = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "hour"], name="mail_hour_once_per_account"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}: {self.taken}"
