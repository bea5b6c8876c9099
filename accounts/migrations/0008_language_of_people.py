"""In which language a person reads; empty: as their browser says."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_heartbeats")]

    operations = [
        migrations.AddField(
            model_name="person",
            name="language",
            field=models.CharField(blank=True, db_default="", default="", max_length=8),
        ),
    ]
