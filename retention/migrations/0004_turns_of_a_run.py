"""A run goes on over several turns, may wait for a person, and says what it skipped."""

from django.db import migrations, models

STATES = ["waiting", "running", "paused", "completed", "stopped", "failed"]


class Migration(migrations.Migration):
    dependencies = [("retention", "0003_runs_of_the_house")]

    operations = [
        migrations.RemoveConstraint(model_name="prunerun", name="run_state_is_known"),
        migrations.AlterField(
            model_name="prunerun",
            name="state",
            field=models.CharField(
                choices=[(state, state.title()) for state in STATES],
                default="running",
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="prunerun",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", STATES)), name="run_state_is_known"
            ),
        ),
        migrations.AddField(
            model_name="prunerun",
            name="waiting_for",
            field=models.CharField(
                blank=True,
                choices=[("share", "Share"), ("clock", "Clock")],
                default="",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="prunerun", name="due", field=models.BigIntegerField(default=0)
        ),
        migrations.AddField(
            model_name="prunerun", name="total", field=models.BigIntegerField(default=0)
        ),
        migrations.AddField(
            model_name="prunerun", name="held", field=models.BigIntegerField(default=0)
        ),
        migrations.AddField(
            model_name="prunerun",
            name="skipped",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="prunerun",
            name="confirmed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="prunerun",
            name="confirmed_by",
            field=models.CharField(blank=True, default="", max_length=300),
        ),
        migrations.AddField(
            model_name="prunerun",
            name="worked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="prunerun",
            name="worked_seconds",
            field=models.FloatField(default=0),
        ),
        migrations.AddField(
            model_name="prunerun",
            name="subject",
            field=models.CharField(blank=True, default="", max_length=80),
        ),
        migrations.AddField(
            model_name="prunerun",
            name="erasing",
            field=models.CharField(blank=True, default="", max_length=256),
        ),
    ]
