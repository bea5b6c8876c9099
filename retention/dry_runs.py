"""The rows that a run would delete now, one by one: for a list that people keep."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.db import connection

from accounts import ids
from retention import targets
from retention.jobs import Job

# Who wants more than these asks the API's preview for the count.
MOST_ROWS: Final = 100_000
_AT_ONCE: Final = 2_000


def due_rows(job: Job, *, most: int = MOST_ROWS) -> Iterator[tuple[str, datetime]]:
    """Yield the id and the age's moment of each due row, the oldest first.

    The moment is the last activity of conversations and their texts, else when the
    row was recorded. What a legal hold keeps is not among them.
    """
    target = job.target
    sql = (
        f"SELECT r.id, {target.at} {targets.due(target, job.within)}"
        f" ORDER BY {target.order} LIMIT %(most)s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, job.parameters(most=most))
        while rows := cursor.fetchmany(_AT_ONCE):
            for key, moment in rows:
                yield ids.encode_id(target.prefix, key), moment
