"""Tie every reference to the row's own account.

The models keep plain foreign keys; these make it impossible that one account's row
names another account's.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]

    operations = [
        migrations.RunSQL(
            """ALTER TABLE alerts_delivery ADD CONSTRAINT delivery_alert_same_account
            FOREIGN KEY (account_id, alert_id) REFERENCES alerts_alert (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            "ALTER TABLE alerts_delivery DROP CONSTRAINT delivery_alert_same_account",
        ),
    ]
