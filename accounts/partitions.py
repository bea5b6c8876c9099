"""Tables partitioned by the time in their UUIDv7 key.

The key of a partitioned table is RANGE-partitioned itself, so that it stays the true
primary key for Django and for PostgreSQL, and a look-up by id reads one partition.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import connection, migrations

from accounts import ids


class CreatePartitionedModel(migrations.CreateModel):
    """Create a model's table `PARTITION BY RANGE (id)`; its state is ordinary."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Create the table, with the clause that Django has no word for."""
        schema_editor.sql_create_table += " PARTITION BY RANGE (id)"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            del schema_editor.sql_create_table


def month_of(moment: datetime) -> datetime:
    """Return the first instant of the month (UTC)."""
    moment = moment.astimezone(UTC)
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_after(month: datetime) -> datetime:
    """Return the first instant of the next month (UTC)."""
    year, index = divmod(month.year * 12 + month.month, 12)
    return month.replace(year=year, month=index + 1)


def ensure_months(*, table: str, first: datetime, last: datetime) -> list[str]:
    """Create the monthly partitions from `first`'s month to `last`'s, if absent.

    Returns the names of those that it created.
    """
    created = []
    month = month_of(first)
    with connection.cursor() as cursor:
        while month <= last:
            name = f"{table}_{month:%Y_%m}"
            end = month_after(month)
            cursor.execute("SELECT to_regclass(%s)", [name])
            if cursor.fetchone()[0] is None:
                cursor.execute(
                    f'CREATE TABLE IF NOT EXISTS "{name}" PARTITION OF "{table}"'
                    " FOR VALUES FROM (%s) TO (%s)",
                    [ids.first_id_at(month), ids.first_id_at(end)],
                )
                created.append(name)
            month = end
    return created
