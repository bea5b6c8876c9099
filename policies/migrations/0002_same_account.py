"""Tie every reference to the row's own account.

The models keep plain foreign keys; these make it impossible that one account's row
names another account's.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("policies", "0001_initial"), ("accounts", "0002_same_account")]

    operations = [
        migrations.RunSQL(
            """ALTER TABLE policies_policy ADD CONSTRAINT policy_project_same_account
            FOREIGN KEY (account_id, project_id) REFERENCES accounts_project (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE policies_policy DROP CONSTRAINT policy_project_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE policies_policy ADD CONSTRAINT policy_scope_project_same_account
            FOREIGN KEY (account_id, scope_project_id) REFERENCES accounts_project (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE policies_policy DROP CONSTRAINT policy_scope_project_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE policies_policy ADD CONSTRAINT policy_scope_bot_same_account
            FOREIGN KEY (account_id, scope_bot_id) REFERENCES accounts_bot (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE policies_policy DROP CONSTRAINT policy_scope_bot_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE policies_policyrevision ADD CONSTRAINT revision_policy_same_account
            FOREIGN KEY (account_id, policy_id) REFERENCES policies_policy (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE policies_policyrevision DROP CONSTRAINT revision_policy_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE policies_block ADD CONSTRAINT block_policy_same_account
            FOREIGN KEY (account_id, policy_id) REFERENCES policies_policy (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE policies_block DROP CONSTRAINT block_policy_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE policies_block ADD CONSTRAINT block_bot_same_account
            FOREIGN KEY (account_id, bot_id) REFERENCES accounts_bot (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE policies_block DROP CONSTRAINT block_bot_same_account",
        ),
    ]
