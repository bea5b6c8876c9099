"""Where the parts of the installation say that they live."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_first_steps_of_old")]

    operations = [
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                (
                    "part",
                    models.CharField(max_length=20, primary_key=True, serialize=False),
                ),
                ("at", models.DateTimeField()),
            ],
        ),
    ]
