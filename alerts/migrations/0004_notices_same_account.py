"""Tie every new reference to the row's own account, as 0002 does."""

from django.db import migrations

_TIES = [
    ("alerts_notice", "notice_alert_same_account", "alert_id", "alerts_alert"),
    ("alerts_delivery", "delivery_notice_same_account", "notice_id", "alerts_notice"),
    ("alerts_delivery", "delivery_digest_same_account", "digest_id", "alerts_delivery"),
]


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_endpoints_and_notices")]

    operations = [
        migrations.RunSQL(
            f"""ALTER TABLE {table} ADD CONSTRAINT {name}
            FOREIGN KEY (account_id, {column}) REFERENCES {other} (account_id, id)
            DEFERRABLE INITIALLY DEFERRED""",
            f"ALTER TABLE {table} DROP CONSTRAINT {name}",
        )
        for table, name, column, other in _TIES
    ]
