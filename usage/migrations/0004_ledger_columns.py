"""What only the ledger and the rollups use: a sequence and the writing transaction.

The sequence hands out 65,536 numbers at a time, one block a batch. The transaction id
lets the rollups read exactly what has been committed since they last looked.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("usage", "0003_first_partitions")]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE usage_ledger_sequence INCREMENT BY 65536 START WITH 65536",
            "DROP SEQUENCE usage_ledger_sequence",
        ),
        migrations.RunSQL(
            """ALTER TABLE usage_usageevent
            ADD COLUMN written_by xid8 NOT NULL DEFAULT pg_current_xact_id()""",
            "ALTER TABLE usage_usageevent DROP COLUMN written_by",
        ),
        migrations.RunSQL(
            "CREATE INDEX event_written_by ON usage_usageevent (written_by)",
            "DROP INDEX event_written_by",
        ),
    ]
