"""Find a user's and a key's rollups without reading everybody's."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("usage", "0010_summaries")]

    operations = [
        AddIndexConcurrently(
            model_name="hourlyrollup",
            index=models.Index(
                fields=["account", "user", "hour"], name="rollup_user_hour"
            ),
        ),
        AddIndexConcurrently(
            model_name="hourlyrollup",
            index=models.Index(
                fields=["account", "key_id", "hour"], name="rollup_key_hour"
            ),
        ),
    ]
