"""Whoever has been here for a while has done the first steps."""

from typing import Any

from django.db import migrations
from django.db.models import F


def done(apps: Any, schema_editor: Any) -> None:
    account_model = apps.get_model("accounts", "Account")
    account_model.objects.filter(started_at=None).update(started_at=F("created_at"))


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_first_steps")]

    operations = [migrations.RunPython(done, migrations.RunPython.noop)]
