"""Tie an upstream's project to the upstream's own account."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0001_initial"),
        ("accounts", "0002_same_account"),
    ]

    operations = [
        migrations.RunSQL(
            """ALTER TABLE gateway_upstream ADD CONSTRAINT upstream_project_same_account
            FOREIGN KEY (account_id, project_id) REFERENCES accounts_project (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE gateway_upstream DROP CONSTRAINT upstream_project_same_account",
        ),
    ]
