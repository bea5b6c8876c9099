"""The SQL of each retention target: which rows are due, and how they are let go.

`retention.cutoff` is the same rule for one row, in Python. Age counts from the last
activity of a conversation, and from the recording of an event or a decision. A row's
user is its own, else its bot's owner, as it is for a policy of usage (CONTRACT B4).

The deleting statements ask for the age and for legal holds once more: a row that was
touched or held after it had been chosen stays (CONTRACT E2). Who places a hold waits
for the batches under way (`retention.locks`), so a batch either sees the hold or has
ended before the hold was answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts import ids
from policies.rules import Scope

CONVERSATIONS = "conversations"
MESSAGE_TEXT = "message_text"
USAGE_EVENTS = "usage_events"
DECISIONS = "decisions"

_OWNED = (
    "LEFT JOIN accounts_bot AS b ON b.account_id = r.account_id AND b.id = r.bot_id"
)
_USER = 'coalesce(r."user", b.owner)'

# An event that no rollup holds yet has to stay until one does (CONTRACT E3).
_ROLLED_UP = """r.written_by < coalesce(
(SELECT horizon FROM usage_rollupprogress), 0)::text::xid8"""

_HOLDS = """EXISTS (SELECT 1 FROM retention_legalhold AS h {bots}
WHERE h.account_id = r.account_id AND h.released_at IS NULL
AND (h.until IS NULL OR h.until > %(held_at)s) AND (h.kind = 'account' OR {covers}))"""

# Ids go to and fro as text and bytes: thousands of UUID objects a batch take longer.
_TOLD = "string_agg(uuid_send(id), '' ORDER BY id), count(*)"

_HOLDERS_BOT = "LEFT JOIN accounts_bot AS b ON b.account_id = {row}.account_id"
_HOLDERS_BOT += " AND b.id = {row}.bot_id"

_OF_CONVERSATION = """h.bot_id = {row}.bot_id OR h.project_id = b.project_id
OR ({row}.bot_id = ANY(h.bots) AND (h.kind <> 'user' OR {row}."user" IS NULL))
OR h.conversation_id = {row}.id
OR (h.kind = 'user' AND h.ref = coalesce({row}."user", b.owner))"""

_OF_EVENT = """h.bot_id = r.bot_id OR h.project_id = r.project_id
OR h.conversation_id = r.conversation_id
OR (h.kind = 'user' AND h.ref = coalesce(r."user", b.owner))"""

_OF_DECISION = """(h.kind = 'bot' AND h.ref = r.policy_target)
OR (h.kind = 'project' AND h.ref = r.policy_project_id)
OR (h.kind = 'user' AND h.ref = r.policy_user)"""


def _holds(covers: str, row: str = "r", *, alone: bool = False) -> str:
    """Return the condition that a live hold covers the row `r`.

    `alone`: in a statement that does not join the row's bot as `b` itself.
    """
    bots = _HOLDERS_BOT.format(row=row) if alone else ""
    return _HOLDS.format(bots=bots, covers=covers.format(row=row))


_CONVERSATION_HELD = _holds(_OF_CONVERSATION, "r", alone=True)
_TEXT_HELD = _holds(_OF_CONVERSATION, "c", alone=True)
_EVENT_HELD = _holds(_OF_EVENT, alone=True)
_DECISION_HELD = _holds(_OF_DECISION)

# One statement asks once more and deletes both: messages that go while their
# conversation stays would be deleted wrongly. Arrays, so that PostgreSQL looks each
# row up whatever it believes of their number; IS TRUE, so that it does not read the
# index by age as well, all of what is due for each batch.
_DELETE_CONVERSATIONS = f"""WITH due AS MATERIALIZED (SELECT r.id
FROM usage_conversation AS r WHERE r.account_id = %(account)s
AND r.id = ANY(%(ids)s::uuid[]) AND (r.last_activity_at < %(cutoff)s) IS TRUE
AND NOT {_CONVERSATION_HELD}),
messages AS (DELETE FROM usage_message WHERE account_id = %(account)s
AND conversation_id = ANY(ARRAY(SELECT id FROM due)) RETURNING id),
gone AS (DELETE FROM usage_conversation AS r WHERE r.account_id = %(account)s
AND r.id = ANY(ARRAY(SELECT id FROM due)) RETURNING r.id)
SELECT {_TOLD}, (SELECT count(*) FROM messages) FROM gone"""  # noqa: S608

_FORGET_TEXT = f"""WITH gone AS (UPDATE usage_message AS r SET text = NULL
FROM usage_conversation AS c WHERE r.account_id = %(account)s
AND r.id = ANY(%(ids)s::uuid[]) AND c.account_id = r.account_id
AND c.id = r.conversation_id AND (c.last_activity_at < %(cutoff)s) IS TRUE
AND NOT {_TEXT_HELD} RETURNING r.id) SELECT {_TOLD} FROM gone"""  # noqa: S608

_DELETE_BY_ID = """WITH gone AS (DELETE FROM {table} AS r
WHERE r.account_id = %(account)s AND r.id = ANY(%(ids)s::uuid[]) AND r.id < %(before)s
AND r.created_at < %(cutoff)s AND NOT {held} RETURNING r.id) SELECT {told} FROM gone"""


def _delete_by_id(table: str, held: str) -> str:
    return _DELETE_BY_ID.format(table=table, held=held, told=_TOLD)


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of rows: where they are, how old they are, what they belong to.

    `scope` maps a scope's field to the row's column; a row has no other fields.
    `held` is the condition that a legal hold covers a row of `rows`, which joins its
    bot once: where each hold looked it up, PostgreSQL would believe that to ask costs
    so much that it sorts all that is due rather than read it in order. `made` is the
    column that says when the row was written here. `erase` takes locked ids and returns
    the ids of those it took (16 bytes each, in order) and for each table of `erased`
    how many.
    """

    table: str
    prefix: str
    rows: str
    at: str
    old: str
    order: str
    locks: str
    scope: Mapping[str, str]
    held: str
    erase: str
    erased: tuple[str, ...]
    only: str = "TRUE"
    ready: str = "TRUE"
    made: str | None = None
    names_public_ids: bool = False

    def only_hold(self, hold: str = "%(hold)s") -> str:
        """Return the condition that one live hold, and not any, covers the row."""
        return self.held.replace("WHERE ", f"WHERE h.id = {hold} AND ", 1)


TARGETS: Mapping[str, Target] = {
    CONVERSATIONS: Target(
        table="usage_conversation",
        prefix="cnv",
        rows=f"usage_conversation AS r {_OWNED}",
        at="r.last_activity_at",
        old="r.last_activity_at < %(cutoff)s",
        order="r.last_activity_at, r.id",
        locks="FOR UPDATE OF r SKIP LOCKED",
        scope={"project": "b.project_id", "bot": "r.bot_id", "user": _USER},
        held=_holds(_OF_CONVERSATION, "r"),
        erase=_DELETE_CONVERSATIONS,
        erased=("usage_conversation", "usage_message"),
        made="r.created_at",
    ),
    MESSAGE_TEXT: Target(
        table="usage_message",
        prefix="msg",
        rows="usage_message AS r JOIN usage_conversation AS c"
        " ON c.account_id = r.account_id AND c.id = r.conversation_id"
        " LEFT JOIN accounts_bot AS b"
        " ON b.account_id = c.account_id AND b.id = c.bot_id",
        at="c.last_activity_at",
        old="c.last_activity_at < %(cutoff)s",
        order="c.last_activity_at, r.id",
        # The conversation too, so that no message can join it meanwhile.
        locks="FOR UPDATE OF r SKIP LOCKED FOR NO KEY UPDATE OF c SKIP LOCKED",
        scope={
            "project": "b.project_id",
            "bot": "c.bot_id",
            "user": 'coalesce(c."user", b.owner)',
        },
        held=_holds(_OF_CONVERSATION, "c"),
        erase=_FORGET_TEXT,
        erased=("usage_message.text",),
        made="c.created_at",
        only="r.text IS NOT NULL",
    ),
    USAGE_EVENTS: Target(
        table="usage_usageevent",
        prefix="evt",
        rows=f"usage_usageevent AS r {_OWNED}",
        at="r.created_at",
        old="r.id < %(before)s",
        order="r.id",
        locks="FOR UPDATE OF r SKIP LOCKED",
        scope={"project": "r.project_id", "bot": "r.bot_id", "user": _USER},
        held=_holds(_OF_EVENT),
        erase=_delete_by_id("usage_usageevent", _EVENT_HELD),
        erased=("usage_usageevent",),
        ready=_ROLLED_UP,
    ),
    DECISIONS: Target(
        table="audit_decisionrecord",
        prefix="dec",
        rows="audit_decisionrecord AS r",
        at="r.created_at",
        old="r.id < %(before)s",
        order="r.id",
        locks="FOR UPDATE OF r SKIP LOCKED",
        scope={
            "project": "r.policy_project_id",
            "bot": "r.policy_target",
            "user": "r.policy_user",
        },
        held=_DECISION_HELD,
        erase=_delete_by_id("audit_decisionrecord", _DECISION_HELD),
        erased=("audit_decisionrecord",),
        names_public_ids=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a WHERE clause with its parameters."""

    sql: str
    parameters: Mapping[str, Any]


def covered(target: Target, scope: Scope, name: str = "s") -> Condition:
    """Return the condition that a row has every value that a scope names.

    `name` tells this scope's parameters from those of others. A field that such rows
    do not have covers none of them.
    """
    parts, parameters = ["TRUE"], {}
    for field, value in scope.document().items():
        column = target.scope.get(field)
        if column is None:
            return Condition("FALSE", {})
        key = f"{name}_{field}"
        parts.append(f"{column} = %({key})s")
        parameters[key] = _stored(target, field, value)
    return Condition(f"({' AND '.join(parts)})", parameters)


def ages(target: Target, *, account_id: UUID, cutoff: datetime) -> dict[str, Any]:
    """Return the parameters that say whose rows are due and from when on."""
    parameters: dict[str, Any] = {"account": account_id, "cutoff": cutoff}
    if "%(before)s" in target.old:
        parameters["before"] = ids.first_id_at(cutoff)
    return parameters


def over_age(target: Target, within: Condition) -> str:
    """Return FROM and WHERE of the rows that are over their age, held ones too."""
    return (
        f"FROM {target.rows} WHERE r.account_id = %(account)s"
        f" AND {target.old} AND {target.only} AND {within.sql}"
    )


def due(target: Target, within: Condition) -> str:
    """Return FROM and WHERE of the rows that are due within a condition."""
    return f"{over_age(target, within)} AND NOT {target.held}"


def choose(target: Target, within: Condition, *, onwards: bool) -> str:
    """Return the statement that chooses due rows, the oldest first.

    It returns lumps of `lump` rows, in order: their ids as text with commas between,
    and the last one's moment. `onwards`: only what comes after the row (`after_id`,
    `after_at`).
    """
    by_age = "," in target.order
    after = ""
    if onwards and by_age:
        # The first half is for the index, which does not hold the id.
        after = f"AND {target.at} >= %(after_at)s::timestamptz AND ({target.order})"
        after += " > (%(after_at)s::timestamptz, %(after_id)s)"
    elif onwards:
        after = f"AND {target.order} > %(after_id)s"
    rows = (
        f"SELECT r.id, {target.at} AS at {due(target, within)} AND {target.ready}"
        f" {after} ORDER BY {target.order} LIMIT %(most)s"
    )
    order = "at, id" if by_age else "id"
    place = f"(row_number() OVER (ORDER BY {order}) - 1) / %(lump)s"
    return (
        f"SELECT string_agg(id::text, ',' ORDER BY {order}), max(at)::text"  # noqa: S608
        f" FROM (SELECT id, at, {place} AS place FROM ({rows}) AS chosen) AS placed"
        " GROUP BY place ORDER BY place"
    )


def lock(target: Target) -> str:
    """Return the statement that locks those chosen rows that are still over age.

    It returns their ids as the text of an array; null if there are none.
    """
    rows = (
        f"SELECT r.id FROM {target.rows} WHERE r.account_id = %(account)s"  # noqa: S608
        f" AND r.id = ANY(%(ids)s::uuid[]) AND {_looked_at(target)} AND {target.only}"
    )
    return (
        "SELECT '{' || string_agg(id::text, ',') || '}'"  # noqa: S608 (constants)
        f" FROM ({rows} {target.locks}) AS locked"
    )


def _looked_at(target: Target) -> str:
    """Return the condition by age for rows that are looked up by their ids."""
    by_id = target.old.startswith("r.id")
    return target.old if by_id else f"({target.old}) IS TRUE"


def _stored(target: Target, field: str, value: str) -> Any:
    """Return a scope's value as the column has it: an id as UUID or public id."""
    if field in {"project", "bot"} and not target.names_public_ids:
        return ids.decode_id({"project": "prj", "bot": "bot"}[field], value)
    return value
