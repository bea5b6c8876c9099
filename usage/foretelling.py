"""Tell people, once in a window, that a limit is likely to be reached before it resets.

What is likely is said by `usage.forecast`, from the hours of four weeks; where there is
too little to go by, nobody is told anything.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from alerts import wording
from alerts.models import Alert
from alerts.services import open_alert
from policies.models import Policy
from policies.phrases import used_text
from policies.selectors import rule_of
from usage.counters import EPOCH
from usage.crossing import recipients
from usage.forecast import Forecast
from usage.forecasting import forecast_of
from usage.selectors import CounterReading, readings_of

# Of the counters of one policy those that are nearest to their limit.
MOST_COUNTERS = 20
# With less used than this share there is time to look again.
LEAST_SHARE = 0.2


def tell_forecasts(*, now: datetime) -> int:
    """Open the alerts of limits that are likely to be reached; return how many."""
    live = Policy.objects.filter(type=Policy.Type.USAGE, archived_at=None)
    live = live.exclude(rollout_mode=Policy.Rollout.OFF).select_related("account")
    return sum(_foretell(policy, now) for policy in live.iterator())


def _foretell(policy: Policy, now: datetime) -> int:
    told = 0
    for reading in _nearest(readings_of(policy=policy, now=now)):
        if _was_told(policy, reading, now):
            continue
        seen = forecast_of(policy=policy, reading=reading, now=now)
        if seen.likely:
            told += _open(policy, reading, seen, now)
    return told


def _nearest(readings: Sequence[CounterReading]) -> list[CounterReading]:
    wanted = [
        reading
        for reading in readings
        if reading.window.kind != "lifetime"
        and LEAST_SHARE * reading.threshold <= reading.used < reading.threshold
    ]
    wanted.sort(key=lambda reading: reading.used / reading.threshold, reverse=True)
    return wanted[:MOST_COUNTERS]


def _window_of(reading: CounterReading, now: datetime) -> datetime:
    """Return the start of a window; of a rolling one, whose start moves, a share's."""
    length = timedelta(seconds=reading.window.seconds or 0)
    if reading.window.kind == "rolling" and length:
        return now - (now - EPOCH) % length
    return reading.window_start or now


def _was_told(policy: Policy, reading: CounterReading, now: datetime) -> bool:
    return Alert.objects.filter(
        account=policy.account,
        kind=wording.FORECAST,
        policy_id=policy.public_id,
        counter=str(reading.counter_id),
        window_start=_window_of(reading, now),
    ).exists()


def _open(
    policy: Policy, reading: CounterReading, seen: Forecast, now: datetime
) -> bool:
    bots = [value for name, value in reading.subject if name == "bot" and value]
    opened = open_alert(
        account=policy.account,
        kind=wording.FORECAST,
        policy_id=policy.public_id,
        policy_name=policy.name,
        counter=str(reading.counter_id),
        subject=reading.subject,
        window_start=_window_of(reading, now),
        resets_at=_end(reading, seen),
        step=100,
        state=Alert.State.WARNING,
        bot_id=bots[0] if bots else "",
        metric=reading.metric,
        threshold=reading.threshold,
        used=reading.used,
        enforced=policy.rollout_mode == Policy.Rollout.ENFORCE,
        message=_message(policy, reading, seen),
        recipients=recipients(rule_of(policy)),
        now=now,
    )
    return opened is not None


def _end(reading: CounterReading, seen: Forecast) -> datetime:
    """Return when the forecast is over; a rolling window's own reset is another."""
    if reading.window.kind == "rolling" or reading.resets_at is None:
        return seen.until
    return reading.resets_at


def _message(policy: Policy, reading: CounterReading, seen: Forecast) -> str:
    """Say when, and how sure that is."""
    used = used_text(reading.metric, reading.used, reading.threshold)
    if seen.earliest is not None and seen.latest is not None:
        sure = f"between {_at(seen.earliest)} and {_at(seen.latest)}"
    else:
        sure = f"{_at(seen.earliest)} at the earliest, or not before the reset"
    return (
        f"{policy.name}: {used}. At the pace of the last weeks the limit is reached"
        f" about {_at(seen.runs_out_at)} ({sure}), and it resets {_at(seen.until)}."
    )


def _at(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
