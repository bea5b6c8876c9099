"""Sums of all projects and models together: wider names, and old accounts anew."""

from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def make_anew(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Let the next run of the rollups make the summaries of all accounts anew."""
    apps.get_model("usage", "SummaryZone").objects.all().delete()


def forget(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Take away what the narrower column cannot name."""
    named = ("total", "bots", "users", "keys")
    apps.get_model("usage", "UsageSummary").objects.filter(dimension__in=named).delete()


class Migration(migrations.Migration):
    dependencies = [("usage", "0011_rollups_of_users_and_keys")]

    operations = [
        migrations.AlterField(
            model_name="usagesummary",
            name="dimension",
            field=models.CharField(blank=True, max_length=5),
        ),
        migrations.RunPython(make_anew, forget, elidable=True),
    ]
