"""Sums of rollups by day and month, and by bot, user and key.

A month of an account may have millions of combinations of bot, user, key and model; a
report wants the sum by one of them. So whatever is added to hourly rollups is added,
in the same transaction, to the sums of all, of its bot, of its user and of its key,
each by hour, day and month (of the account's zone): once apart by project and model,
once whole. A user may call every bot with every model; most reports do not ask which.

They hold nothing that the rollups do not. If an account's zone changes, its days and
months do; until they are made anew, reports are read from the hourly rollups.
"""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.backends.utils import CursorWrapper

from accounts.models import Account
from usage.models import SummaryZone

_REBUILT_AT_ONCE = 20
_MINUTES_OF_AN_HOUR = 60

SUMS = (
    "events",
    "tokens",
    "input_tokens",
    "output_tokens",
    "messages",
    "conversations",
    "calls",
    "cost",
    "unpriced",
)
# A sum that no column can hold stays at the most that one can.
_MOST = 2**63 - 1
_SUMMED = ", ".join(f"least(sum({name}), {_MOST})::bigint AS {name}" for name in SUMS)
_COLUMNS = ", ".join(SUMS)

# What sums are of, and how those are called that are not apart by project and model.
WHOLE = {"": "total", "bot": "bots", "user": "users", "key": "keys"}
_VALUES = {"": "''", "bot": "bot_id::text", "user": '"user"'}
_VALUES["key"] = "coalesce(key_id::text, '')"
_DIMENSIONS = ", ".join(
    f"('{named}', {value}, {apart})"
    for dimension, value in _VALUES.items()
    for named, apart in ((dimension, "true"), (WHOLE[dimension], "false"))
)
_ADDED = ", ".join(
    f"{name} = least(t.{name}::numeric + excluded.{name}, {_MOST})::bigint"
    for name in SUMS
)

# What is read is named `e`: account_id, hour, project_id, bot_id, key_id, user, model,
# the zone, and the sums. The key is a digest of the combination.
SUMMARIZE = f"""
INSERT INTO usage_usagesummary AS t (id, account_id, grain, dimension, value,
 project_id, model, start, {_COLUMNS})
SELECT encode(substring(sha256(convert_to(jsonb_build_array(account_id, grain,
  dimension, value, project_id, model, extract(epoch FROM start)::bigint)::text,
  'UTF8')) FROM 1 FOR 16), 'hex')::uuid, g.*
FROM (SELECT account_id, grain, dimension, value, project_id, model,
  CASE grain WHEN 'hour' THEN hour ELSE date_trunc(grain, hour, zone) END AS start,
  {_SUMMED}
 FROM (SELECT account_id, dimension, value, hour, zone,
   CASE WHEN apart THEN project_id END AS project_id,
   CASE WHEN apart THEN model ELSE '' END AS model, {_SUMMED}
  FROM e CROSS JOIN LATERAL (VALUES {_DIMENSIONS}) AS d(dimension, value, apart)
  GROUP BY account_id, dimension, value, hour, zone, 6, 7) AS s
 CROSS JOIN (VALUES ('hour'), ('day'), ('month')) AS h(grain)
 GROUP BY account_id, grain, dimension, value, project_id, model, 7) AS g
ON CONFLICT (id) DO UPDATE SET {_ADDED}"""  # noqa: S608 (constants)

_REBUILD = f"""WITH e AS MATERIALIZED (
SELECT account_id, hour, project_id, bot_id, key_id, "user", model,
 %(zone)s::text AS zone, {_COLUMNS}
FROM usage_hourlyrollup WHERE account_id = %(account)s)
{SUMMARIZE}"""  # noqa: S608 (constants)

_FORGET = "DELETE FROM usage_usagesummary WHERE account_id = %(account)s"

# An account without rollups has nothing that could be in another zone.
_BEGIN = """INSERT INTO usage_summaryzone (account_id, zone)
SELECT a.id, a.timezone FROM accounts_account AS a
WHERE NOT EXISTS (SELECT 1 FROM usage_summaryzone AS z WHERE z.account_id = a.id)
AND NOT EXISTS (SELECT 1 FROM usage_hourlyrollup AS r WHERE r.account_id = a.id)
ON CONFLICT DO NOTHING"""

_STALE = """SELECT a.id, a.timezone FROM accounts_account AS a
LEFT JOIN usage_summaryzone AS z ON z.account_id = a.id
WHERE z.zone IS DISTINCT FROM a.timezone ORDER BY a.id LIMIT %(limit)s"""


def current(account: Account) -> bool:
    """Say whether an account's summaries are complete, and in its zone."""
    mine = SummaryZone.objects.filter(account=account, zone=account.timezone)
    return mine.exists()


def rebuild_stale() -> int:
    """Make the summaries of accounts anew whose zone has changed; return how many.

    Inside the transaction of a run of the rollups, which only one holds at a time.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN)
        cursor.execute(_STALE, {"limit": _REBUILT_AT_ONCE})
        stale = cursor.fetchall()
        for account_id, zone in stale:
            known = "UTC" if zone in strange_zones(cursor, [zone]) else zone
            names = {"account": account_id, "zone": known}
            cursor.execute(_FORGET, names)
            cursor.execute(_REBUILD, names)
            SummaryZone.objects.update_or_create(
                account_id=account_id, defaults={"zone": zone}
            )
    return len(stale)


def row_minutes(zone: str, now: datetime) -> int:
    """Return how long a rollup's row may be, so that none spans two hours of a zone.

    60 where clocks are whole hours from UTC, in winter and summer; else 30 or 15.
    """
    return _row_minutes(zone, now.year)


@lru_cache(maxsize=2_048)
def _row_minutes(zone: str, year: int) -> int:
    months = (datetime(year, month, 1, tzinfo=ZoneInfo(zone)) for month in range(1, 13))
    offsets = [month.utcoffset() for month in months]
    seconds = [int(each.total_seconds()) for each in offsets if each is not None]
    for minutes in (60, 30):
        if all(each % (minutes * _MINUTES_OF_AN_HOUR) == 0 for each in seconds):
            return minutes
    return 15


def strange_zones(cursor: CursorWrapper, zones: list[str]) -> list[str]:
    """Return the zones that PostgreSQL does not know by name, though Python does."""
    unasked = [zone for zone in zones if zone not in _known]
    if unasked:
        cursor.execute("SELECT name FROM pg_timezone_names")
        _known.update(name for (name,) in cursor.fetchall())
    return [zone for zone in zones if zone not in _known]


_known: set[str] = {"UTC"}
