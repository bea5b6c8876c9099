"""Webhook endpoints: what is sent where, what came of it, and what to do about it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.errors import DomainError, NotFound
from alerts import services
from alerts.models import Delivery, Webhook
from alerts.selectors import message_to, messages_to, webhook_of, webhooks
from alerts.services.posting import DISABLED_AFTER
from alerts.services.telling import body_of
from dashboard.forms import ConfirmForm
from dashboard.fragments import wants_part
from dashboard.paging import page_of
from dashboard.visits import Visit, attempt, page, render, said
from dashboard.webhook_forms import LogForm, RotateForm, WebhookForm


@page()
def listing(visit: Visit) -> HttpResponse:
    """List the endpoints."""
    context = {"webhooks": list(webhooks(visit.account))}
    return render(visit, "webhooks.html", context, place="webhooks")


@page()
def detail(visit: Visit, webhook_id: str) -> HttpResponse:
    """Show an endpoint with its delivery log."""
    return _show(visit, webhook_of(visit.account, webhook_id))


@page(write=True, methods=("GET", "POST"))
def create(visit: Visit) -> HttpResponse:
    """Register an endpoint and show its secret, this one time."""
    form = WebhookForm(visit.request.POST if visit.request.method == "POST" else None)
    made = _saved(form, lambda values: _create(visit, values))
    if made is not None:
        return _show_once(visit, *made)
    return _fill_in(visit, form)


@page(write=True, methods=("GET", "POST"))
def edit(visit: Visit, webhook_id: str) -> HttpResponse:
    """Change what is sent where."""
    webhook = webhook_of(visit.account, webhook_id)
    data = visit.request.POST if visit.request.method == "POST" else None
    form = WebhookForm(data, initial=WebhookForm.of(webhook))
    saved = _saved(form, lambda values: _update(visit, webhook, values))
    if saved is None:
        return _fill_in(visit, form, webhook)
    messages.success(visit.request, _("The endpoint is changed."))
    return _back(visit, webhook)


@page(write=True, methods=("POST",))
def rotate(visit: Visit, webhook_id: str) -> HttpResponse:
    """Give an endpoint a new secret and show it, this one time."""
    webhook = webhook_of(visit.account, webhook_id)
    form = RotateForm(visit.request.POST)
    if not form.is_valid():
        return _show(visit, webhook, rotate_form=form)
    made = services.rotate_secret(
        webhook=webhook,
        overlap_seconds=form.cleaned_data["overlap"],
        actor=visit.actor,
        now=visit.now,
    )
    return _show_once(visit, *made)


@page(write=True, methods=("POST",))
def enable(visit: Visit, webhook_id: str) -> HttpResponse:
    """Send to an endpoint again; its failures are forgotten."""
    return _switch(visit, webhook_id, on=True, done=_("The endpoint is enabled."))


@page(write=True, methods=("POST",))
def disable(visit: Visit, webhook_id: str) -> HttpResponse:
    """Send nothing more to an endpoint until it is enabled."""
    return _switch(visit, webhook_id, on=False, done=_("Nothing is sent there now."))


@page(write=True, methods=("POST",))
def delete(visit: Visit, webhook_id: str) -> HttpResponse:
    """Remove an endpoint for good."""
    webhook = webhook_of(visit.account, webhook_id)
    form = ConfirmForm(visit.request.POST, expected=_host(webhook), auto_id="delete_%s")
    form.fields.pop("reason")
    if not form.is_valid():
        return _show(visit, webhook, delete_form=form)
    return attempt(
        visit,
        lambda: services.delete_webhook(
            webhook=webhook, actor=visit.actor, now=visit.now
        ),
        done=_("The endpoint is gone; what was still to be sent there is given up."),
        back=visit.address("webhooks"),
    )


@page(write=True, methods=("POST",))
def test(visit: Visit, webhook_id: str) -> HttpResponse:
    """Send a test message to this endpoint alone."""
    webhook = webhook_of(visit.account, webhook_id)
    return attempt(
        visit,
        lambda: services.send_test(webhook=webhook, actor=visit.actor, now=visit.now),
        done=_("A test is on its way; the log below says within seconds what came."),
        back=visit.address("webhook", webhook.public_id) + "#log",
    )


@page(write=True, methods=("POST",))
def redeliver(visit: Visit, webhook_id: str, webhook_delivery_id: str) -> HttpResponse:
    """Send one message again, under the id it had."""
    webhook = webhook_of(visit.account, webhook_id)
    delivery = message_to(webhook, webhook_delivery_id)
    return _again(visit, webhook, messages_to(webhook).filter(id=delivery.id))


@page(write=True, methods=("POST",))
def redeliver_failed(visit: Visit, webhook_id: str) -> HttpResponse:
    """Send everything again that failed."""
    return _again(visit, webhook_of(visit.account, webhook_id), None)


def _told_again(count: int) -> str:
    if not count:
        return _("Nothing had failed: no message goes out again.")
    told = ngettext(
        "%(count)d message goes out again within seconds.",
        "%(count)d messages go out again within seconds.",
        count,
    )
    return told % {"count": count}


def _again(visit: Visit, webhook: Webhook, chosen: Any) -> HttpResponse:
    try:
        count = services.redeliver(
            webhook=webhook, deliveries=chosen, actor=visit.actor, now=visit.now
        )
    except NotFound:
        raise
    except DomainError as error:
        messages.error(visit.request, said(error))
    else:
        messages.success(visit.request, _told_again(count))
    return _back(visit, webhook, "#log")


def _switch(visit: Visit, webhook_id: str, *, on: bool, done: str) -> HttpResponse:
    webhook = webhook_of(visit.account, webhook_id)
    return attempt(
        visit,
        lambda: _update(visit, webhook, {"enabled": on}),
        done=done,
        back=visit.address("webhook", webhook.public_id),
    )


def _create(visit: Visit, values: dict[str, Any]) -> tuple[Webhook, str]:
    return services.create_webhook(
        account=visit.account,
        types=values.pop("event_types"),
        actor=visit.actor,
        now=visit.now,
        **values,
    )


def _update(visit: Visit, webhook: Webhook, values: dict[str, Any]) -> Webhook:
    return services.update_webhook(
        webhook=webhook, changes=values, actor=visit.actor, now=visit.now
    )


def _saved(form: WebhookForm, write: Callable[[dict[str, Any]], Any]) -> Any:
    """Write what the form says; None before it was sent, or after saying why not."""
    if not form.is_valid():
        return None
    try:
        return write(form.values())
    except NotFound:
        raise
    except DomainError as error:
        form.blame(error)
        return None


def _back(visit: Visit, webhook: Webhook, place: str = "") -> HttpResponse:
    return HttpResponseRedirect(visit.address("webhook", webhook.public_id) + place)


def _fill_in(
    visit: Visit, form: WebhookForm, webhook: Webhook | None = None
) -> HttpResponse:
    context = {"form": form, "webhook": webhook}
    code = 422 if form.is_bound else 200
    return render(visit, "webhook_form.html", context, place="webhooks", status=code)


def _show_once(visit: Visit, webhook: Webhook, secret: str) -> HttpResponse:
    context = {"webhook": webhook, "secret": secret}
    return render(visit, "webhook_made.html", context, place="webhooks")


def _show(visit: Visit, webhook: Webhook, **bound: Any) -> HttpResponse:
    log_form = LogForm(visit.request.GET)
    shown = page_of(_log(webhook, log_form), visit.request)
    delete_form = ConfirmForm(expected=_host(webhook), auto_id="delete_%s")
    delete_form.fields.pop("reason")
    failing = webhook.failing_since
    context = {
        "webhook": webhook,
        "host": _host(webhook),
        "page": shown,
        "rows": [{"delivery": row, "payload": _payload(row)} for row in shown.rows],
        "log_form": log_form,
        "narrow": any(log_form.cleaned_data.values()),
        "old_secret_until": _old_secret(webhook, visit.now),
        "disabled_from": None if failing is None else failing + DISABLED_AFTER,
        "rotate_form": RotateForm(auto_id="rotate_%s"),
        "delete_form": delete_form,
        **bound,
    }
    part = wants_part(visit.request) and not bound
    template = "parts/webhook_log.html" if part else "webhook.html"
    code = 422 if bound else 200
    return render(visit, template, context, place="webhooks", status=code)


def _log(webhook: Webhook, form: LogForm) -> Any:
    form.is_valid()
    found = messages_to(webhook)
    if form.cleaned_data.get("state"):
        found = found.filter(state=form.cleaned_data["state"])
    if form.cleaned_data.get("type"):
        found = found.filter(notice__type=form.cleaned_data["type"])
    return found


def _payload(delivery: Delivery) -> dict[str, Any]:
    told = {} if delivery.notice is None else body_of(delivery.notice)
    return {name: value for name, value in told.items() if name != "id"}


def _old_secret(webhook: Webhook, now: datetime) -> datetime | None:
    """Return until when messages bear an older secret's signature too."""
    ends = [
        datetime.fromisoformat(held["until"])
        for held in webhook.secrets
        if held["until"] is not None
    ]
    return max((end for end in ends if end > now), default=None)


def _host(webhook: Webhook) -> str:
    return urlsplit(webhook.url).hostname or webhook.url
