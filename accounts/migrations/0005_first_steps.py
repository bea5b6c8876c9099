"""Remember when an account's people had done the first steps."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_trusted_addresses")]

    operations = [
        migrations.AddField(
            "account",
            "started_at",
            models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
