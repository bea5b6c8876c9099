"""Emptying the database after a test that commits, in milliseconds.

Django truncates every table and makes permissions and content types again, half a
second each time. Few tests write to more than a dozen tables, and a few rows: those are
deleted, and what migrating made is left alone.
"""

from django.db import DatabaseError, connection, transaction
from django.test import TransactionTestCase

_KEPT = ("auth_permission", "django_content_type", "django_migrations")
# Bytes. What has grown beyond is truncated, as its pages would be read by others.
_LARGE = 1 << 20
_USED = f"""SELECT c.oid::regclass::text, pg_relation_size(c.oid)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname NOT IN {_KEPT}
AND pg_relation_size(c.oid) > 0 ORDER BY c.oid"""


def _clear(self) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_USED)
        used = cursor.fetchall()
    if any(size > _LARGE for _, size in used):
        _truncate(self)
        return
    names = [name for name, _ in used]
    if not names:
        return
    # Whoever still writes is waited for, as truncating would.
    steps = [f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE"]
    # Neither foreign keys nor the guards of append-only tables are asked.
    steps.append("SET LOCAL session_replication_role = replica")
    steps += [f"DELETE FROM {name}" for name in names]
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(";".join(steps))
    except DatabaseError:
        # A given database, where we may not do this.
        _truncate(self)


_truncate = TransactionTestCase._fixture_teardown


def install() -> None:
    """Let tests that commit clear up so."""
    TransactionTestCase._fixture_teardown = _clear
