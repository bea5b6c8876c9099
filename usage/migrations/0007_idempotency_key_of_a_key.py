"""Let two API keys of an account use one Idempotency-Key for two reservations."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("usage", "0006_first_answers")]

    operations = [
        migrations.AddConstraint(
            model_name="reservation",
            constraint=models.UniqueConstraint(
                fields=["account", "idempotency_key", "key_id"],
                nulls_distinct=False,
                condition=Q(idempotency_key__isnull=False),
                name="reservation_once_per_idempotency_key",
            ),
        ),
        migrations.RemoveConstraint(
            model_name="reservation",
            name="reservation_idempotency_key_is_unique",
        ),
    ]
