"""The ledger's SQL: what one batch says to PostgreSQL, and in what order.

Keys are locked in ascending order everywhere (`ORDER BY … FOR UPDATE` locks after it
sorts), and counters before reservations, so two batches cannot deadlock. What decides
about a call besides its counters is read by later statements: a statement that waited
for a lock would return what was true before the wait.

JSON goes in as one `jsonb` parameter a table and comes out as text: Django's connection
and a plain one would otherwise hand it over in different forms.
"""

from typing import NamedTuple


class Statement(NamedTuple):
    """One statement with `$1` parameters; `rows` says whether its result is wanted."""

    sql: str
    parameters: tuple[str, ...] = ()
    rows: bool = False


LOCK_ACCOUNTS = """SELECT pg_advisory_xact_lock_shared(k)
FROM unnest($1::bigint[]) AS k"""

VERSIONS = "SELECT id, version FROM accounts_account WHERE id = ANY($1::uuid[])"

POLICIES = """SELECT id, account_id, project_id, revision, document::text,
 counting_since::text
FROM policies_policy
WHERE account_id = ANY($1::uuid[]) AND type = 'usage' AND archived_at IS NULL
AND rollout_mode <> 'off' ORDER BY id"""

PRICES = """SELECT account_id, model, input, output, total
FROM usage_price WHERE account_id = ANY($1::uuid[])"""

BOTS = """SELECT id, account_id, external_id, name, project_id, owner, state
FROM accounts_bot
WHERE account_id = ANY($1::uuid[])
AND (id = ANY($2::uuid[]) OR external_id = ANY($3::text[]) OR id = ANY(ARRAY
(SELECT bot_id FROM usage_reservation
 WHERE account_id = ANY($1::uuid[]) AND id = ANY($4::uuid[]))))
AND archived_at IS NULL"""

KEYS = """SELECT id, account_id, expires_at, revoked_at
FROM accounts_apikey WHERE account_id = ANY($1::uuid[]) AND id = ANY($2::uuid[])"""

RESERVATIONS = """SELECT id, account_id, bot_id, project_id, "user", model,
 holds::text
FROM usage_reservation
WHERE account_id = ANY($1::uuid[]) AND id = ANY($2::uuid[])"""

REPLAYS = """SELECT account_id, key_id, idempotency_key, request_digest, answer::text,
 created_at
FROM usage_reservation
WHERE account_id = ANY($1::uuid[]) AND idempotency_key = ANY($2::text[])"""

# Two looks into two indexes: one with OR would go through all that the bot has. For
# the same reason a row that is named by its id is compared with its account by a sign
# that no index knows.
_NAMED = """SELECT c.id, c.account_id, c.bot_id, c.external_id
FROM jsonb_to_recordset($1::jsonb) AS r(account_id uuid, bot_id uuid, id uuid,
    external_id text) JOIN usage_conversation AS c"""

CONVERSATIONS = f"""{_NAMED} ON c.id = r.id
AND (c.account_id, c.bot_id) IS NOT DISTINCT FROM (r.account_id, r.bot_id)
UNION ALL {_NAMED} ON c.account_id = r.account_id AND c.bot_id = r.bot_id
AND c.external_id = r.external_id"""

CLAIM_EVENT_IDS = """INSERT INTO usage_eventid
(id, account_id, source, client_id, event_id, content, created_at)
SELECT id, account_id, source, client_id, event_id, content, created_at
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid, source text,
    client_id text, event_id uuid, content text, created_at timestamptz)
ORDER BY id ON CONFLICT (id) DO NOTHING RETURNING id"""

READ_EVENT_IDS = """SELECT id, event_id, content
FROM usage_eventid WHERE id = ANY($1::uuid[])"""

FORGET_EVENT_IDS = "DELETE FROM usage_eventid WHERE id = ANY($1::uuid[])"

CLAIM_CONVERSATIONS = """INSERT INTO usage_conversationseen (id, account_id)
SELECT id, account_id FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid)
ORDER BY id ON CONFLICT (id) DO NOTHING RETURNING id"""

FORGET_CONVERSATIONS = """DELETE FROM usage_conversationseen
WHERE id = ANY($1::uuid[])"""

SEEN_CONVERSATIONS = """SELECT id FROM usage_conversationseen
WHERE id = ANY($1::uuid[])"""

INSERT_CLOSED = """INSERT INTO usage_counter
(id, account_id, policy_id, limit_key, metric, kind, is_head, subject, subject_key,
 window_start, window_end, used, held, ring, ring_head, fired, created_at, updated_at)
SELECT id, account_id, policy_id, limit_key, metric, kind, is_head, subject,
 subject_key, window_start, window_end, used, held, ring, ring_head, fired,
 created_at, created_at
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid, policy_id uuid,
    limit_key text, metric text, kind text, is_head boolean, subject jsonb,
    subject_key text, window_start timestamptz, window_end timestamptz, used bigint,
    held bigint, ring bigint[], ring_head bigint, fired jsonb, created_at timestamptz)
ORDER BY id"""

OPEN_COUNTERS = f"{INSERT_CLOSED} ON CONFLICT DO NOTHING"

_COUNTER = """id, account_id, policy_id, limit_key, metric, kind, is_head,
subject::text, subject_key, window_start, window_end, used, held, ring, ring_head,
fired::text"""

_ALIASED = ", ".join(f"c.{column.strip()}" for column in _COUNTER.split(","))

LOCK_COUNTERS = f"""SELECT {_COUNTER} FROM usage_counter
WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"""  # noqa: S608 (constants)

# What may change about counters of which the rest is known.
LOCK_PLACED = """SELECT window_start, window_end, used, held, ring, ring_head,
fired::text FROM usage_counter WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"""

LOCK_CURRENT = f"""SELECT {_COUNTER} FROM usage_counter
WHERE account_id = $1::uuid AND policy_id = $2::uuid
AND (window_end IS NULL OR window_end > $3::timestamptz)
AND (is_head OR kind <> 'fixed') ORDER BY id FOR UPDATE"""  # noqa: S608 (constants)

READ_COUNTERS = f"""SELECT {_COUNTER} FROM usage_counter
WHERE id = ANY($1::uuid[])"""  # noqa: S608 (constants)

CLOSED_COUNTERS = f"""SELECT {_ALIASED} FROM usage_counter AS c
JOIN jsonb_to_recordset($1::jsonb) AS r(head uuid, limit_key text, subject_key text,
    policy uuid, account uuid, moment timestamptz)
ON c.account_id = r.account AND c.policy_id = r.policy AND c.limit_key = r.limit_key
AND c.subject_key = r.subject_key AND NOT c.is_head
AND c.window_start <= r.moment AND c.window_end > r.moment
ORDER BY c.id FOR UPDATE OF c"""  # noqa: S608 (constants)

LOCK_RESERVATIONS = """SELECT id, account_id, bot_id, "user", model, state,
amounts::text, holds::text, ttl_seconds, expires_at, dispatched, event_id
FROM usage_reservation WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"""

BLOCKS = """SELECT id, account_id, kind, policy_id, cover, enforced, ends_at, reason
FROM policies_block WHERE account_id = ANY($1::uuid[]) AND cover = ANY($2::uuid[])
AND lifted_at IS NULL AND (ends_at IS NULL OR ends_at > $3::timestamptz)"""

OVERDUE = """SELECT id, account_id, bot_id, project_id, "user", model, holds::text
FROM usage_reservation
WHERE account_id = ANY($1::uuid[]) AND state = 'open' AND expires_at <= $2::timestamptz
AND id <> ALL($3::uuid[]) ORDER BY expires_at LIMIT 250"""

SEQUENCE = "SELECT nextval('usage_ledger_sequence'), NULL"

# With the transaction's id, by which a lost COMMIT can be asked for.
WRITING_SEQUENCE = """SELECT nextval('usage_ledger_sequence'),
pg_current_xact_id()::text"""

WRITE_COUNTERS = """UPDATE usage_counter AS c SET used = r.used, held = r.held,
ring = r.ring, ring_head = r.ring_head, fired = r.fired, updated_at = r.updated_at
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, used bigint, held bigint,
    ring bigint[], ring_head bigint, fired jsonb, updated_at timestamptz)
WHERE c.id = r.id"""

# The counters of most batches: they have no ring, and nothing of theirs was ever fired.
ADD_TO_COUNTERS = """UPDATE usage_counter AS c SET used = r.used, held = r.held,
updated_at = $4::timestamptz
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS r(id, used, held)
WHERE c.id = r.id"""

MOVE_HEADS = """UPDATE usage_counter AS c SET used = r.used, held = r.held,
fired = r.fired, window_start = r.window_start, window_end = r.window_end,
updated_at = r.updated_at
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, used bigint, held bigint, fired jsonb,
    window_start timestamptz, window_end timestamptz, updated_at timestamptz)
WHERE c.id = r.id"""

INSERT_RESERVATIONS = """INSERT INTO usage_reservation (id, account_id, bot_id,
 project_id, key_id, "user", model, state, amounts, holds, ttl_seconds, created_at,
 expires_at, dispatched, idempotency_key, request_digest, answer)
SELECT id, account_id, bot_id, project_id, key_id, "user", model, 'open', amounts,
 holds, ttl_seconds, created_at, expires_at, dispatched, idempotency_key,
 request_digest, answer
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid, bot_id uuid,
    project_id uuid, key_id uuid, "user" text, model text, amounts jsonb, holds jsonb,
    ttl_seconds integer, created_at timestamptz, expires_at timestamptz,
    dispatched boolean, idempotency_key text, request_digest text, answer jsonb)"""

FORGET_REPLAYS = """UPDATE usage_reservation SET idempotency_key = NULL, answer = NULL
FROM jsonb_to_recordset($1::jsonb) AS r(account_id uuid, key_id uuid,
    idempotency_key text)
WHERE usage_reservation.account_id = r.account_id
AND usage_reservation.key_id IS NOT DISTINCT FROM r.key_id
AND usage_reservation.idempotency_key = r.idempotency_key"""

# Whoever asks under the same name waits here, and then reads what was answered.
LOCK_NAMES = """SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k"""

FIRST_ANSWERS = """SELECT id, request_digest, status, answer FROM usage_firstanswer
WHERE id = ANY($1::uuid[]) AND created_at > $2::timestamptz"""

INSERT_FIRST_ANSWERS = """INSERT INTO usage_firstanswer
(id, account_id, request_digest, status, answer, created_at)
SELECT id, account_id, request_digest, status, answer, created_at
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid, request_digest text,
    status smallint, answer text, created_at timestamptz)
ON CONFLICT (id) DO UPDATE SET request_digest = excluded.request_digest,
status = excluded.status, answer = excluded.answer, created_at = excluded.created_at"""

END_RESERVATIONS = """UPDATE usage_reservation AS t SET state = r.state,
ended_at = coalesce(r.ended_at, t.ended_at), event_id = r.event_id
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, state text, ended_at timestamptz,
    event_id uuid) WHERE t.id = r.id"""

INSERT_CONVERSATIONS = """INSERT INTO usage_conversation (id, account_id, bot_id,
 external_id, "user", title, meta, started_at, last_activity_at, created_at)
SELECT id, account_id, bot_id, external_id, "user", '', '{}', started_at,
 last_activity_at, created_at
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid, bot_id uuid,
    external_id text, "user" text, started_at timestamptz, last_activity_at timestamptz,
    created_at timestamptz)
ON CONFLICT (account_id, bot_id, external_id) DO NOTHING"""

TOUCH_CONVERSATIONS = """UPDATE usage_conversation AS c
SET last_activity_at = greatest(c.last_activity_at, locked.active_at)
FROM (SELECT old.id, r.last_activity_at AS active_at
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid,
    last_activity_at timestamptz)
JOIN usage_conversation AS old ON old.id = r.id
AND old.account_id IS NOT DISTINCT FROM r.account_id
WHERE old.last_activity_at < r.last_activity_at
ORDER BY old.id FOR NO KEY UPDATE OF old) AS locked
WHERE c.id = locked.id"""

INSERT_EVENTS = """INSERT INTO usage_usageevent (id, account_id, sequence, source,
 client_id, bot_id, project_id, key_id, "user", model, conversation_id, tokens,
 input_tokens, output_tokens, messages, conversations, calls, cost, occurred_at,
 created_at, reservation_id, overrun, estimated)
SELECT id, account_id, sequence, source, client_id, bot_id, project_id, key_id, "user",
 model, conversation_id, tokens, input_tokens, output_tokens, messages, conversations,
 calls, cost, occurred_at, created_at, reservation_id, overrun, estimated
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid, sequence bigint,
    source text, client_id text, bot_id uuid, project_id uuid, key_id uuid, "user" text,
    model text, conversation_id uuid, tokens bigint, input_tokens bigint,
    output_tokens bigint, messages bigint, conversations bigint, calls bigint,
    cost bigint, occurred_at timestamptz, created_at timestamptz, reservation_id uuid,
    overrun boolean, estimated boolean)"""

INSERT_DECISIONS = """INSERT INTO audit_decisionrecord (id, account_id, sequence, kind,
 key_id, allowed, decision, reason_code, message, enforced, rollout_mode, policy_id,
 policy_target, policy_user, policy_project_id, model, estimate, subject, policies,
 triggered_categories, allowlist_hits, denylist_hits, retry_after, reservation_id,
 created_at)
SELECT id, account_id, sequence, kind, key_id, allowed, decision, reason_code, message,
 enforced, rollout_mode, policy_id, policy_target, policy_user, policy_project_id,
 model, estimate, subject, policies, coalesce(triggered_categories, '{}'),
 coalesce(allowlist_hits, '{}'), coalesce(denylist_hits, '{}'), retry_after,
 reservation_id, created_at
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid, sequence bigint,
    kind text, key_id text, allowed boolean, decision text, reason_code text,
    message text, enforced boolean, rollout_mode text, policy_id text,
    policy_target text, policy_user text, policy_project_id text, model text,
    estimate jsonb, subject jsonb, policies jsonb, triggered_categories text[],
    allowlist_hits text[], denylist_hits text[], retry_after bigint,
    reservation_id text, created_at timestamptz)"""

# What was found in the answer to a call joins what was found in the call: a decision
# is completed once, by what settles it.
NOTE_DECISIONS = """UPDATE audit_decisionrecord AS d SET
triggered_categories = (SELECT coalesce(array_agg(DISTINCT c ORDER BY c), '{}')
 FROM unnest(d.triggered_categories || r.triggered_categories) AS c),
allowlist_hits = (SELECT coalesce(array_agg(DISTINCT c ORDER BY c), '{}')
 FROM unnest(d.allowlist_hits || r.allowlist_hits) AS c),
denylist_hits = (SELECT coalesce(array_agg(DISTINCT c ORDER BY c), '{}')
 FROM unnest(d.denylist_hits || r.denylist_hits) AS c),
reason_code = CASE WHEN r.reason IS NULL OR d.reason_code NOT IN ('ok', 'warned')
 THEN d.reason_code ELSE r.reason END,
policy_id = CASE WHEN r.reason IS NULL OR d.reason_code NOT IN ('ok', 'warned')
 THEN d.policy_id ELSE r.policy_id END,
rollout_mode = CASE WHEN r.reason IS NULL OR d.reason_code NOT IN ('ok', 'warned')
 THEN d.rollout_mode ELSE r.rollout_mode END,
enforced = CASE WHEN r.reason IS NULL OR d.reason_code NOT IN ('ok', 'warned')
 THEN d.enforced ELSE r.enforced END
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid, reason text,
    policy_id text, rollout_mode text, enforced boolean, triggered_categories text[],
    allowlist_hits text[], denylist_hits text[])
WHERE d.id = r.id AND d.account_id = r.account_id"""

WITNESSES = {
    "decisions": "SELECT 1 FROM audit_decisionrecord WHERE id = %s",
    "events": "SELECT 1 FROM usage_usageevent WHERE id = %s",
}

REPLAY_DECISIONS = (
    INSERT_DECISIONS.replace(
        "SELECT id, account_id, sequence,",
        "SELECT id, account_id, nextval('usage_ledger_sequence'),",
    )
    + " ON CONFLICT (id) DO NOTHING"
)

INSERT_BLOCKS = """INSERT INTO policies_block (id, account_id, kind, policy_id, bot_id,
 cover, counter, window_start, subject, enforced, reason, starts_at, ends_at, lifted_by,
 lift_reason)
SELECT id, account_id, kind, policy_id, bot_id, cover, counter, window_start, subject,
 enforced, reason, starts_at, ends_at, '', ''
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid, kind text,
    policy_id uuid, bot_id uuid, cover uuid, counter uuid, window_start timestamptz,
    subject jsonb, enforced boolean, reason text, starts_at timestamptz,
    ends_at timestamptz)"""

PROLONG_BLOCKS = """UPDATE policies_block AS b SET ends_at = r.ends_at
FROM (SELECT id, max(ends_at) AS ends_at FROM jsonb_to_recordset($1::jsonb)
AS r(id uuid, ends_at timestamptz) GROUP BY id) AS r
WHERE b.id = r.id AND b.lifted_at IS NULL AND b.ends_at < r.ends_at"""

REVOKE_BOTS = """UPDATE accounts_bot SET state = 'revoked', updated_at = r.at
FROM jsonb_to_recordset($1::jsonb) AS r(account_id uuid, bot_id uuid, at timestamptz)
WHERE accounts_bot.account_id = r.account_id AND accounts_bot.id = r.bot_id"""

REVOKE_KEYS = """UPDATE accounts_apikey SET revoked_at = r.at
FROM jsonb_to_recordset($1::jsonb) AS r(account_id uuid, bot_id uuid, at timestamptz)
WHERE accounts_apikey.account_id = r.account_id AND accounts_apikey.bot_id = r.bot_id
AND accounts_apikey.revoked_at IS NULL"""

# So that every process asks for the keys anew; in one order, to wait for nobody twice.
BUMP_VERSIONS = """UPDATE accounts_account AS a SET version = a.version + 1
FROM (SELECT id FROM accounts_account WHERE id IN (SELECT account_id
FROM jsonb_to_recordset($1::jsonb) AS r(account_id uuid))
ORDER BY id FOR NO KEY UPDATE) AS locked WHERE a.id = locked.id"""

OPEN_ALERTS = """WITH opened AS (
INSERT INTO alerts_alert (id, account_id, kind, policy_id, policy_name, counter,
 subject, window_start, resets_at, step, state, bot_id, metric, threshold, used,
 message, actions, enforced, late, created_at, acknowledged_by)
SELECT id, account_id, 'limit', policy_id, policy_name, counter, subject, window_start,
 resets_at, step, state, bot_id, metric, threshold, used, message, actions, enforced,
 late, created_at, ''
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, account_id uuid, policy_id text,
    policy_name text, counter text, subject jsonb, window_start timestamptz,
    resets_at timestamptz, step smallint, state text, bot_id text, metric text,
    threshold bigint, used bigint, message text, actions jsonb, enforced boolean,
    late boolean,
    created_at timestamptz)
ON CONFLICT (account_id, policy_id, counter, window_start, kind, step) DO NOTHING
RETURNING id)
INSERT INTO alerts_delivery (id, account_id, alert_id, channel, recipient, state,
 attempts, next_attempt_at, last_error, created_at)
SELECT d.id, d.account_id, d.alert_id, d.channel, d.recipient, 'pending', 0,
 d.created_at, '', d.created_at
FROM jsonb_to_recordset($2::jsonb) AS d(id uuid, account_id uuid, alert_id uuid,
    channel text, recipient text, created_at timestamptz)
JOIN opened ON opened.id = d.alert_id"""
