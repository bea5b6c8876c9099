"""Find an account's overdue holds without going through all it ever held."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0014_summary_by_day")]

    operations = [
        migrations.RemoveIndex(model_name="reservation", name="reservation_due"),
        migrations.AddIndex(
            model_name="reservation",
            index=models.Index(
                fields=["account", "expires_at"],
                condition=models.Q(state="open"),
                name="reservation_due",
            ),
        ),
    ]
