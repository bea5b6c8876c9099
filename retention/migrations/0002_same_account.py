"""Tie every reference to the row's own account.

The models keep plain foreign keys; these make it impossible that one account's row
names another account's.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("retention", "0001_initial"), ("policies", "0002_same_account")]

    operations = [
        migrations.RunSQL(
            """ALTER TABLE retention_prunerun ADD CONSTRAINT run_policy_same_account
            FOREIGN KEY (account_id, policy_id) REFERENCES policies_policy (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE retention_prunerun DROP CONSTRAINT run_policy_same_account",
        ),
    ]
