"""Nobody is told now of blocks that began before endpoints could be registered."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("policies", "0003_tell_of_blocks")]

    operations = [
        migrations.RunSQL(
            """UPDATE policies_block
            SET told = CASE WHEN lifted_at IS NULL THEN 1 ELSE 2 END""",
            migrations.RunSQL.noop,
        )
    ]
