"""Ask once, not four times, whether a deleted conversation has messages left.

The plain foreign key says nothing that the one with the account does not say. And what
deletes conversations deletes their messages first: RESTRICT looks for messages alone,
where NO ACTION first looks whether the conversation is there again.
"""

import django.db.models.deletion
from django.db import migrations, models

_ADD = """ALTER TABLE usage_message DROP CONSTRAINT message_conversation_same_account,
ADD CONSTRAINT message_conversation_same_account
FOREIGN KEY (account_id, conversation_id) REFERENCES usage_conversation (account_id, id)
{action} DEFERRABLE INITIALLY DEFERRED NOT VALID"""
# Each row held under the constraint before; this takes no lock that writers wait for.
_VALIDATE = (
    "ALTER TABLE usage_message VALIDATE CONSTRAINT message_conversation_same_account"
)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("usage", "0012_whole_summaries")]

    operations = [
        migrations.RunSQL(
            [_ADD.format(action="ON DELETE RESTRICT"), _VALIDATE],
            [_ADD.format(action=""), _VALIDATE],
        ),
        migrations.AlterField(
            model_name="message",
            name="conversation",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="messages",
                to="usage.conversation",
            ),
        ),
    ]
