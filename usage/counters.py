"""Counters in memory, as one batch holds them: where a call counts, and how much.

A counter is found by a digest of what it counts. Calendar and lifetime windows have a
row each; a fixed or rolling limit has one *head* row per subject, whose window moves
under its lock. A fixed window that is over is kept as a row of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from policies.rules import Limit, micros_to_cost
from usage import windows
from usage.rulebook import Match

HEAD_KINDS = ("fixed", "rolling")
# Who says more at once has to ask whether it fits: a column ends at 2^63.
BIG = 2**40
MOST = 2**62
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Counter:
    """One counter row. `fired` maps an alert step to the µs its alert was opened."""

    id: UUID
    account_id: UUID
    policy_id: UUID
    limit_key: str
    metric: str
    kind: str
    is_head: bool
    subject: list[list[str | None]]
    subject_key: str
    window_start: datetime | None
    window_end: datetime | None
    used: int = 0
    held: int = 0
    ring: list[int] | None = None
    ring_head: int | None = None
    fired: dict[str, int] = field(default_factory=dict)
    is_new: bool = False
    dirty: bool = False
    moved: bool = False
    # While `used` is below, nothing is crossed; 0 if that is not known.
    quiet_below: int = 0


@lru_cache(maxsize=16_384)
def counter_id(policy_id: UUID, limit_key: str, subject_key: str, start: str) -> UUID:
    """Return a counter's key; `start` is the window's start, or "head"."""
    text = f"{limit_key}\n{subject_key}\n{start}".encode("utf-8", "surrogatepass")
    return UUID(bytes=blake2b(text, digest_size=16, key=policy_id.bytes).digest())


@dataclass(slots=True, eq=False)
class Place:
    """Where one limit counts a call: the counter's key and its window, if it is known.

    A head's window is chosen under its lock, so its bounds are None here. `hold` is
    what every hold of a place says; `shown` and `kept` begin and end the JSON of its
    readings. Of plain calls `name` is the counter's id, `held` begins the JSON of a
    hold and `passed` says of a reading that the call passes. Nobody changes one: calls
    share them.
    """

    match: Match
    limit: Limit
    id: UUID
    bounds: windows.Bounds | None
    hold: dict[str, Any]
    shown: str
    kept: str
    name: str
    held: str
    passed: str
    subject: list[list[str | None]]

    @property
    def end(self) -> datetime | None:
        """The end of the window, if it is known without the counter."""
        return self.bounds.end if self.bounds else None


def place_of(match: Match, limit: Limit, moment: datetime) -> Place:
    """Return where a limit counts what happened at `moment`."""
    latest: Place | None = match.latest.get(limit.key)
    if latest is not None:
        bounds = latest.bounds
        if bounds is None or (
            bounds.start <= moment and (bounds.end is None or moment < bounds.end)
        ):
            return latest
    place = match.latest[limit.key] = _place_of(match, limit, moment)
    return place


def _place_of(match: Match, limit: Limit, moment: datetime) -> Place:
    kind = limit.window.kind
    if kind in HEAD_KINDS:
        start, bounds = "head", None
    else:
        bounds = windows.bounds(limit.window, moment)
        start = bounds.start.isoformat()
    key = counter_id(match.policy_id, limit.key, match.subject_key, start)
    shown, kept = _reading_at(match, limit)
    hold = _hold_at(match, limit, key)
    held = _text(hold)[:-1] + ',"amount":'
    end = bounds.end.astimezone(UTC) if bounds and bounds.end else None
    passed = f',"resets_at":{_text(end)},"exceeded":false'
    passed += f',"enforced":{_text(match.enforced)}'
    subject = [list(pair) for pair in match.subject]
    return Place(
        match, limit, key, bounds, hold, shown, kept, str(key), held, passed, subject
    )


def _hold_at(match: Match, limit: Limit, key: UUID) -> dict[str, Any]:
    return {
        "counter": str(key),
        "closed": None,
        "start": None,
        "policy": match.rule.policy_id,
        "limit": limit.key,
        "metric": limit.metric,
        "seconds": limit.window.seconds,
    }


def _reading_at(match: Match, limit: Limit) -> tuple[str, str]:
    """What is the same in all readings of a place: the beginning, and the end."""
    rule = match.rule
    threshold: int | str = limit.threshold
    if limit.metric == "cost":
        threshold = micros_to_cost(limit.threshold)
    shown = {
        "policy_id": rule.policy_id,
        "revision": rule.revision,
        "action": rule.actions.strongest,
        "metric": limit.metric,
        "threshold": threshold,
    }
    kept = {"limit": limit.key, "shared": match.shared}
    return _text(shown)[:-1], "," + _text(kept)[1:]


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def new_counter(place: Place, account_id: UUID, now: datetime) -> Counter:
    """Make the counter of a place that has none yet."""
    match, limit = place.match, place.limit
    counter = Counter(
        id=place.id,
        account_id=account_id,
        policy_id=match.policy_id,
        limit_key=limit.key,
        metric=limit.metric,
        kind=limit.window.kind,
        is_head=place.bounds is None,
        subject=place.subject,
        subject_key=match.subject_key,
        window_start=place.bounds.start if place.bounds else None,
        window_end=place.bounds.end if place.bounds else None,
        is_new=True,
    )
    if counter.kind == "rolling":
        counter.ring = [0] * windows.SLOTS
        counter.ring_head = windows.bucket_of(now, _width(limit))
        # One row for ever: it has no window of its own, only the ring.
        counter.window_start = EPOCH
    return counter


_read_fired = msgspec.json.Decoder(dict[str, int]).decode


@lru_cache(maxsize=4_096)
def _read_subject(text: str) -> list[list[str | None]]:
    """Read a subject; nobody changes one, so counters of one subject share it."""
    return msgspec.json.decode(text, type=list[list[str | None]])


def from_row(row: Sequence[Any]) -> Counter:
    """Make a counter of a row of `statements.LOCK_COUNTERS`."""
    counter = Counter(*row)
    counter.subject = _read_subject(row[7])
    counter.fired = _read_fired(row[15]) if row[15] != "{}" else {}
    return counter


def counter_at(place: Place, account_id: UUID, row: Sequence[Any]) -> Counter:
    """Make the counter of a place of a row of `statements.LOCK_PLACED`."""
    match, limit = place.match, place.limit
    start, end, used, held, ring, ring_head, fired = row
    return Counter(
        place.id,
        account_id,
        match.policy_id,
        limit.key,
        limit.metric,
        limit.window.kind,
        place.bounds is None,
        place.subject,
        match.subject_key,
        start,
        end,
        used,
        held,
        ring,
        ring_head,
        _read_fired(fired) if fired != "{}" else {},
    )


def closed_id(counter: Counter, start: datetime) -> UUID:
    """Return the key of a fixed window of this subject that began at `start`."""
    return counter_id(
        counter.policy_id, counter.limit_key, counter.subject_key, start.isoformat()
    )


def bring_forward(counter: Counter, limit: Limit, now: datetime) -> None:
    """Let a rolling counter forget what has left its window by `now`."""
    if counter.kind != "rolling" or counter.ring is None or counter.ring_head is None:
        return
    bucket = windows.bucket_of(now, _width(limit))
    counter.used, counter.ring_head, counter.ring = windows.advance(
        counter.used, counter.ring_head, counter.ring, bucket
    )


@dataclass(slots=True)
class View:
    """What a limit has counted in the window that a call now falls in."""

    used: int
    held: int
    window_start: datetime | None
    resets_at: datetime | None


def view(counter: Counter | None, limit: Limit, now: datetime) -> View:
    """Read a counter at `now`. A window that is over or not open reads as empty."""
    if counter is None:
        return View(0, 0, None, None)
    if counter.kind == "fixed":
        start, end = counter.window_start, counter.window_end
        if start is None or end is None or now >= end:
            return View(0, 0, None, None)
        return View(counter.used, counter.held, start, end)
    if counter.kind == "rolling":
        bring_forward(counter, limit, now)
        start = now - timedelta(seconds=limit.window.seconds or 0)
        return View(counter.used, counter.held, start, _frees(counter, limit, 1))
    return View(counter.used, counter.held, counter.window_start, counter.window_end)


def retry_at(counter: Counter | None, limit: Limit, cost: int) -> datetime | None:
    """Return when a refused call of this cost would fit; None: unknown or never."""
    if counter is None or cost > limit.threshold or limit.threshold <= 0:
        return None
    if counter.kind == "rolling":
        return _frees(counter, limit, cost)
    return counter.window_end


def _frees(counter: Counter, limit: Limit, cost: int) -> datetime | None:
    if counter.ring is None or counter.ring_head is None:
        return None
    width = _width(limit)
    total = counter.used + counter.held
    if total < limit.threshold and cost <= 1:
        return windows.oldest_leaves_at(counter.ring_head, counter.ring, width)
    return windows.free_at(
        total, counter.ring_head, counter.ring, limit.threshold, cost, width
    )


def open_window(
    counter: Counter, limit: Limit, moment: datetime
) -> tuple[Counter, Counter | None]:
    """Make a head's current window the one that an act at `moment` belongs to.

    Returns the head and, if a fixed window ended, the row that keeps it. `moment` must
    not lie before the current start; see `is_late`.
    """
    if counter.kind != "fixed":
        return counter, None
    seconds = limit.window.seconds or 0
    if counter.window_start is None:
        _start(counter, moment, seconds)
        return counter, None
    if counter.window_end is not None and moment < counter.window_end:
        return counter, None
    closed = Counter(
        id=closed_id(counter, counter.window_start),
        account_id=counter.account_id,
        policy_id=counter.policy_id,
        limit_key=counter.limit_key,
        metric=counter.metric,
        kind="fixed",
        is_head=False,
        subject=counter.subject,
        subject_key=counter.subject_key,
        window_start=counter.window_start,
        window_end=counter.window_end,
        used=counter.used,
        held=counter.held,
        fired=counter.fired,
        is_new=True,
        dirty=True,
    )
    counter.used = counter.held = 0
    _start(counter, moment, seconds)
    return counter, closed


def closed_window(counter: Counter, limit: Limit, moment: datetime) -> Counter:
    """Make the row of a fixed window in the past that no row contains yet."""
    bounds = windows.fixed_bounds(start=moment, seconds=limit.window.seconds or 0)
    return Counter(
        id=closed_id(counter, moment),
        account_id=counter.account_id,
        policy_id=counter.policy_id,
        limit_key=counter.limit_key,
        metric=counter.metric,
        kind="fixed",
        is_head=False,
        subject=counter.subject,
        subject_key=counter.subject_key,
        window_start=bounds.start,
        window_end=bounds.end,
        is_new=True,
    )


def is_late(counter: Counter, moment: datetime) -> bool:
    """Say whether an act lies before a fixed head's current window (B3)."""
    start = counter.window_start
    return counter.kind == "fixed" and start is not None and moment < start


def charge(counter: Counter, limit: Limit, amount: int, moment: datetime) -> None:
    """Add to what is used; in a rolling counter, in the moment's own bucket."""
    counter.dirty = True
    if counter.kind != "rolling" or counter.ring is None or counter.ring_head is None:
        counter.used += amount
        return
    bucket = windows.bucket_of(moment, _width(limit))
    counter.used, counter.ring_head, counter.ring = windows.add(
        counter.used, counter.ring_head, counter.ring, bucket, amount
    )


def is_full(counter: Counter) -> bool:
    """Say whether a big amount more might leave what the columns can hold."""
    return counter.used > MOST or counter.held > MOST


def hold(counter: Counter, amount: int) -> None:
    """Add to what is held, or free it with a negative amount."""
    counter.held += amount
    counter.dirty = True


def _start(counter: Counter, moment: datetime, seconds: int) -> None:
    counter.fired = {}
    counter.quiet_below = 0
    counter.window_start = moment
    counter.window_end = moment + timedelta(seconds=seconds)
    counter.dirty = counter.moved = True


def _width(limit: Limit) -> int:
    return windows.bucket_width(limit.window.seconds or 0)
