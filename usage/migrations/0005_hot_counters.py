"""Leave room in the counters' pages, so that an update stays within its page."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("usage", "0004_ledger_columns")]

    operations = [
        migrations.RunSQL(
            """ALTER TABLE usage_counter SET (
                fillfactor = 40,
                autovacuum_vacuum_scale_factor = 0.02,
                autovacuum_vacuum_cost_delay = 0
            )""",
            """ALTER TABLE usage_counter RESET (
                fillfactor,
                autovacuum_vacuum_scale_factor,
                autovacuum_vacuum_cost_delay
            )""",
        ),
    ]
