"""Nobody is told now of what happened before endpoints could be registered."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("alerts", "0004_notices_same_account")]

    operations = [
        migrations.RunSQL(
            """UPDATE alerts_alert
            SET announced = CASE state WHEN 'resolved' THEN 2 ELSE 1 END""",
            migrations.RunSQL.noop,
        )
    ]
