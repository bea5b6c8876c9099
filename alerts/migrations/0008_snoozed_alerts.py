from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0007_test_mails")]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="snoozed_by",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=300
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="snoozed_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
