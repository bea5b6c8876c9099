"""What a held project or user lets go of stays held.

A trigger, because a bot is moved by the API, by pages and in the admin, all of which
know nothing of legal holds, and none of them may open a gap.
"""

from django.db import migrations

# It looks before it writes: a partition that is dropped keeps writers of holds waiting.
_FOLLOW = """CREATE FUNCTION retention_follow_bot() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE left_ones uuid[];
BEGIN
left_ones := ARRAY(SELECT h.id FROM retention_legalhold AS h
WHERE h.account_id = OLD.account_id AND h.released_at IS NULL
AND NOT OLD.id = ANY(h.bots)
AND ((h.kind = 'project' AND h.project_id = OLD.project_id
AND NEW.project_id IS DISTINCT FROM OLD.project_id)
OR (h.kind = 'user' AND h.ref = OLD.owner AND NEW.owner IS DISTINCT FROM OLD.owner)));
IF cardinality(left_ones) > 0 THEN
UPDATE retention_legalhold SET bots = array_append(bots, OLD.id)
WHERE id = ANY(left_ones) AND NOT OLD.id = ANY(bots);
END IF;
RETURN NULL;
END $$"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_sample_accounts"),
        ("retention", "0010_runs_put_aside"),
    ]

    operations = [
        migrations.RunSQL(_FOLLOW, "DROP FUNCTION retention_follow_bot()"),
        migrations.RunSQL(
            """CREATE TRIGGER retention_follow_bot
            AFTER UPDATE OF project_id, owner ON accounts_bot FOR EACH ROW
            WHEN (OLD.project_id IS DISTINCT FROM NEW.project_id
            OR OLD.owner IS DISTINCT FROM NEW.owner)
            EXECUTE FUNCTION retention_follow_bot()""",
            "DROP TRIGGER retention_follow_bot ON accounts_bot",
        ),
    ]
