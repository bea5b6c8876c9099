"""Witnesses of the time: the database's clock, and what has passed since the last run.

A clock that counts through suspension and that nobody can set tells how much time has
passed since the machine was started. What it and the wall clock read at the last run
that was trusted is kept, so that a jump in between is seen by whoever looks next, also
by a new process.
"""

import time
from datetime import datetime, timedelta
from pathlib import Path

from django.db.models import Max

from retention.models import ClockReading
from retention.selectors import database_clock

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_FORGOTTEN_AFTER = timedelta(days=30)


def witnesses(now: datetime) -> list[datetime]:
    """Return what `now` should be by every witness there is."""
    found = [database_clock()]
    kept = ClockReading.objects.filter(boot=_boot()).first()
    if kept is not None:
        passed = time.clock_gettime(_STEADY) - kept.steady_seconds
        found.append(kept.wall + timedelta(seconds=passed))
    latest = ClockReading.objects.aggregate(latest=Max("wall"))["latest"]
    if latest is not None and now < latest:
        # Of before the machine was started again: time goes on, how far is unknown.
        found.append(latest)
    return found


def remember(now: datetime) -> None:
    """Keep what the clocks read, because `now` was trusted or confirmed."""
    ClockReading.objects.update_or_create(
        boot=_boot(),
        defaults={"steady_seconds": time.clock_gettime(_STEADY), "wall": now},
    )
    others = ClockReading.objects.exclude(boot=_boot())
    others.filter(wall__lt=now - _FORGOTTEN_AFTER).delete()
    others.filter(wall__gt=now).delete()


def _boot() -> str:
    """Return the name of the time since the machine was started."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()[:64]
    except OSError:
        return "unknown"
