"""Alerts: list, read, acknowledge, put aside."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import NotFound
from alerts.models import Alert, Delivery
from alerts.selectors import alert_of, alerts, deliveries
from alerts.services import acknowledge, snooze, wake
from alerts.wording import KINDS
from api import examples
from api.callers import Caller
from api.endpoint import Endpoint, invalid_query
from api.fields import Body, Moment
from api.listing import PAGING, each, listed
from api.schema import filters, operation, page, page_of
from api.schema_components import AMOUNT_OR_NULL
from policies.rules import micros_to_cost
from policies.selectors import policies

_COLUMNS = {"state": "state", "policy": "policy_id", "bot": "bot_id", "kind": "kind"}
_WORDS = {"state": tuple(Alert.State.values), "kind": KINDS}
_SHOWN = 200


@extend_schema_field(AMOUNT_OR_NULL)
class Amount(serializers.Field[Any, Any, Any, Any]):
    """An amount in the alert's metric: a whole number, decimal text for cost."""

    def get_attribute(self, instance: Alert) -> Any:
        """Return the amount as it is answered."""
        value = getattr(instance, self.field_name or "")
        if value is not None and instance.metric == "cost":
            return micros_to_cost(value)
        return value

    def to_representation(self, value: Any) -> Any:
        """Return it as it is."""
        return value


class Name(serializers.CharField):
    """A name that may be missing: then it is null, as webhooks say it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: Any) -> Any:
        """Return the name, or None instead of an empty one."""
        return value or None


class SnoozeBody(Body):
    """Until when an alert is put aside; null brings it back."""

    until = Moment(allow_null=True)


class AlertAnswer(serializers.Serializer[Alert]):
    """One logical alert."""

    id = serializers.CharField(source="public_id")
    kind = serializers.CharField()
    state = serializers.ChoiceField(choices=Alert.State.choices)
    step = serializers.IntegerField()
    policy_id = Name()
    policy_name = serializers.CharField()
    bot = Name(source="bot_id")
    subject = serializers.SerializerMethodField()
    metric = Name()
    threshold = Amount()
    used = Amount()
    message = serializers.CharField()
    enforced = serializers.BooleanField()
    late = serializers.BooleanField()
    window_start = serializers.DateTimeField()
    resets_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField()
    snoozed_until = serializers.DateTimeField(allow_null=True)
    snoozed_by = serializers.CharField()
    delivery_problem = serializers.CharField(source="trouble")

    def get_subject(self, alert: Alert) -> dict[str, str | None]:
        """Return the group_by values of the counter."""
        return dict(alert.subject)


class AlertDeliveryAnswer(serializers.Serializer[Delivery]):
    """A message about an alert; an empty recipient is the account's owners."""

    id = serializers.CharField(source="public_id")
    channel = serializers.ChoiceField(choices=["email", "webhook"])
    recipient = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=Delivery.State.choices)
    attempts = serializers.IntegerField()
    sent_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(source="last_error")

    def get_recipient(self, delivery: Delivery) -> str | None:
        """Return the recipient, unless who asks is bound to a part of the account."""
        return delivery.recipient if self.context.get("whole") else None


class AlertDetailAnswer(AlertAnswer):
    """One logical alert with the messages about it."""

    deliveries = serializers.SerializerMethodField()

    @extend_schema_field(AlertDeliveryAnswer(many=True))
    def get_deliveries(self, alert: Alert) -> Any:
        """Return the messages, the oldest first."""
        rows = list(deliveries(alert.account, alert)[:_SHOWN])
        return each(AlertDeliveryAnswer, **self.context)(rows)[::-1]


def _shown(caller: Caller, alert: Alert) -> Response:
    whole = caller.project is None and caller.bot is None
    return Response(AlertDetailAnswer(alert, context={"whole": whole}).data)


def _visible(caller: Caller) -> QuerySet[Alert]:
    """Return the alerts a caller may see: of its project's policies, about its bot."""
    found = alerts(caller.account)
    if caller.project is not None:
        own = policies(caller.account, include_archived=True)
        own = own.filter(project=caller.project)
        found = found.filter(policy_id__in=[policy.public_id for policy in own])
    if caller.bot is not None:
        found = found.filter(bot_id=caller.bot.public_id)
    return found


def _snoozed(rows: QuerySet[Alert], asked: str) -> QuerySet[Alert]:
    """Keep the alerts that are put aside, or those that are not."""
    if asked not in ("true", "false"):
        raise invalid_query("snoozed", "must be true or false")
    asleep = Q(snoozed_until__gt=timezone.now())
    return rows.filter(asleep if asked == "true" else ~asleep)


def _visible_alert(caller: Caller, public_id: str) -> Alert:
    alert = alert_of(caller.account, public_id)
    if not _visible(caller).filter(id=alert.id).exists():
        raise NotFound
    return alert


class Alerts(Endpoint):
    """The alerts of an account."""

    scopes = {"GET": "alerts:read"}
    queries = PAGING | {*_COLUMNS, "snoozed"}

    @operation(
        "alerts_list",
        "List alerts",
        answer=page_of(AlertAnswer, "AlertPage"),
        shows=page(examples.ALERT),
        parameters=filters(
            state="warning, breached or resolved",
            policy="about this policy id",
            bot="about this bot id",
            kind=", ".join(KINDS),
            snoozed="true: put aside until a moment to come; false: not",
        ),
    )
    def get(self, request: Request) -> Response:
        """List alerts, the newest first."""
        rows = _visible(self.caller)
        for name, column in _COLUMNS.items():
            value = self.query(name)
            known = _WORDS.get(name)
            if known is not None and value not in (None, *known):
                raise invalid_query(name, f"must be one of: {', '.join(known)}")
            rows = rows if value is None else rows.filter(**{column: value})
        snoozed = self.query("snoozed")
        if snoozed is not None:
            rows = _snoozed(rows, snoozed)
        return listed(
            request,
            rows,
            show=each(AlertAnswer),
            newest_first=True,
        )


class OneAlert(Endpoint):
    """One alert."""

    scopes = {"GET": "alerts:read"}

    @operation(
        "alerts_read",
        "Read an alert",
        answer=AlertDetailAnswer,
        shows=examples.ALERT_READ,
    )
    def get(self, request: Request, alert_id: str) -> Response:
        """Read an alert with the messages about it."""
        return _shown(self.caller, _visible_alert(self.caller, alert_id))


class AcknowledgeAlert(Endpoint):
    """Acknowledgement of an alert."""

    scopes = {"POST": "alerts:write"}

    @operation(
        "alerts_ack",
        "Acknowledge an alert",
        answer=AlertDetailAnswer,
        shows={**examples.ALERT_READ, "acknowledged_at": examples.MORNING},
    )
    def post(self, request: Request, alert_id: str) -> Response:
        """Say that somebody has seen an alert; the first one is remembered."""
        caller = self.caller
        alert = _visible_alert(caller, alert_id)
        self.body(Body)
        acknowledge(alert=alert, actor=caller.actor, now=timezone.now())
        return _shown(caller, _visible_alert(caller, alert_id))


class SnoozeAlert(Endpoint):
    """Putting an alert aside."""

    scopes = {"POST": "alerts:write"}

    @operation(
        "alerts_snooze",
        "Snooze an alert",
        request=SnoozeBody,
        sends={"until": examples.EVENING},
        answer=AlertDetailAnswer,
        shows={
            **examples.ALERT_READ,
            "snoozed_until": examples.EVENING,
            "snoozed_by": "alice@example.com",
        },
    )
    def post(self, request: Request, alert_id: str) -> Response:
        """Put an open alert aside until a moment within 90 days; null brings it back.

        It stays in this list, with `snoozed_until`. A new window or step opens an
        alert of its own.
        """
        caller = self.caller
        alert = _visible_alert(caller, alert_id)
        until, now = self.body(SnoozeBody)["until"], timezone.now()
        if until is None:
            wake(alert=alert, actor=caller.actor, now=now)
        else:
            snooze(alert=alert, until=until, actor=caller.actor, now=now)
        return _shown(caller, _visible_alert(caller, alert_id))
