"""Sum up the days of many users from an index alone."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# Only what a vacuum has seen need not be looked up in the table as well.
SOONER = """ALTER TABLE usage_usagesummary SET
 (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.02)"""
AS_USUAL = """ALTER TABLE usage_usagesummary RESET
 (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor)"""
SUMMED = ["value", "events", "tokens", "input_tokens", "output_tokens", "messages"]
SUMMED += ["conversations", "calls", "cost", "unpriced"]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("usage", "0013_message_goes_first")]

    operations = [
        AddIndexConcurrently(
            model_name="usagesummary",
            index=models.Index(
                fields=["account", "dimension", "start"],
                include=SUMMED,
                condition=models.Q(grain="day"),
                name="summary_by_day",
            ),
        ),
        migrations.RunSQL(SOONER, AS_USUAL),
    ]
