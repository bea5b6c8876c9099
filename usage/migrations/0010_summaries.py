"""Keep what bots, users and keys used in hours, days and months."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_same_account"),
        ("usage", "0009_reservation_names_its_bot"),
    ]

    operations = [
        migrations.CreateModel(
            name="SummaryZone",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="summary_zone",
                        serialize=False,
                        to="accounts.account",
                    ),
                ),
                ("zone", models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="UsageSummary",
            fields=[
                (
                    "id",
                    models.UUIDField(editable=False, primary_key=True, serialize=False),
                ),
                (
                    "grain",
                    models.CharField(
                        choices=[("hour", "Hour"), ("day", "Day"), ("month", "Month")],
                        max_length=5,
                    ),
                ),
                ("dimension", models.CharField(blank=True, max_length=4)),
                ("value", models.CharField(blank=True, max_length=256)),
                ("project_id", models.UUIDField(blank=True, null=True)),
                ("model", models.CharField(blank=True, default="", max_length=200)),
                ("start", models.DateTimeField()),
                ("events", models.BigIntegerField(default=0)),
                ("tokens", models.BigIntegerField(default=0)),
                ("input_tokens", models.BigIntegerField(default=0)),
                ("output_tokens", models.BigIntegerField(default=0)),
                ("messages", models.BigIntegerField(default=0)),
                ("conversations", models.BigIntegerField(default=0)),
                ("calls", models.BigIntegerField(default=0)),
                ("cost", models.BigIntegerField(default=0)),
                ("unpriced", models.BigIntegerField(default=0)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="summaries",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "usage summaries",
            },
        ),
        migrations.AddIndex(
            model_name="usagesummary",
            index=models.Index(
                fields=["account", "grain", "dimension", "start"], name="summary_of_all"
            ),
        ),
        migrations.AddIndex(
            model_name="usagesummary",
            index=models.Index(
                fields=["account", "grain", "dimension", "value", "start"],
                name="summary_of_one",
            ),
        ),
    ]
