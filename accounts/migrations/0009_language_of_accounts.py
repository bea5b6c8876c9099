"""In which language an account's mails are; empty: English."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_language_of_people")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="language",
            field=models.CharField(blank=True, db_default="", default="", max_length=8),
        ),
    ]
