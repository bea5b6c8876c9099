"""Hourly rollups: what pages and reports read instead of events. Exact, once each.

A row is one hour's usage of one combination of project, bot, user, key and model. Where
an account's clock is not whole hours from UTC, it is of 30 or 15 minutes, so that the
account's hours and days are sums of rows (ADR 0024). `usage/summaries.py` adds the same
events up by day and month.

Every event carries the transaction that wrote it. A run takes the events of all
transactions from `horizon` up to the oldest one that is still under way: those have
ended, so nothing can be added to them later, and the next run starts where this one
stopped. Progress and rollups are written in one transaction.

In a database restored from a dump the transaction numbers start anew, below those that
the events name. A run notices, and takes what the old installation had not yet rolled
up together with what was recorded since.
"""

import json
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from usage.models import RollupProgress
from usage.summaries import SUMMARIZE, rebuild_stale, row_minutes, strange_zones

# What any tenant may send must not stop the rollups of all: a sum that no column can
# hold stays at the most that one can.
_MOST = 2**63 - 1
_METRICS = (
    "tokens",
    "input_tokens",
    "output_tokens",
    "messages",
    "conversations",
    "calls",
    "cost",
)
_SUMMED = ", ".join(
    f"least(coalesce(sum({name}), 0), {_MOST})::bigint AS {name}" for name in _METRICS
)
_ADDED = ", ".join(
    f"{name} = least(r.{name}::numeric + excluded.{name}, {_MOST})::bigint"
    for name in _METRICS
)

# The key is a digest of the combination; JSON keeps a null apart from an empty text.
_ROLL_UP = """WITH e AS MATERIALIZED (
SELECT account_id, date_bin(make_interval(mins => coalesce(
  (%(minutes)s::jsonb ->> a.timezone)::int, 60)), occurred_at, 'epoch') AS hour,
 project_id, bot_id, key_id, coalesce("user", '') AS "user",
 coalesce(model, '') AS model,
 CASE WHEN a.timezone = ANY(%(strange)s::text[]) THEN 'UTC' ELSE a.timezone END AS zone,
 count(*) AS events, {summed}, count(*) FILTER (WHERE cost IS NULL) AS unpriced
FROM usage_usageevent AS u JOIN accounts_account AS a ON a.id = u.account_id
WHERE {which}
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8),
written AS (
INSERT INTO usage_hourlyrollup AS r (id, account_id, hour, project_id, bot_id, key_id,
 "user", model, events, tokens, input_tokens, output_tokens, messages, conversations,
 calls, cost, unpriced)
SELECT encode(substring(sha256(convert_to(jsonb_build_array(account_id,
  extract(epoch FROM hour)::bigint, project_id, bot_id, key_id, "user", model)::text,
  'UTF8')) FROM 1 FOR 16), 'hex')::uuid, account_id, hour, project_id, bot_id, key_id,
 "user", model, events, tokens, input_tokens, output_tokens, messages, conversations,
 calls, cost, unpriced FROM e
ON CONFLICT (id) DO UPDATE SET events = r.events + excluded.events, {added},
 unpriced = r.unpriced + excluded.unpriced),
summed AS ({summarize})
SELECT coalesce(sum(events), 0)::bigint FROM e"""

_LITTLE = 2_000
_WAITING = """SELECT count(*) FROM (SELECT 1 FROM usage_usageevent
WHERE written_by >= coalesce((SELECT horizon FROM usage_rollupprogress), 0)::text::xid8
LIMIT %(limit)s) AS waiting"""

_BETWEEN = "written_by >= %(low)s::text::xid8 AND written_by < %(high)s::text::xid8"

# Whether a row was written here by the transaction it names. In a restored dump it was
# not: the restoring transaction wrote it. (`xmin` is the low half of an xid8.)
_NATIVE = "u.xmin::text::bigint = mod(written_by::text::numeric, 4294967296)::bigint"
_AFTER_RESTORE = f"""(NOT ({_NATIVE}) AND written_by >= %(low)s::text::xid8)
OR ({_NATIVE} AND written_by < %(high)s::text::xid8)"""

# Their transactions belong to another installation; from here on they are history.
_AGE_THE_RESTORED = f"""UPDATE usage_usageevent AS u SET written_by = '0'
WHERE NOT ({_NATIVE}) AND written_by >= %(high)s::text::xid8"""  # noqa: S608


def roll_up(*, now: datetime) -> int:
    """Add the events recorded since the last run to their hours; return how many.

    0 when another run is under way. Events of transactions that have not ended wait
    for the next run.
    """
    RollupProgress.objects.get_or_create(id=1, defaults={"updated_at": now})
    with transaction.atomic(), connection.cursor() as cursor:
        free = RollupProgress.objects.select_for_update(skip_locked=True)
        progress = free.filter(id=1).first()
        if progress is None:
            return 0
        rebuild_stale()
        # A statement of its own after the lock and before the events are read: what
        # has ended by now is visible to the next statement.
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        high = cursor.fetchone()[0]
        if high == progress.horizon:
            return 0
        bounds = {"low": progress.horizon, "high": high, **_zones(cursor, now)}
        restored = high < progress.horizon
        which = _AFTER_RESTORE if restored else _BETWEEN
        rolled_up = _ROLL_UP.format(
            which=which, summarize=SUMMARIZE, summed=_SUMMED, added=_ADDED
        )
        cursor.execute(rolled_up, bounds)
        count = int(cursor.fetchone()[0])
        if restored:
            cursor.execute(_AGE_THE_RESTORED, bounds)
        RollupProgress.objects.filter(id=1).update(horizon=high, updated_at=now)
        return count


def catch_up(*, now: datetime) -> None:
    """Roll up what was just recorded, if it is little, before a report is read.

    So a report shows what was answered before it was asked for. Where much is being
    recorded it does not wait, and is some seconds old.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"limit": _LITTLE + 1})
        waiting = cursor.fetchone()[0]
    if 0 < waiting <= _LITTLE:
        roll_up(now=now)


def _zones(cursor: CursorWrapper, now: datetime) -> dict[str, Any]:
    """Return the zones of accounts in which a row is not an hour, or has no name."""
    cursor.execute("SELECT DISTINCT timezone FROM accounts_account")
    zones = [zone for (zone,) in cursor.fetchall()]
    minutes = {zone: row_minutes(zone, now) for zone in zones}
    return {
        "minutes": json.dumps({z: m for z, m in minutes.items() if m != 60}),
        "strange": strange_zones(cursor, zones),
    }
