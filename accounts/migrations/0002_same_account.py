"""Tie every reference to the row's own account.

The models keep plain foreign keys; these make it impossible that one account's row
names another account's.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.RunSQL(
            """ALTER TABLE accounts_bot ADD CONSTRAINT bot_project_same_account
            FOREIGN KEY (account_id, project_id) REFERENCES accounts_project (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE accounts_bot DROP CONSTRAINT bot_project_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE accounts_apikey ADD CONSTRAINT key_project_same_account
            FOREIGN KEY (account_id, project_id) REFERENCES accounts_project (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE accounts_apikey DROP CONSTRAINT key_project_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE accounts_apikey ADD CONSTRAINT key_bot_same_account
            FOREIGN KEY (account_id, bot_id) REFERENCES accounts_bot (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE accounts_apikey DROP CONSTRAINT key_bot_same_account",
        ),
    ]
