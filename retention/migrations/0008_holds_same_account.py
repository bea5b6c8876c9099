"""Tie what a hold names to the hold's own account."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("retention", "0007_legal_holds")]

    operations = [
        migrations.RunSQL(
            """ALTER TABLE retention_legalhold ADD CONSTRAINT hold_bot_same_account
            FOREIGN KEY (account_id, bot_id) REFERENCES accounts_bot (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE retention_legalhold DROP CONSTRAINT hold_bot_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE retention_legalhold ADD CONSTRAINT hold_project_same_account
            FOREIGN KEY (account_id, project_id)
            REFERENCES accounts_project (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE retention_legalhold DROP CONSTRAINT hold_project_same_account",
        ),
    ]
