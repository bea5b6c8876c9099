"""A journal of every edit that was committed, written by triggers of the storm's own.

Rows of policies, bots, keys and blocks change in place, so at the end nobody could tell
what held when. In the storm's database every change of them leaves a row here, with the
transaction that made it. The product knows nothing of it.
"""

import psycopg

INSTALL = """
CREATE TABLE storm_journal (id bigserial PRIMARY KEY, what text, said jsonb,
made_by xid DEFAULT pg_current_xact_id()::xid);
CREATE FUNCTION storm_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
INSERT INTO storm_journal (what, said) VALUES (TG_TABLE_NAME, to_jsonb(NEW));
RETURN NEW; END $$;
CREATE TRIGGER storm_policy AFTER INSERT OR UPDATE ON policies_policy
FOR EACH ROW EXECUTE FUNCTION storm_note();
CREATE TRIGGER storm_block AFTER INSERT OR UPDATE ON policies_block
FOR EACH ROW EXECUTE FUNCTION storm_note();
CREATE TRIGGER storm_new_bot AFTER INSERT ON accounts_bot
FOR EACH ROW EXECUTE FUNCTION storm_note();
CREATE TRIGGER storm_bot AFTER UPDATE ON accounts_bot
FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
EXECUTE FUNCTION storm_note();
CREATE TRIGGER storm_new_key AFTER INSERT ON accounts_apikey
FOR EACH ROW EXECUTE FUNCTION storm_note();
CREATE TRIGGER storm_key AFTER UPDATE ON accounts_apikey
FOR EACH ROW WHEN (OLD.revoked_at IS DISTINCT FROM NEW.revoked_at
OR OLD.expires_at IS DISTINCT FROM NEW.expires_at)
EXECUTE FUNCTION storm_note();
"""

READ = """SELECT id, what, said, pg_xact_commit_timestamp(made_by),
made_by::text::bigint FROM storm_journal ORDER BY id"""


def install(database: psycopg.Connection) -> None:
    """Begin to write down what is edited."""
    database.execute(INSTALL)
