"""A run by the house's own rules leaves its receipt too, and has no policy."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("retention", "0002_same_account")]

    operations = [
        migrations.AlterField(
            model_name="prunerun",
            name="policy",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="prune_runs",
                to="policies.policy",
            ),
        ),
    ]
