"""Webhook endpoints: registered, rotated, tested, and what was sent to them."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import (
    FieldError,
    Forbidden,
    InvalidBody,
    NotFound,
    UnknownReference,
)
from alerts import services
from alerts.event_types import EVENT_TYPES
from alerts.models import Delivery, Webhook
from alerts.selectors import message_to, messages_to, webhook_of, webhooks
from api import examples, webhook_examples
from api.callers import Caller
from api.endpoint import Endpoint, invalid_query
from api.fields import Body
from api.listing import PAGING, each, listed
from api.schema import filters, operation, page, page_of
from api.webhook_answers import (
    NewWebhookAnswer,
    RedeliverBody,
    RedeliveredAnswer,
    WebhookAnswer,
    WebhookBody,
    WebhookDeliveryAnswer,
    WebhookPatch,
    WebhookRotateBody,
)


def _mine(caller: Caller, public_id: str) -> Webhook:
    _need_account(caller)
    return webhook_of(caller.account, public_id)


def _need_account(caller: Caller) -> None:
    """Refuse keys that are bound: an endpoint hears of the whole account."""
    if caller.project is not None or caller.bot is not None:
        raise Forbidden("Webhooks belong to the whole account; use a key of its own.")


def _answer(webhook: Webhook, secret: str | None = None, status: int = 200) -> Response:
    shown: dict[str, Any] = dict(WebhookAnswer(webhook).data)
    if secret is not None:
        shown["secret"] = secret
    return Response(shown, status=status)


class Webhooks(Endpoint):
    """The endpoints of an account, the oldest first."""

    scopes = {"GET": "webhooks:read", "POST": "webhooks:write"}
    queries = PAGING

    @operation(
        "webhooks_list",
        "List webhooks",
        answer=page_of(WebhookAnswer, "WebhookPage"),
        shows=page(webhook_examples.WEBHOOK),
        parameters=filters(),
    )
    def get(self, request: Request) -> Response:
        """List endpoints, without their secrets."""
        _need_account(self.caller)
        return listed(request, webhooks(self.caller.account), show=each(WebhookAnswer))

    @operation(
        "webhooks_create",
        "Create a webhook",
        request=WebhookBody,
        sends=webhook_examples.WEBHOOK_SENT,
        answer=NewWebhookAnswer,
        shows=webhook_examples.WEBHOOK_MADE,
        status=201,
    )
    def post(self, request: Request) -> Response:
        """Register an endpoint; its signing secret is in this answer and nowhere else.

        Messages are signed by the Standard Webhooks specification.
        """
        caller = self.caller
        _need_account(caller)
        values = self.body(WebhookBody)
        webhook, secret = services.create_webhook(
            account=caller.account,
            types=values.pop("event_types"),
            actor=caller.actor,
            now=timezone.now(),
            **values,
        )
        return _answer(webhook, secret, 201)


class OneWebhook(Endpoint):
    """One endpoint."""

    scopes = {
        "GET": "webhooks:read",
        "PATCH": "webhooks:write",
        "PUT": "webhooks:write",
        "DELETE": "webhooks:write",
    }

    @operation(
        "webhooks_read",
        "Read a webhook",
        answer=WebhookAnswer,
        shows=webhook_examples.WEBHOOK,
    )
    def get(self, request: Request, webhook_id: str) -> Response:
        """Read an endpoint, without its secret."""
        return _answer(_mine(self.caller, webhook_id))

    @operation(
        "webhooks_update",
        "Change a webhook",
        request=WebhookPatch,
        sends={"enabled": False},
        answer=WebhookAnswer,
        shows={
            **webhook_examples.WEBHOOK,
            "enabled": False,
            "disabled_at": examples.MORNING,
        },
    )
    def patch(self, request: Request, webhook_id: str) -> Response:
        """Change what is sent. Enabling an endpoint forgets its failures."""
        return self._write(webhook_id, self._found(webhook_id, WebhookPatch))

    @operation(
        "webhooks_replace",
        "Replace a webhook",
        request=WebhookBody,
        sends=webhook_examples.WEBHOOK_SENT,
        answer=WebhookAnswer,
        shows=webhook_examples.WEBHOOK,
    )
    def put(self, request: Request, webhook_id: str) -> Response:
        """Give an endpoint all its values anew; the secret stays."""
        return self._write(webhook_id, self._found(webhook_id, WebhookBody))

    @operation(
        "webhooks_delete",
        "Delete a webhook",
        answer=None,
        shows=None,
        status=204,
    )
    def delete(self, request: Request, webhook_id: str) -> Response:
        """Remove an endpoint; what was still to be sent to it is given up."""
        caller = self.caller
        webhook = _mine(caller, webhook_id)
        services.delete_webhook(webhook=webhook, actor=caller.actor, now=timezone.now())
        return Response(status=204)

    def _found(self, webhook_id: str, form: type[Body]) -> dict[str, Any]:
        """Read the body after the path: what is absent is 404 whatever is sent."""
        _mine(self.caller, webhook_id)
        return self.body(form)

    def _write(self, webhook_id: str, changes: dict[str, Any]) -> Response:
        webhook = services.update_webhook(
            webhook=_mine(self.caller, webhook_id),
            changes=changes,
            actor=self.caller.actor,
            now=timezone.now(),
        )
        return _answer(webhook)


class RotateWebhook(Endpoint):
    """Rotation of an endpoint's secret."""

    scopes = {"POST": "webhooks:write"}

    @operation(
        "webhooks_rotate",
        "Rotate a webhook's secret",
        request=WebhookRotateBody,
        sends={"overlap_seconds": 3600},
        answer=NewWebhookAnswer,
        shows=webhook_examples.WEBHOOK_MADE,
    )
    def post(self, request: Request, webhook_id: str) -> Response:
        """Make a new secret; messages bear both signatures during the overlap."""
        caller = self.caller
        webhook = _mine(caller, webhook_id)
        values = self.body(WebhookRotateBody)
        rotated, secret = services.rotate_secret(
            webhook=webhook, actor=caller.actor, now=timezone.now(), **values
        )
        return _answer(rotated, secret)


class TestWebhook(Endpoint):
    """A test message to an endpoint."""

    scopes = {"POST": "webhooks:write"}

    @operation(
        "webhooks_test",
        "Send a test message",
        answer=WebhookDeliveryAnswer,
        shows=webhook_examples.WEBHOOK_DELIVERY,
        status=202,
    )
    def post(self, request: Request, webhook_id: str) -> Response:
        """Send `webhook.test` to this endpoint alone, even if it is disabled.

        Its delivery log says within seconds what came of it.
        """
        caller = self.caller
        webhook = _mine(caller, webhook_id)
        self.body(Body)
        delivery = services.send_test(
            webhook=webhook, actor=caller.actor, now=timezone.now()
        )
        return Response(WebhookDeliveryAnswer(delivery).data, status=202)


class WebhookDeliveries(Endpoint):
    """The delivery log of an endpoint."""

    scopes = {"GET": "webhooks:read"}
    queries = PAGING | {"state", "type"}

    @operation(
        "webhooks_deliveries",
        "List deliveries",
        answer=page_of(WebhookDeliveryAnswer, "WebhookDeliveryPage"),
        shows=page(webhook_examples.WEBHOOK_DELIVERY),
        parameters=filters(
            state="pending, sent or failed",
            type="of this event type, such as policy.triggered",
        ),
    )
    def get(self, request: Request, webhook_id: str) -> Response:
        """List what was sent or is to be sent, the newest first."""
        rows = messages_to(_mine(self.caller, webhook_id))
        state, event_type = self.query("state"), self.query("type")
        if state is not None:
            if state not in Delivery.State.values:
                raise invalid_query("state", "must be pending, sent or failed")
            rows = rows.filter(state=state)
        if event_type is not None:
            if event_type not in EVENT_TYPES:
                raise invalid_query("type", "is not an event type")
            rows = rows.filter(notice__type=event_type)
        return listed(
            request, rows, show=each(WebhookDeliveryAnswer), newest_first=True
        )


class OneWebhookDelivery(Endpoint):
    """One message to an endpoint."""

    scopes = {"GET": "webhooks:read"}

    @operation(
        "webhooks_delivery",
        "Read a delivery",
        answer=WebhookDeliveryAnswer,
        shows=webhook_examples.WEBHOOK_DELIVERY,
    )
    def get(self, request: Request, webhook_id: str, delivery_id: str) -> Response:
        """Read a message with all its attempts."""
        delivery = message_to(_mine(self.caller, webhook_id), delivery_id)
        return Response(WebhookDeliveryAnswer(delivery).data)


class RedeliverOne(Endpoint):
    """Another round of attempts for one message."""

    scopes = {"POST": "webhooks:write"}

    @operation(
        "webhooks_redeliver",
        "Send a delivery again",
        answer=WebhookDeliveryAnswer,
        shows=webhook_examples.WEBHOOK_DELIVERY,
        status=202,
    )
    def post(self, request: Request, webhook_id: str, delivery_id: str) -> Response:
        """Send one message again, under the id it had."""
        caller = self.caller
        webhook = _mine(caller, webhook_id)
        delivery = message_to(webhook, delivery_id)
        self.body(Body)
        services.redeliver(
            webhook=webhook,
            deliveries=messages_to(webhook).filter(id=delivery.id),
            actor=caller.actor,
            now=timezone.now(),
        )
        again = message_to(webhook, delivery_id)
        return Response(WebhookDeliveryAnswer(again).data, status=202)


class RedeliverFailed(Endpoint):
    """Another round of attempts for what failed."""

    scopes = {"POST": "webhooks:write"}

    @operation(
        "webhooks_redeliver_failed",
        "Send failed deliveries again",
        request=RedeliverBody,
        sends={"since": examples.MORNING},
        answer=RedeliveredAnswer,
        shows={"redelivered": 3},
        status=202,
    )
    def post(self, request: Request, webhook_id: str) -> Response:
        """Send again one delivery, all that failed since a moment, or all that did."""
        caller = self.caller
        webhook = _mine(caller, webhook_id)
        count = services.redeliver(
            webhook=webhook,
            deliveries=self._chosen(webhook, self.body(RedeliverBody)),
            actor=caller.actor,
            now=timezone.now(),
        )
        return Response({"redelivered": count}, status=202)

    def _chosen(self, webhook: Webhook, wanted: dict[str, Any]) -> Any:
        rows = messages_to(webhook)
        if "delivery" in wanted and "since" in wanted:
            detail = "must not be given together with since"
            raise InvalidBody(errors=[{"pointer": "/delivery", "detail": detail}])
        if "delivery" in wanted:
            try:
                named = message_to(webhook, wanted["delivery"])
            except NotFound:
                fault: FieldError = {
                    "pointer": "/delivery",
                    "detail": "does not exist",
                }
                raise UnknownReference(errors=[fault]) from None
            return rows.filter(id=named.id)
        rows = rows.filter(state=Delivery.State.FAILED)
        if "since" in wanted:
            rows = rows.filter(created_at__gte=wanted["since"])
        return rows
