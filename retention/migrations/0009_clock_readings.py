"""Remember what the clocks read, so that a jump is seen by whoever looks next."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("retention", "0008_holds_same_account")]

    operations = [
        migrations.CreateModel(
            name="ClockReading",
            fields=[
                (
                    "boot",
                    models.CharField(max_length=64, primary_key=True, serialize=False),
                ),
                ("steady_seconds", models.FloatField()),
                ("wall", models.DateTimeField()),
            ],
        ),
    ]
