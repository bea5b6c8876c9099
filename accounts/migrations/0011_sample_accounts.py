"""An account may have an invented one beside it, to look around in."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_saved_views")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="sample_of",
            field=models.OneToOneField(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="sample",
                to="accounts.account",
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="sample_percent",
            field=models.PositiveSmallIntegerField(
                blank=True, editable=False, null=True
            ),
        ),
    ]
