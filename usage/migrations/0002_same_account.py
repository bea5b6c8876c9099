"""Tie every reference to the row's own account.

The models keep plain foreign keys; these make it impossible that one account's row
names another account's.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_initial"), ("accounts", "0002_same_account")]

    operations = [
        migrations.RunSQL(
            """ALTER TABLE usage_counter ADD CONSTRAINT counter_policy_same_account
            FOREIGN KEY (account_id, policy_id) REFERENCES policies_policy (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE usage_counter DROP CONSTRAINT counter_policy_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE usage_reservation ADD CONSTRAINT reservation_bot_same_account
            FOREIGN KEY (account_id, bot_id) REFERENCES accounts_bot (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE usage_reservation DROP CONSTRAINT reservation_bot_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE usage_adjustment ADD CONSTRAINT adjustment_policy_same_account
            FOREIGN KEY (account_id, policy_id) REFERENCES policies_policy (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE usage_adjustment DROP CONSTRAINT adjustment_policy_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE usage_conversation ADD CONSTRAINT conversation_bot_same_account
            FOREIGN KEY (account_id, bot_id) REFERENCES accounts_bot (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE usage_conversation DROP CONSTRAINT conversation_bot_same_account",
        ),
        migrations.RunSQL(
            """ALTER TABLE usage_message ADD CONSTRAINT message_conversation_same_account
            FOREIGN KEY (account_id, conversation_id) REFERENCES usage_conversation (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE usage_message DROP CONSTRAINT message_conversation_same_account",
        ),
    ]
