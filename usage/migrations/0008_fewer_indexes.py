"""Leave out indexes that others begin with: each one costs every call."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_same_account"),
        ("usage", "0007_idempotency_key_of_a_key"),
    ]

    operations = [
        migrations.AlterField(
            model_name="eventid",
            name="account",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="event_ids",
                to="accounts.account",
            ),
        ),
        migrations.AlterField(
            model_name="reservation",
            name="account",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="reservations",
                to="accounts.account",
            ),
        ),
        migrations.AlterField(
            model_name="reservation",
            name="bot",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="reservations",
                to="accounts.bot",
            ),
        ),
        migrations.AlterField(
            model_name="usageevent",
            name="account",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="usage_events",
                to="accounts.account",
            ),
        ),
        migrations.AlterField(
            model_name="usageevent",
            name="bot",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="usage_events",
                to="accounts.bot",
            ),
        ),
    ]
