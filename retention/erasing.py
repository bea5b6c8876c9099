"""The SQL of erasure: what goes of a user's data, and where the name is replaced.

Each step takes a batch and returns the ids it took; it is done when it takes none. A
cursor (`after`) spares the tables that have no index by user a new start each time.
"""

from dataclasses import dataclass

from usage.summaries import SUMS

_MINE = """r.account_id = %(account)s"""

# A live block, an open reservation and a counter still count or refuse by the name: it
# stays there until they are over (ADR 0030).
_SUBJECT = """subject = (SELECT jsonb_agg(CASE WHEN p.pair->>0 = 'user'
AND p.pair->>1 = %(user)s THEN jsonb_build_array('user', %(pseudonym)s::text)
ELSE p.pair END ORDER BY p.place)
FROM jsonb_array_elements(r.subject) WITH ORDINALITY AS p(pair, place))"""

_HAS_USER = (
    """r.subject @> jsonb_build_array(jsonb_build_array('user', %(user)s::text))"""
)


@dataclass(frozen=True, slots=True)
class Step:
    """One table's part: `choose` locks a batch, `erase` changes or deletes it."""

    name: str
    choose: str
    erase: tuple[tuple[str, str], ...]


def _choose(table: str, where: str, joins: str = "") -> str:
    return (
        f"SELECT r.id FROM {table} AS r {joins} WHERE {_MINE} AND {where}"  # noqa: S608
        " AND r.id > %(after)s ORDER BY r.id LIMIT %(batch)s FOR UPDATE OF r"
    )


def _update(table: str, values: str) -> str:
    return (
        f"UPDATE {table} AS r SET {values} WHERE {_MINE}"  # noqa: S608
        " AND r.id = ANY(%(ids)s)"
    )


_SUMS = ", ".join(SUMS)
# A sum that no column can hold stays at the most that one can, as in the rollups.
_ADDED = ", ".join(
    f"{name} = least(r.{name}::numeric + excluded.{name}, {2**63 - 1})::bigint"
    for name in SUMS
)


def _merge(table: str, columns: str, named: str, digested: str) -> str:
    """Move sums to the pseudonym's rows, whose keys are digests of what they are of."""
    return f"""WITH gone AS (DELETE FROM {table} AS r
WHERE {_MINE} AND r.id = ANY(%(ids)s) RETURNING r.*)
INSERT INTO {table} AS r (id, account_id, {columns}, {_SUMS})
SELECT encode(substring(sha256(convert_to(jsonb_build_array(account_id, {digested}
)::text, 'UTF8')) FROM 1 FOR 16), 'hex')::uuid, account_id, {named}, {_SUMS} FROM gone
ON CONFLICT (id) DO UPDATE SET {_ADDED}"""  # noqa: S608 (constants)


_MERGE_ROLLUPS = _merge(
    "usage_hourlyrollup",
    'hour, project_id, bot_id, key_id, "user", model',
    "hour, project_id, bot_id, key_id, %(pseudonym)s, model",
    "extract(epoch FROM hour)::bigint, project_id, bot_id, key_id,"
    " %(pseudonym)s::text, model",
)

_MERGE_SUMMARIES = _merge(
    "usage_usagesummary",
    "grain, dimension, value, project_id, model, start",
    "grain, dimension, %(pseudonym)s, project_id, model, start",
    "grain, dimension, %(pseudonym)s::text, project_id, model,"
    " extract(epoch FROM start)::bigint",
)

_DELETE = "DELETE FROM {table} AS r WHERE r.account_id = %(account)s AND {ids}"

CONVERSATIONS = Step(
    "conversations",
    _choose(
        "usage_conversation",
        'coalesce(r."user", b.owner) = %(user)s',
        "LEFT JOIN accounts_bot AS b"
        " ON b.account_id = r.account_id AND b.id = r.bot_id",
    ),
    (
        (
            "usage_message",
            _DELETE.format(
                table="usage_message", ids="r.conversation_id = ANY(%(ids)s)"
            ),
        ),
        (
            "usage_conversation",
            _DELETE.format(table="usage_conversation", ids="r.id = ANY(%(ids)s)"),
        ),
    ),
)

_EVENTS = Step(
    "events",
    _choose("usage_usageevent", 'r."user" = %(user)s'),
    (
        (
            "usage_usageevent.user",
            _update("usage_usageevent", '"user" = %(pseudonym)s'),
        ),
    ),
)

_ROLLUPS = Step(
    "rollups",
    _choose("usage_hourlyrollup", 'r."user" = %(user)s'),
    (("usage_hourlyrollup.user", _MERGE_ROLLUPS),),
)

_SUMMARIES = Step(
    "summaries",
    _choose(
        "usage_usagesummary",
        "r.dimension IN ('user', 'users') AND r.value = %(user)s",
    ),
    (("usage_usagesummary.user", _MERGE_SUMMARIES),),
)

_DECISIONS = Step(
    "decisions",
    _choose("audit_decisionrecord", "r.policy_user = %(user)s"),
    (
        (
            "audit_decisionrecord.user",
            _update(
                "audit_decisionrecord",
                "policy_user = %(pseudonym)s, subject = CASE"
                " WHEN r.subject->>'user' = %(user)s THEN jsonb_set(r.subject,"
                " '{user}', to_jsonb(%(pseudonym)s::text)) ELSE r.subject END",
            ),
        ),
    ),
)

_RESERVATIONS = Step(
    "reservations",
    _choose("usage_reservation", "r.\"user\" = %(user)s AND r.state <> 'open'"),
    (
        (
            "usage_reservation.user",
            _update(
                "usage_reservation",
                '"user" = %(pseudonym)s, answer = CASE'
                " WHEN r.answer->>'policy_user' = %(user)s THEN jsonb_set(r.answer,"
                " '{policy_user}', to_jsonb(%(pseudonym)s::text)) ELSE r.answer END",
            ),
        ),
    ),
)

_BLOCKS = Step(
    "blocks",
    _choose("policies_block", f"r.lifted_at IS NOT NULL AND {_HAS_USER}"),
    (("policies_block.user", _update("policies_block", _SUBJECT)),),
)

_ALERTS = Step(
    "alerts",
    _choose("alerts_alert", _HAS_USER),
    (("alerts_alert.user", _update("alerts_alert", _SUBJECT)),),
)

_NOTICES = Step(
    "notices",
    # A counter's user, or that of a call that was refused.
    _choose(
        "alerts_notice", "%(user)s IN (r.data->'subject'->>'user', r.data->>'user')"
    ),
    (
        (
            "alerts_notice.user",
            _update(
                "alerts_notice",
                "data = CASE WHEN r.data->>'user' = %(user)s"
                " THEN jsonb_set(r.data, '{user}', to_jsonb(%(pseudonym)s::text))"
                " ELSE jsonb_set(r.data, '{subject,user}',"
                " to_jsonb(%(pseudonym)s::text)) END",
            ),
        ),
    ),
)

# Events before the rollups that are made of them.
STEPS = (
    CONVERSATIONS,
    _EVENTS,
    _ROLLUPS,
    _SUMMARIES,
    _DECISIONS,
    _RESERVATIONS,
    _BLOCKS,
    _ALERTS,
    _NOTICES,
)

OPEN_RESERVATIONS = """SELECT count(*) FROM usage_reservation
WHERE account_id = %(account)s AND "user" = %(user)s AND state = 'open'"""
