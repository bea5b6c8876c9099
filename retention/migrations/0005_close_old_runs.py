"""End the runs of before: from now on a rule has one open run at a time."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("retention", "0004_turns_of_a_run")]

    operations = [
        migrations.RunSQL(
            """UPDATE retention_prunerun SET state = 'stopped'
            WHERE state IN ('running', 'paused')""",
            """UPDATE retention_prunerun SET state = 'paused'
            WHERE state IN ('stopped', 'waiting')""",
        ),
    ]
