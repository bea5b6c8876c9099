"""What must not be deleted until somebody releases it."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import accounts.models

KINDS = ["account", "project", "bot", "user", "conversation"]


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_same_account"),
        ("retention", "0006_one_open_run"),
    ]

    operations = [
        migrations.CreateModel(
            name="LegalHold",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.models.new_uuid,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[(kind, kind.title()) for kind in KINDS], max_length=12
                    ),
                ),
                ("ref", models.CharField(max_length=256)),
                (
                    "bots",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("conversation_id", models.UUIDField(blank=True, null=True)),
                ("reason", models.TextField()),
                ("owner", models.CharField(max_length=300)),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "created_by",
                    models.CharField(blank=True, default="", max_length=300),
                ),
                ("released_at", models.DateTimeField(blank=True, null=True)),
                (
                    "released_by",
                    models.CharField(blank=True, default="", max_length=300),
                ),
                ("release_reason", models.TextField(blank=True, default="")),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="legal_holds",
                        to="accounts.account",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="legal_holds",
                        to="accounts.project",
                    ),
                ),
                (
                    "bot",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="legal_holds",
                        to="accounts.bot",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("released_at", None)),
                        fields=["account"],
                        name="hold_live",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("bot", None), ("kind", "account"), ("project", None)
                            ),
                            models.Q(
                                ("bot", None), ("kind", "user"), ("project", None)
                            ),
                            models.Q(
                                ("bot", None),
                                ("kind", "project"),
                                ("project__isnull", False),
                            ),
                            models.Q(
                                ("bot__isnull", False),
                                ("kind", "bot"),
                                ("project", None),
                            ),
                            models.Q(
                                ("bot", None),
                                ("conversation_id__isnull", False),
                                ("kind", "conversation"),
                                ("project", None),
                            ),
                            _connector="OR",
                        ),
                        name="hold_names_what_it_holds",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("until", None),
                            ("until__gt", models.F("created_at")),
                            _connector="OR",
                        ),
                        name="hold_ends_after_it_begins",
                    ),
                ],
            },
        ),
    ]
