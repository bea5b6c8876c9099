"""Take the addresses of those who can log in already as confirmed."""

from typing import Any

from django.db import migrations


def trust(apps: Any, schema_editor: Any) -> None:
    person_model = apps.get_model("accounts", "Person")
    address_model = apps.get_model("account", "EmailAddress")
    known = set(address_model.objects.values_list("user_id", flat=True))
    address_model.objects.bulk_create(
        address_model(
            user_id=person.id, email=person.email, verified=True, primary=True
        )
        for person in person_model.objects.exclude(id__in=known)
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_invitations"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]

    operations = [migrations.RunPython(trust, migrations.RunPython.noop)]
