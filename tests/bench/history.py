"""A database with years behind it: rows made by PostgreSQL itself."""

from datetime import timedelta
from urllib.parse import urlsplit

import psycopg
from django.db import connection
from django.utils import timezone

from accounts.partitions import ensure_months
from policies.models import Policy

SPAN_DAYS = 60
_STEP = 500_000

EVENTS = """
INSERT INTO usage_usageevent (id, account_id, sequence, source, client_id, bot_id,
 key_id, "user", model, tokens, input_tokens, output_tokens, messages, conversations,
 calls, cost, occurred_at, created_at, overrun, estimated)
SELECT uuidv7(age), account, n, 'api', '', bots[1 + n %% array_length(bots, 1)], NULL,
 'user-' || n %% 200, 'gpt-4o-mini', 820, 700, 120, 0, 0, 1, 177, now() + age,
 now() + age, false, false
FROM (SELECT n, make_interval(secs => -%(seconds)s * (1 - n::float8 / %(total)s)) AS age
      FROM generate_series(%(first)s, %(last)s) AS n) AS numbers,
     (SELECT account_id AS account, array_agg(id) AS bots FROM accounts_bot
      WHERE account_id = %(account)s GROUP BY account_id) AS house"""

IDS = """
INSERT INTO usage_eventid (id, account_id, source, client_id, event_id, content,
 created_at)
SELECT gen_random_uuid(), %(account)s, 'api', 'old-' || n, uuidv7(), md5(n::text), now()
FROM generate_series(%(first)s, %(last)s) AS n"""

COUNTERS = """
INSERT INTO usage_counter (id, account_id, policy_id, limit_key, metric, kind, is_head,
 subject, subject_key, window_start, window_end, used, held, fired, created_at,
 updated_at)
SELECT gen_random_uuid(), %(account)s, %(policy)s, 'old', 'tokens', 'calendar', false,
 '[]', 'old-' || n, now() - interval '1 day', now() + interval '20 days', 1000, 0,
 '{}', now(), now()
FROM generate_series(1, %(total)s) AS n"""


def fill(url: str, *, events: int, event_ids: int, counters: int) -> None:
    """Put a history of the hot account into a database."""
    policy = Policy.objects.filter(account__slug="hot").order_by("id")[0]
    names = {"account": policy.account_id, "policy": policy.id}
    with psycopg.connect(url, autocommit=True) as database:
        for setting in ("synchronous_commit = off", "maintenance_work_mem = '256MB'"):
            database.execute(f"SET {setting}")
        for table, total, sql in (
            ("usage_usageevent", events, EVENTS),
            ("usage_eventid", event_ids, IDS),
        ):
            # Indexes that are built over the rows take a third of the time.
            indexes = drop_indexes(database, table)
            for first in range(1, total + 1, _STEP):
                last = min(first + _STEP - 1, total)
                rows = names | {"first": first, "last": last, "total": total}
                database.execute(sql, rows | {"seconds": (SPAN_DAYS - 1) * 86_400})
            for index in indexes:
                database.execute(index)
            database.execute(f"VACUUM (ANALYZE) {table}")
        database.execute(COUNTERS, names | {"total": counters})
        database.execute("VACUUM (ANALYZE) usage_counter")
        database.execute("CHECKPOINT")


def drop_indexes(database: psycopg.Connection, table: str) -> list[str]:
    """Drop a table's indexes but the primary key's; return what makes them again."""
    found = database.execute(
        """SELECT indexname, replace(indexdef, ' ON ONLY ', ' ON ') FROM pg_indexes
        WHERE tablename = %s AND indexname NOT LIKE '%%pkey'""",
        [table],
    ).fetchall()
    for name, _ in found:
        database.execute(f'DROP INDEX "{name}"')
    return [made for _, made in found]


def open_months() -> None:
    """Make the partitions that the history will lie in."""
    now = timezone.now()
    first = now - timedelta(days=SPAN_DAYS + 1)
    ensure_months(table="usage_usageevent", first=first, last=now)


def copy(url: str, name: str) -> None:
    """Copy the database as it is now; whoever is connected to it is sent away."""
    connection.close()
    connection.close_pool()
    parts = urlsplit(url)._replace(path="/postgres")
    with psycopg.connect(parts.geturl(), autocommit=True) as database:
        database.execute("ALTER DATABASE policyhub ALLOW_CONNECTIONS false")
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = 'policyhub'"
        )
        database.execute(f"CREATE DATABASE {name} TEMPLATE policyhub")
        for each in ("policyhub", name):
            database.execute(f"ALTER DATABASE {each} ALLOW_CONNECTIONS true")
