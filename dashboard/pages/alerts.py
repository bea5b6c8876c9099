"""The list of alerts, and an alert with what was sent about it."""

from django.http import HttpResponse

from accounts import selectors as account_selectors
from accounts.errors import NotFound
from alerts import selectors, services
from alerts.models import Alert, Delivery
from dashboard.gauges import subject_text
from dashboard.mail_files import Letter, letters_of
from dashboard.paging import chosen, page_of
from dashboard.visits import Visit, attempt, page, render

STATES = ("open", *Alert.State.values)


@page()
def listing(visit: Visit) -> HttpResponse:
    """List the alerts, the newest first."""
    state = chosen(visit.request, "state", STATES)
    found = (
        selectors.open_alerts(visit.account)
        if state == "open"
        else selectors.alerts(visit.account, state)
    )
    context = {"page": page_of(found, visit.request), "state": state}
    return render(visit, "alerts.html", context, place="alerts")


@page()
def detail(visit: Visit, alert_id: str) -> HttpResponse:
    """Show an alert, its deliveries and, where mails are files, the mails."""
    alert = selectors.alert_of(visit.account, alert_id)
    deliveries = list(selectors.deliveries(visit.account, alert)[:50])
    names = _names(visit, alert)
    context = {
        "alert": alert,
        "bot_name": names.get(alert.bot_id, alert.bot_id),
        "subject": subject_text(alert.subject, names),
        "deliveries": deliveries,
        "letters": _letters(visit, deliveries),
    }
    return render(visit, "alert.html", context, place="alerts")


@page(write=True, methods=("POST",))
def acknowledge(visit: Visit, alert_id: str) -> HttpResponse:
    """Note that somebody has seen an alert."""
    alert = selectors.alert_of(visit.account, alert_id)
    return attempt(
        visit,
        lambda: services.acknowledge(alert=alert, actor=visit.actor, now=visit.now),
        done="Acknowledged.",
        back=visit.address("alert", alert.public_id),
    )


@page(write=True, methods=("POST",))
def resend(visit: Visit, delivery_id: str) -> HttpResponse:
    """Send one message about an alert again."""
    delivery = selectors.delivery_of(visit.account, delivery_id)
    alert = delivery.alert
    return attempt(
        visit,
        lambda: services.resend(delivery=delivery, actor=visit.actor, now=visit.now),
        done="It is in the outbox again and goes out within half a minute.",
        back=visit.address("alert", alert.public_id)
        if alert is not None
        else visit.address("alerts"),
    )


def _names(visit: Visit, alert: Alert) -> dict[str, str]:
    """Return the name of the alert's bot, if it is still there."""
    try:
        bot = account_selectors.bot_of(visit.account, alert.bot_id)
    except NotFound:
        return {}
    return {bot.public_id: bot.name}


def _letters(visit: Visit, deliveries: list[Delivery]) -> list[Letter]:
    # A mail shows who else got it, and what a viewer may not look up elsewhere.
    return letters_of(deliveries) if visit.may_audit else []
