from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0005_old_alerts_were_told")]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="actions",
            field=models.JSONField(
                blank=True,
                db_default=models.Value([], models.JSONField()),
                default=list,
            ),
        ),
    ]
