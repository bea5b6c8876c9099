"""What webhooks are told to be, and how they and their deliveries are shown."""

from typing import Any

from rest_framework import serializers

from alerts.event_types import EVERY_TYPE, SUBSCRIBABLE
from alerts.models import Delivery, Webhook
from alerts.services.telling import body_of
from api.fields import Body, Count, Moment, Text, Texts

_MAX_OVERLAP = 30 * 86_400
_TYPES = ", ".join(SUBSCRIBABLE)


class Flag(serializers.BooleanField):
    """True or false, and nothing that merely looks like it."""

    default_error_messages = {
        "invalid": "must be true or false",
        "null": "must not be null",
        "required": "is required",
    }

    def to_internal_value(self, data: Any) -> bool:
        """Return the boolean itself."""
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class WebhookBody(Body):
    """An endpoint; `event_types` may be empty for one that only policies name."""

    url = Text(max_length=2_000)
    event_types = Texts(
        child=Text(max_length=40),
        max_length=50,
        default=list,
        help_text=f"Some of: {_TYPES}; or `{EVERY_TYPE}` for all of them.",
    )
    description = Text(max_length=500, allow_blank=True, default="", lines=True)
    enabled = Flag(default=True)


class WebhookPatch(Body):
    """What changes about an endpoint."""

    url = Text(max_length=2_000, required=False)
    event_types = Texts(child=Text(max_length=40), max_length=50, required=False)
    description = Text(max_length=500, allow_blank=True, required=False, lines=True)
    enabled = Flag(required=False)


class WebhookRotateBody(Body):
    """For how many seconds messages bear the old secret's signature too."""

    overlap_seconds = Count(most=_MAX_OVERLAP, default=86_400)


class RedeliverBody(Body):
    """What to send again: one delivery, or all that failed since a moment."""

    delivery = Text(max_length=60, required=False)
    since = Moment(required=False)


class WebhookAnswer(serializers.Serializer[Webhook]):
    """An endpoint, without its secret."""

    id = serializers.CharField(source="public_id")
    url = serializers.CharField()
    description = serializers.CharField()
    event_types = serializers.ListField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_reason = serializers.CharField()
    failing_since = serializers.DateTimeField(allow_null=True)
    last_success_at = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class NewWebhookAnswer(WebhookAnswer):
    """An endpoint with its signing secret, which is shown this once."""

    secret = serializers.CharField()


class TryAnswer(serializers.Serializer[Any]):
    """One attempt to deliver; `answer` is the first KiB of what came back."""

    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True)
    latency_ms = serializers.IntegerField()
    error = serializers.CharField()
    answer = serializers.CharField()


class WebhookDeliveryAnswer(serializers.Serializer[Delivery]):
    """One message to an endpoint: its `id` is the header `webhook-id`."""

    id = serializers.CharField(source="public_id")
    webhook = serializers.CharField(source="recipient")
    type = serializers.CharField(source="notice.type")
    state = serializers.ChoiceField(choices=Delivery.State.choices)
    attempts = serializers.IntegerField()
    status = serializers.SerializerMethodField()
    latency_ms = serializers.SerializerMethodField()
    error = serializers.CharField(source="last_error")
    answer = serializers.SerializerMethodField()
    alert = serializers.CharField(
        source="alert.public_id", default=None, allow_null=True
    )
    payload = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
    next_attempt_at = serializers.SerializerMethodField()
    tries = TryAnswer(many=True)

    def get_status(self, delivery: Delivery) -> int | None:
        """Return the HTTP status of the last attempt, if there was an answer."""
        status: int | None = delivery.last_try.get("status")
        return status

    def get_latency_ms(self, delivery: Delivery) -> int | None:
        """Return how long the last attempt took."""
        passed: int | None = delivery.last_try.get("latency_ms")
        return passed

    def get_answer(self, delivery: Delivery) -> str:
        """Return the beginning of the last answer's body."""
        return str(delivery.last_try.get("answer", ""))

    def get_payload(self, delivery: Delivery) -> dict[str, Any]:
        """Return what is sent."""
        if delivery.notice is None:
            return {}
        told = body_of(delivery.notice)
        return {name: told[name] for name in ("type", "timestamp", "data")}

    def get_next_attempt_at(self, delivery: Delivery) -> str | None:
        """Return when it is tried next; null once it arrived or was given up."""
        if delivery.state != Delivery.State.PENDING:
            return None
        shown = serializers.DateTimeField()
        return str(shown.to_representation(delivery.next_attempt_at))


class RedeliveredAnswer(serializers.Serializer[Any]):
    """How many messages go out again."""

    redelivered = serializers.IntegerField()
