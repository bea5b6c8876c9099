"""How the installation does, as far as an account's members should know.

Each check says one thing in words, with what to do if it is not well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import heartbeats
from accounts.models import Account
from alerts.selectors import outbox_of
from dashboard.amounts import duration_text
from gateway.selectors import upstreams
from retention.models import PruneRun
from retention.selectors import enforced_policies, runs
from usage.selectors import rolled_up_at

# The page's states: what `status` shows.
FINE, LATE, BROKEN, IDLE = "completed", "warning", "failed", "disabled"
_SLOW_OUTBOX: Final = 60.0
_SLOW_ROLLUPS: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Check:
    """One part: its state, what is so, and what to do about it."""

    name: str
    state: str
    word: str
    text: str
    at: datetime | None = None
    advice: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be done."""
        return self.state in (FINE, IDLE)


def checks(account: Account, now: datetime) -> list[Check]:
    """Return every check, in the order in which work flows."""
    beats = heartbeats.beats()
    return [
        _rollups(now),
        _worker(beats, now),
        _clock(beats, now),
        _outbox(account, now),
        _retention(account, now),
        _gateway(account),
    ]


def _worker(beats: Mapping[str, datetime], now: datetime) -> Check:
    name = _("Worker")
    at = beats.get(heartbeats.WORKER)
    if at is not None and now - at < heartbeats.LATE_AFTER:
        return Check(name, FINE, _("At work"), _("It said so just now."), at)
    return Check(
        name,
        BROKEN,
        _("Silent"),
        _("Alerts, webhooks and pruning wait. Calls are decided all the same."),
        at,
        _("Start the worker, or look at its log."),
    )


def _clock(beats: Mapping[str, datetime], now: datetime) -> Check:
    name = _("Clock")
    at = beats.get(heartbeats.CLOCK)
    if at is not None and now - at < heartbeats.LATE_AFTER:
        return Check(name, FINE, _("Goes"), _("Its last task arrived just now."), at)
    return Check(
        name,
        LATE,
        _("Silent"),
        _("What happens by the clock waits: pruning, forecasts, expired holds."),
        at,
        _("One worker needs the clock (--clock), and the broker has to be reachable."),
    )


def _rollups(now: datetime) -> Check:
    name = _("Usage on pages")
    at = rolled_up_at()
    if at is None:
        return Check(name, IDLE, _("Nothing yet"), _("No usage was recorded yet."))
    if now - at < _SLOW_ROLLUPS:
        return Check(
            name, FINE, _("Fresh"), _("Events reach the pages in seconds."), at
        )
    return Check(
        name,
        LATE,
        _("Behind"),
        _("Charts and reports lag behind what was recorded. Limits do not."),
        at,
        _("The worker does this; look at it first."),
    )


def _outbox(account: Account, now: datetime) -> Check:
    name = _("Outbox")
    found = outbox_of(account, now)
    failed = found["failed"]
    if found["lag"] > _SLOW_OUTBOX:
        lag = duration_text(int(found["lag"]))
        text = _("The oldest message has been waiting for %(lag)s.") % {"lag": lag}
        advice = _("The worker sends them; look at it and at the mail server.")
        return Check(name, BROKEN, _("Behind"), text, advice=advice)
    if failed:
        text = ngettext(
            "%(count)d message was given up within a day.",
            "%(count)d messages were given up within a day.",
            failed,
        )
        advice = _("The alerts and webhooks say why, and send them again.")
        return Check(name, LATE, _("Failures"), text % {"count": failed}, advice=advice)
    waiting = found["waiting"]
    text = ngettext("%(count)d message waits.", "%(count)d messages wait.", waiting)
    return Check(name, FINE, _("Empties"), text % {"count": waiting})


def _retention(account: Account, now: datetime) -> Check:
    name = _("Retention")
    last = runs(account).first()
    if last is None and not enforced_policies(account).exists():
        text = _("No retention policy is enforced; what the plan limits still goes.")
        return Check(name, IDLE, _("No policy"), text)
    if last is None:
        text = _("No run yet; the next one comes within minutes.")
        return Check(name, FINE, _("Waits"), text)
    if last.state in (PruneRun.State.FAILED, PruneRun.State.STOPPED):
        text = _("The last run did not get to its end.")
        advice = _("Its receipt says why; the next run goes on.")
        return Check(name, BROKEN, _("Failed"), text, last.started_at, advice)
    if last.state in (PruneRun.State.WAITING, PruneRun.State.PAUSED):
        text = _("The last run waits for a person.")
        advice = _("Confirm it, or edit its policy, on the retention page.")
        return Check(name, LATE, _("Waits for you"), text, last.started_at, advice)
    text = _("The last run is done.")
    if last.state == PruneRun.State.RUNNING:
        text = _("A run is under way.")
    return Check(name, FINE, _("Runs"), text, last.started_at)


def _gateway(account: Account) -> Check:
    name = _("Gateway")
    found = list(upstreams(account).values_list("enabled", flat=True))
    on = sum(found)
    if on:
        text = ngettext(
            "Calls go to %(count)d upstream.", "Calls go to %(count)d upstreams.", on
        )
        return Check(name, FINE, _("Open"), text % {"count": on})
    if found:
        text = _("Every upstream is switched off, so no call passes.")
        advice = _("Switch one on, on the gateway's page.")
        return Check(name, LATE, _("Closed"), text, advice=advice)
    if settings.GATEWAY_ECHO:
        text = _("There is no upstream; a built-in echo answers, to try things.")
        return Check(name, IDLE, _("Echo"), text)
    return Check(name, IDLE, _("No upstream"), _("No upstream is written down yet."))
