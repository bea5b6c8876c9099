"""Leave out indexes that others begin with: each one costs every call."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_same_account"),
        ("audit", "0002_first_partitions"),
    ]

    operations = [
        migrations.AlterField(
            model_name="decisionrecord",
            name="account",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="decisions",
                to="accounts.account",
            ),
        ),
    ]
