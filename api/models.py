"""What the API itself remembers: answers to requests that may be sent again."""

from django.db import models
from django.utils import timezone

from accounts.models import Account


class IdempotentAnswer(models.Model):
    """The first answer to a POST with an `Idempotency-Key`, kept for 24 hours.

    `id` is a digest of (account, caller, path, key). `answer` is encrypted: it may hold
    the text of a key, which is stored nowhere in the clear.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    account = models.ForeignKey(
        Account, models.CASCADE, related_name="idempotent_answers"
    )
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    etag = models.CharField(max_length=32, blank=True, default="")
    answer = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotent_answer_age")]

    def __str__(self) -> str:
        return f"{self.status} {self.created_at:%Y-%m-%d %H:%M}"
