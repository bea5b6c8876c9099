"""Open the partitions of this month and the next three, and one for strays.

The stray partition keeps recording possible if nobody has opened a month in time.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import migrations

from accounts import partitions

TABLE = "audit_decisionrecord"


def open_months(apps: Any, schema_editor: Any) -> None:
    """Create the partitions that are needed first."""
    first = partitions.month_of(datetime.now(UTC))
    last = first
    for _ in range(3):
        last = partitions.month_after(last)
    partitions.ensure_months(table=TABLE, first=first, last=last)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RunSQL(
            f"CREATE TABLE {TABLE}_strays PARTITION OF {TABLE} DEFAULT",
            f"DROP TABLE {TABLE}_strays",
        ),
        migrations.RunPython(open_months, migrations.RunPython.noop),
    ]
