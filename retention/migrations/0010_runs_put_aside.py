"""A person may pause a run: then it waits to be resumed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("retention", "0009_clock_readings")]

    operations = [
        migrations.AlterField(
            model_name="prunerun",
            name="waiting_for",
            field=models.CharField(
                blank=True,
                choices=[("share", "Share"), ("clock", "Clock"), ("resume", "Resume")],
                default="",
                max_length=12,
            ),
        ),
    ]
