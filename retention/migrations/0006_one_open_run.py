"""A rule has one open run at a time, also where several workers prune."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("retention", "0005_close_old_runs")]

    operations = [
        migrations.AddConstraint(
            model_name="prunerun",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("state__in", ["waiting", "running", "paused"]), ("subject", "")
                ),
                fields=("account", "policy", "target"),
                name="run_open_once_for_each_rule",
                nulls_distinct=False,
            ),
        ),
    ]
