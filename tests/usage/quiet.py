"""Waiting for transactions of other tests.

Rollups wait for every transaction of the whole server that is under way, so also for
those of the tests that run beside this one in a database of their own.
"""

import time

from django.db import connection


def until_others_have_ended(seconds: float = 60) -> None:
    """Return when every transaction that runs now has ended."""
    deadline = time.monotonic() + seconds
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())")
        last = cursor.fetchone()[0]
        while time.monotonic() < deadline:
            cursor.execute(
                "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= %s::text::xid8",
                [last],
            )
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
