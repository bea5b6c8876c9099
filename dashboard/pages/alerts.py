"""The inbox of alerts, and an alert with its picture and what was sent about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.http import HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import selectors as account_selectors
from accounts.errors import NotFound
from accounts.saying import say
from alerts import selectors, services, wording
from alerts.models import Alert, Delivery
from dashboard import charts
from dashboard.crossings import crossing_of
from dashboard.fragments import wants_part
from dashboard.gauges import Dial, dials_of, subject_text
from dashboard.mail_files import Letter, letters_of
from dashboard.paging import chosen, page_of
from dashboard.snoozing import SPANS, SnoozeForm
from dashboard.visits import Visit, attempt, page, render
from policies.models import Policy
from policies.selectors import policies
from usage.selectors import readings

STATES: Final = (
    ("open", gettext_lazy("Open")),
    ("snoozed", gettext_lazy("Snoozed")),
    ("acknowledged", gettext_lazy("Acknowledged")),
    ("resolved", gettext_lazy("Resolved")),
    ("all", gettext_lazy("All")),
)
KINDS: Final = (
    ("", gettext_lazy("every kind")),
    (wording.LIMIT, gettext_lazy("limits")),
    (wording.BLOCK, gettext_lazy("blocks")),
    (wording.UNBLOCK, gettext_lazy("blocks that ended")),
    (wording.REVOKE, gettext_lazy("revoked bots")),
    (wording.FORECAST, gettext_lazy("forecasts")),
    (wording.DELIVERY_FAILING, gettext_lazy("failing endpoints")),
    (wording.RETENTION_PAUSED, gettext_lazy("pruning that waits")),
    (wording.RETENTION_OVERDUE, gettext_lazy("pruning that is overdue")),
)
# What led to a crossing is shown from so long before it.
BEFORE: Final = timedelta(minutes=10)
AFTER: Final = timedelta(minutes=2)
CHOICES: Final = 500
# Of how many policies the nearest is looked for.
NEAR: Final = 100
_NO_NAMES: Final[Mapping[str, str]] = {}


class InboxForm(forms.Form):
    """Which alerts are shown."""

    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=KINDS, required=False)
    policy = forms.ChoiceField(label=gettext_lazy("Policy"), required=False)


@dataclass(frozen=True, slots=True)
class Row:
    """An alert with the picture of its crossing, if it is about an amount.

    `subject` says whom the counter is about; empty for everyone.
    """

    alert: Alert
    drawn: charts.Gauge | None
    asleep: bool
    subject: str = ""

    @property
    def title(self) -> str:
        """What the alert is called: its policy, else what it is."""
        return say(self.alert.policy_name) or wording.headline_of(self.alert)

    @property
    def percent(self) -> str:
        """What is used of the threshold, in per cent, in few digits."""
        return "0" if self.drawn is None else self.drawn.percent_text

    @property
    def step_dash(self) -> str:
        """`stroke-dasharray` of a mark on the arc at the step that was crossed."""
        return f"0 {max(0, min(self.alert.step, 100) - 1)} 1 100"


@page()
def listing(visit: Visit) -> HttpResponse:
    """List the alerts that wait for somebody, or those that the address asks for."""
    state = chosen(visit.request, "state", [name for name, _label in STATES])
    state = state or "open"
    form = _form(visit)
    found = selectors.inbox(visit.account, state, visit.now)
    if form.cleaned_data.get("kind"):
        found = found.filter(kind=form.cleaned_data["kind"])
    if form.cleaned_data.get("policy"):
        found = found.filter(policy_id=form.cleaned_data["policy"])
    shown = page_of(found, visit.request)
    context = {
        "page": shown,
        "rows": _rows(visit, shown.rows),
        "state": state,
        "states": STATES,
        "spans": SPANS.items(),
        "query": urlencode({k: v for k, v in form.cleaned_data.items() if v}),
        "form": form,
        "narrow": any(form.cleaned_data.values()),
        "nearest": None if shown.rows else _nearest(visit),
    }
    part = wants_part(visit.request)
    template = "parts/alerts_found.html" if part else "alerts.html"
    return render(visit, template, context, place="alerts")


@page()
def detail(visit: Visit, alert_id: str) -> HttpResponse:
    """Show an alert, its deliveries and, where mails are files, the mails."""
    return _show(visit, selectors.alert_of(visit.account, alert_id))


def _show(visit: Visit, alert: Alert, form: SnoozeForm | None = None) -> HttpResponse:
    deliveries = list(selectors.deliveries(visit.account, alert)[:50])
    names = _names(visit, alert)
    context = {
        "alert": alert,
        "row": _row(alert, visit.now),
        "crossing": crossing_of(visit.account, alert, visit.now),
        "headline": wording.headline_of(alert),
        "did": wording.done_about(alert, _local),
        "advice": wording.advice_about(alert),
        "bot_name": names.get(alert.bot_id, alert.bot_id),
        "subject": subject_text(alert.subject, names),
        "then": _then(visit, alert),
        "deliveries": deliveries,
        "endpoints": _endpoints(visit, deliveries),
        "letters": _letters(visit, deliveries),
        "snooze_form": form or SnoozeForm(visit=visit),
        "is_open": alert.acknowledged_at is None
        and alert.state != Alert.State.RESOLVED,
    }
    status = 200 if form is None else 422
    return render(visit, "alert.html", context, place="alerts", status=status)


@page(write=True, methods=("POST",))
def acknowledge(visit: Visit, alert_id: str) -> HttpResponse:
    """Note that somebody has seen an alert."""
    alert = selectors.alert_of(visit.account, alert_id)
    return attempt(
        visit,
        lambda: services.acknowledge(alert=alert, actor=visit.actor, now=visit.now),
        done=_("Acknowledged."),
        back=_back(visit, alert),
    )


@page(write=True, methods=("POST",))
def snooze(visit: Visit, alert_id: str) -> HttpResponse:
    """Put an alert aside until a moment; it comes back by itself."""
    alert = selectors.alert_of(visit.account, alert_id)
    form = SnoozeForm(visit.request.POST, visit=visit)
    if not form.is_valid():
        return _show(visit, alert, form)
    until = form.cleaned_data["until"]
    when = _local(until)
    return attempt(
        visit,
        lambda: services.snooze(
            alert=alert, until=until, actor=visit.actor, now=visit.now
        ),
        done=_("Snoozed until %(when)s. New crossings are shown all the same.")
        % {"when": when},
        back=_back(visit, alert),
    )


@page(write=True, methods=("POST",))
def wake(visit: Visit, alert_id: str) -> HttpResponse:
    """Bring a snoozed alert back at once."""
    alert = selectors.alert_of(visit.account, alert_id)
    return attempt(
        visit,
        lambda: services.wake(alert=alert, actor=visit.actor, now=visit.now),
        done=_("It is open again."),
        back=_back(visit, alert),
    )


@page(write=True, methods=("POST",))
def resend(visit: Visit, delivery_id: str) -> HttpResponse:
    """Send one message about an alert again."""
    delivery = selectors.delivery_of(visit.account, delivery_id)
    alert = delivery.alert
    return attempt(
        visit,
        lambda: services.resend(delivery=delivery, actor=visit.actor, now=visit.now),
        done=_("It is in the outbox again and goes out within half a minute."),
        back=visit.address("alert", alert.public_id)
        if alert is not None
        else visit.address("alerts"),
    )


def _local(moment: datetime) -> str:
    """Write a moment in the account's zone."""
    return date_format(timezone.localtime(moment), _("j M Y, H:i"))


def _back(visit: Visit, alert: Alert) -> str:
    """Return where somebody came from: the list, or the alert's page."""
    if visit.request.POST.get("back") == "list":
        return visit.address("alerts")
    return visit.address("alert", alert.public_id)


def _form(visit: Visit) -> InboxForm:
    form = InboxForm(visit.request.GET)
    known = policies(visit.account, include_archived=True)[:CHOICES]
    offered = [(each.public_id, each.name) for each in known]
    form.fields["policy"].choices = [("", _("every policy")), *offered]  # type: ignore[attr-defined]
    form.is_valid()
    return form


def _rows(visit: Visit, shown: Sequence[Alert]) -> list[Row]:
    named = {field for alert in shown for field, _value in alert.subject}
    names: dict[str, str] = {}
    if "bot" in named:
        known = account_selectors.bots(visit.account, include_archived=True)
        names = {bot.public_id: bot.name for bot in known[:CHOICES]}
    return [_row(alert, visit.now, names) for alert in shown]


def _row(alert: Alert, now: datetime, names: Mapping[str, str] = _NO_NAMES) -> Row:
    asleep, subject = alert.is_snoozed(now), subject_text(alert.subject, names)
    if alert.used is None or alert.threshold is None:
        return Row(alert, None, asleep, subject)
    drawn = charts.gauge(used=alert.used, held=0, threshold=alert.threshold)
    return Row(alert, drawn, asleep, subject)


def _nearest(visit: Visit) -> Dial | None:
    """Return the fullest limit, for those who wonder why there is nothing to see."""
    written = policies(visit.account, type=Policy.Type.USAGE)
    live = list(written.exclude(rollout_mode=Policy.Rollout.OFF)[:NEAR])
    read = readings(account=visit.account, policies=live, now=visit.now)
    return next(iter(dials_of(live, read)), None)


def _then(visit: Visit, alert: Alert) -> str:
    """Return the address of the decisions around a crossing; empty if it has none."""
    if not visit.may_audit or not alert.metric:
        return ""
    around = (("since", -BEFORE), ("until", AFTER))
    moments = {
        name: f"{timezone.localtime(alert.created_at + apart):%Y-%m-%dT%H:%M}"
        for name, apart in around
    }
    bot = {"bot": alert.bot_id} if alert.bot_id else {}
    return f"{visit.address('decisions')}?{urlencode({**bot, **moments})}"


def _names(visit: Visit, alert: Alert) -> dict[str, str]:
    """Return the name of the alert's bot, if it is still there."""
    try:
        bot = account_selectors.bot_by_reference(
            visit.account, alert.bot_id, include_archived=True
        )
    except NotFound:
        return {}
    return {bot.public_id: bot.name}


def _endpoints(visit: Visit, deliveries: list[Delivery]) -> Mapping[str, Any]:
    """Return the endpoints that were told, by their ids."""
    if all(each.channel != "webhook" for each in deliveries):
        return {}
    return {each.public_id: each.url for each in selectors.webhooks(visit.account)}


def _letters(visit: Visit, deliveries: list[Delivery]) -> list[Letter]:
    # A mail shows who else got it, and what a viewer may not look up elsewhere.
    return letters_of(deliveries) if visit.may_audit else []
