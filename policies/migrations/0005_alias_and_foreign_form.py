from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0004_old_blocks_were_told"),
    ]

    operations = [
        migrations.AddField(
            model_name="policy",
            name="foreign_form",
            field=models.JSONField(default=dict),
        ),
        migrations.AddConstraint(
            model_name="policy",
            constraint=models.UniqueConstraint(
                condition=models.Q(("archived_at", None), ("project", None)),
                fields=("account", "alias"),
                name="policy_alias_is_unique",
            ),
        ),
        migrations.AddConstraint(
            model_name="policy",
            constraint=models.UniqueConstraint(
                condition=models.Q(("archived_at", None)),
                fields=("account", "project", "alias"),
                name="policy_alias_in_project",
            ),
        ),
    ]
