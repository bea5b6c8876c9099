"""Compare counters with what they were made of, and repair what can be proven (A7).

A counter that has no row, though events counted in it, is reported too and made again;
only of a fixed window nobody can say any more when it began.

`used` is every event that counted in a counter plus its adjustments, `held` every open
hold on it: `usage.recounting` adds both up anew.

Three things make a recount uncertain: events that were pruned, a reservation that is
gone, and an event within seconds of an edit, since both read the clock before they took
the lock. A counter that differs and that one of them could explain is `unverifiable`,
and is never repaired.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection, transaction

from accounts import ids
from accounts.actors import Actor
from accounts.models import Account
from accounts.services import append_change, bump_version
from usage import windows
from usage.models import Counter
from usage.recounting import Recount, recount

OK, DIFFERS, UNVERIFIABLE, FIXED = "ok", "differs", "unverifiable", "fixed"

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One counter, as it is and as it was recounted; cost in micro-USD."""

    counter: Counter
    used: int
    held: int
    ring: list[int] | None
    status: str
    is_lost: bool = False  # it has no row

    @property
    def counts(self) -> bool:
        """Whether anything counted in it."""
        return bool(self.used or self.held)

    @property
    def is_right(self) -> bool:
        """Whether the counter says what the recount says."""
        return (self.counter.used, self.counter.held) == (self.used, self.held)


def reconcile(
    *, account: Account, actor: Actor, now: datetime, fix: bool = False
) -> list[Finding]:
    """Recount all counters of an account; with `fix`, repair what can be proven.

    The recount reads one snapshot and blocks nobody. A repair counts again under the
    account's exclusive lock, so calls of this account wait for it.
    """
    begins = not connection.in_atomic_block
    with transaction.atomic():
        if begins:
            _take_one_snapshot()
        found = _findings(account)
    if not fix or all(finding.status != DIFFERS for finding in found):
        return found
    with transaction.atomic():
        bump_version(account_id=account.id)
        found = _findings(account)
        return [
            _repair(account, finding, actor=actor, now=now)
            if finding.status == DIFFERS
            else finding
            for finding in found
        ]


def _take_one_snapshot() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _findings(account: Account) -> list[Finding]:
    counters = {row.id: row for row in account.counters.order_by("id")}
    sums = recount(account, counters)
    found = [_finding(counter, sums) for counter in counters.values()]
    # A counter that has no row and that nothing counted in is not missed.
    return [each for each in found if each.counts or not each.is_lost]


def _finding(counter: Counter, sums: Recount) -> Finding:
    ring = None
    used = sums.used[counter.id]
    if counter.ring_head is not None:
        ring = _ring(counter.ring_head, sums.buckets.get(counter.id, {}))
        used = sum(ring)
    lost = counter.id in sums.lost
    found = Finding(counter, used, sums.held[counter.id], ring, OK, lost)
    if found.is_right:
        return found
    return replace(found, status=_why(counter, used, sums))


def _ring(head: int, buckets: dict[int, int]) -> list[int]:
    ring = [0] * windows.SLOTS
    for bucket, amount in buckets.items():
        if head - windows.SLOTS < bucket <= head:
            ring[bucket % windows.SLOTS] += amount
    return ring


def _why(counter: Counter, used: int, sums: Recount) -> str:
    """Say whether a difference is proven, or could have another reason."""
    if sums.all_doubtful or counter.id in sums.doubtful or used < 0:
        return UNVERIFIABLE
    start, end = counter.window_start, counter.window_end
    for hour in sums.pruned:
        ends_before = start is not None and hour + _HOUR <= start
        if not ends_before and (end is None or hour < end):
            return UNVERIFIABLE
    return DIFFERS


def _repair(
    account: Account, finding: Finding, *, actor: Actor, now: datetime
) -> Finding:
    """Write what was recounted, and remember what stood there."""
    counter = finding.counter
    changes = [
        {"field": name, "before": getattr(counter, name), "after": after}
        for name, after in (("used", finding.used), ("held", finding.held))
        if getattr(counter, name) != after
    ]
    which = {"field": "counter", "before": None, "after": str(counter.id)}
    counter.used, counter.held = finding.used, finding.held
    if finding.ring is not None:
        counter.ring = finding.ring
    counter.updated_at = now
    if finding.is_lost:
        counter.save(force_insert=True)
    else:
        counter.save(update_fields=["used", "held", "ring", "updated_at"])
    append_change(
        account=account,
        actor=actor,
        action="counter.reconciled",
        target=ids.encode_id("pol", counter.policy_id),
        changes=[which, *changes],
        now=now,
    )
    return replace(finding, status=FIXED)
