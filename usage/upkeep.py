"""What time does by itself: blocks end, alerts resolve, event ids are forgotten.

The ledger never waits for any of it: a block that is over refuses nothing, and a window
that is over counts nothing, whether or not this has run (CONTRACT B2).
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from alerts.services import resolve_alert
from policies.models import Policy
from policies.rules import Limit
from policies.selectors import rule_of
from usage import once, windows
from usage.models import Counter

EVENT_ID_DAYS = 35

# A person's block with an end is over at its end as well.
_LIFT_BLOCKS = """UPDATE policies_block SET lifted_at = ends_at,
lifted_by = CASE kind WHEN 'policy' THEN 'window end' ELSE 'end' END,
lift_reason = CASE kind WHEN 'policy' THEN 'window end' ELSE 'end' END
WHERE id IN (SELECT id FROM policies_block
WHERE lifted_at IS NULL AND ends_at <= %(now)s AND kind <> 'revoke'
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"""

_COUNTER_OF_ALERT = """LEFT JOIN usage_counter AS c ON c.id =
CASE WHEN a.counter ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
THEN a.counter::uuid END"""

# An alert whose counter is gone has nothing left that could reset.
_RESOLVE_ALERTS = f"""UPDATE alerts_alert SET state = 'resolved',
resolved_at = coalesce(resets_at, %(now)s)
WHERE id IN (SELECT a.id FROM alerts_alert AS a {_COUNTER_OF_ALERT}
WHERE a.state <> 'resolved' AND a.counter <> '' AND a.kind IN ('limit', 'forecast')
AND ((c.id IS NULL AND a.resets_at IS NULL) OR a.resets_at <= %(now)s)
AND (c.kind IS DISTINCT FROM 'rolling' OR a.kind = 'forecast')
ORDER BY a.id LIMIT %(limit)s FOR UPDATE OF a SKIP LOCKED)"""  # noqa: S608

_ROLLING_ALERTS = f"""SELECT a.id, a.step, c.id
FROM alerts_alert AS a {_COUNTER_OF_ALERT}
WHERE a.state <> 'resolved' AND a.kind = 'limit' AND c.kind = 'rolling' ORDER BY a.id"""  # noqa: S608

_FORGET_EVENT_IDS = """DELETE FROM usage_eventid WHERE id IN (
SELECT id FROM usage_eventid WHERE created_at < %(before)s
ORDER BY created_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
AND created_at < %(before)s"""

_FORGET_ANSWERS = """DELETE FROM usage_firstanswer WHERE id IN (
SELECT id FROM usage_firstanswer WHERE created_at <= %(before)s
ORDER BY created_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
AND created_at <= %(before)s"""


def lift_ended_blocks(*, now: datetime, limit: int = 5_000) -> int:
    """Mark the blocks whose end has passed as lifted then; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_LIFT_BLOCKS, {"now": now, "limit": limit})
        return cursor.rowcount


def resolve_alerts(*, now: datetime, limit: int = 5_000) -> int:
    """Resolve the alerts of windows that are over; return how many.

    A rolling window has no end: its alerts resolve when less than their step is used.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RESOLVE_ALERTS, {"now": now, "limit": limit})
        ended = cursor.rowcount
        cursor.execute(_ROLLING_ALERTS)
        rolling = cursor.fetchall()
    over = below_their_step(rolling, now)
    return ended + sum(resolve_alert(alert_id=alert, now=now) for alert in over)


def end_windows(*, now: datetime) -> int:
    """Lift blocks and resolve alerts that time has ended; return how many rows."""
    return lift_ended_blocks(now=now) + resolve_alerts(now=now)


def prune_event_ids(*, now: datetime, batch: int = 5_000, batches: int = 100) -> int:
    """Forget the event ids of over 35 days ago (CONTRACT A5); return how many."""
    before = now - timedelta(days=EVENT_ID_DAYS)
    return _forget(_FORGET_EVENT_IDS, before, batch, batches)


def prune_first_answers(
    *, now: datetime, batch: int = 5_000, batches: int = 100
) -> int:
    """Forget answers that are replayed no longer (CONTRACT G5); return how many."""
    return _forget(_FORGET_ANSWERS, now - once.KEPT, batch, batches)


def _forget(sql: str, before: datetime, batch: int, batches: int) -> int:
    forgotten = 0
    for _ in range(batches):
        with connection.cursor() as cursor:
            cursor.execute(sql, {"before": before, "batch": batch})
            gone = cursor.rowcount
        forgotten += gone
        if gone < batch:
            break
    return forgotten


def below_their_step(rows: list[tuple[UUID, int, UUID]], now: datetime) -> list[UUID]:
    """Return the alerts of (alert, step, counter) whose step is not used up (any more).

    An alert about a limit that its policy no longer has is one of them.
    """
    if not rows:
        return []
    wanted = Counter.objects.filter(id__in={row[2] for row in rows})
    counters = {c.id: c for c in wanted.select_related("policy")}
    limits: dict[UUID, dict[str, Limit]] = {}
    over = []
    for alert, step, counter_id in rows:
        counter = counters.get(counter_id)
        if counter is None:
            continue
        policy = counter.policy
        if policy.id not in limits:
            limits[policy.id] = _limits_of(policy)
        limit = limits[policy.id].get(counter.limit_key)
        # A limit that the policy no longer has cannot be at its step.
        if limit is None or _used(counter, limit, now) < _amount(limit, step):
            over.append(alert)
    return over


def _limits_of(policy: Policy) -> dict[str, Limit]:
    return {limit.key: limit for limit in rule_of(policy).limits}


def _used(counter: Counter, limit: Limit, now: datetime) -> int:
    if counter.ring is None or counter.ring_head is None:
        return counter.used
    width = windows.bucket_width(limit.window.seconds or 0)
    bucket = windows.bucket_of(now, width)
    ring = list(counter.ring)  # two alerts may ask about one counter
    return windows.advance(counter.used, counter.ring_head, ring, bucket)[0]


def _amount(limit: Limit, step: int) -> int:
    """Return what `step` per cent of the threshold is, rounded up."""
    return -(-limit.threshold * step // 100)
