"""Messages may be tests that somebody asked for. No statement: choices are Python's."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0006_what_was_done")]

    operations = [
        migrations.AlterField(
            "delivery",
            "purpose",
            models.CharField(
                choices=[
                    ("alert", "Alert"),
                    ("digest", "Digest"),
                    ("confirmation", "Confirmation"),
                    ("notice", "Notice"),
                    ("test", "Test"),
                ],
                db_default="alert",
                default="alert",
                max_length=16,
            ),
        ),
    ]
