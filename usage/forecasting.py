"""The forecast of a policy's counter: reads four weeks of hours, asks the pure one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from accounts import ids
from policies.models import Policy
from policies.rules import Scope, UsageRule
from policies.selectors import rule_of
from usage import windows
from usage.forecast import HISTORY, HORIZON, Forecast, forecast
from usage.models import Counter
from usage.reports import Filters, Report
from usage.selectors import CounterReading

# What happens within few hours cannot be told from the sums of hours.
SHORTEST = timedelta(hours=6)

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Outlook:
    """A forecast with what was counted in each past hour.

    Hours without usage are left out. The hour that is under way is in it as far as it
    is known, although the forecast is made from whole ones.
    """

    forecast: Forecast
    history: Mapping[datetime, int] = field(default_factory=dict)


def forecast_of(*, policy: Policy, reading: CounterReading, now: datetime) -> Forecast:
    """Say whether and when a counter of a usage policy reaches its threshold.

    `reading` is one of `usage.selectors.readings_of(policy=…)`. For a window of less
    than six hours `enough` is False and `reason` is `window_too_short`.
    """
    return outlook_of(policy=policy, reading=reading, now=now).forecast


def outlook_of(*, policy: Policy, reading: CounterReading, now: datetime) -> Outlook:
    """Return the forecast of a counter together with its past four weeks."""
    length = reading.window.seconds
    rolling = reading.window.kind == "rolling"
    short = length is not None and timedelta(seconds=length) < SHORTEST
    if short or reading.window.unit == "hour":
        until = reading.resets_at or now
        return Outlook(Forecast(False, "window_too_short", until))
    resets_at = reading.resets_at
    if length is not None and (rolling or resets_at is None):
        resets_at = now + min(timedelta(seconds=length), HORIZON)
    history = _history(policy, reading, now)
    whole = {hour: sum_ for hour, sum_ in history.items() if hour + _HOUR <= now}
    found = forecast(
        now=now,
        used=reading.used,
        threshold=reading.threshold,
        resets_at=resets_at,
        history=whole,
        since=min(whole, default=now),
        timezone=policy.account.timezone,
        leaving=_leaving(reading, now) if rolling else (),
    )
    return Outlook(found, history)


def _history(
    policy: Policy, reading: CounterReading, now: datetime
) -> dict[datetime, int]:
    """Return what was counted in each hour of four weeks that had usage at all."""
    filters = filters_of(rule_of(policy), reading.subject)
    if filters is None:
        return {}
    end = now.replace(minute=0, second=0, microsecond=0)
    hours = HISTORY // _HOUR
    edges = [end - n * _HOUR for n in range(hours, -2, -1)]
    rows = Report(policy.account, filters).series(edges, "hour")
    return {edges[row.bucket]: row.sums[reading.metric] for row in rows}


def filters_of(rule: UsageRule, subject: list[list[str | None]]) -> Filters | None:
    """Return what the counter counts as the filters of a report; None if nothing."""
    scope = rule.scope
    given = {str(name): value for name, value in subject}
    bot, project = given.get("bot", scope.bot), given.get("project", scope.project)
    user, model = given.get("user", scope.user), given.get("model", scope.model)
    try:
        return Filters(
            bot=_key("bot", bot),
            project=_key("prj", project),
            no_project="project" in given and project is None,
            user="" if "user" in given and user is None else user,
            model="" if "model" in given and model is None else _exactly(model),
            models=_start(scope) if "model" not in given else "",
        )
    except ids.InvalidId:
        return None


def _key(prefix: str, public_id: str | None) -> UUID | None:
    return None if public_id is None else ids.decode_id(prefix, public_id)


def _exactly(model: str | None) -> str | None:
    return None if model is None or model.endswith("*") else model


def _start(scope: Scope) -> str:
    pattern = scope.model or ""
    return pattern[:-1] if pattern.endswith("*") else ""


def _leaving(reading: CounterReading, now: datetime) -> list[tuple[datetime, int]]:
    """Return what leaves a rolling window, and when."""
    row = Counter.objects.filter(id=reading.counter_id).first()
    if row is None or row.ring is None or row.ring_head is None:
        return []
    width = windows.bucket_width(reading.window.seconds or 0)
    found = []
    for bucket in range(row.ring_head - windows.BUCKETS, row.ring_head + 1):
        amount = row.ring[bucket % windows.SLOTS]
        gone = (bucket + windows.SLOTS) * width
        at = windows.EPOCH + timedelta(microseconds=gone)
        if amount and at > now:
            found.append((at, amount))
    return found
