"""The SQL of each retention target: which rows are due, and how they are let go.

`retention.cutoff` is the same rule for one row, in Python. Age counts from the last
activity of a conversation, and from the recording of an event or a decision. A row's
user is its own, else its bot's owner, as it is for a policy of usage (CONTRACT B4).

The deleting statements ask for the age once more: a row that was touched after it had
been chosen stays (CONTRACT E2).
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

_DELETE_CONVERSATIONS = """DELETE FROM usage_conversation WHERE account_id = %(account)s
AND id = ANY(%(ids)s) AND last_activity_at < %(cutoff)s RETURNING id"""

_DELETE_MESSAGES = """DELETE FROM usage_message WHERE account_id = %(account)s
AND conversation_id = ANY(%(ids)s)"""

_FORGET_TEXT = """UPDATE usage_message AS r SET text = NULL
FROM usage_conversation AS c WHERE r.account_id = %(account)s AND r.id = ANY(%(ids)s)
AND c.id = r.conversation_id AND c.last_activity_at < %(cutoff)s RETURNING r.id"""

_DELETE_EVENTS = """DELETE FROM usage_usageevent WHERE account_id = %(account)s
AND id = ANY(%(ids)s) AND id < %(before)s AND created_at < %(cutoff)s RETURNING id"""

_DELETE_DECISIONS = """DELETE FROM audit_decisionrecord WHERE account_id = %(account)s
AND id = ANY(%(ids)s) AND id < %(before)s AND created_at < %(cutoff)s RETURNING id"""


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of rows: where they are, how old they are, what they belong to.

    `scope` maps a scope's field to the row's column; a row has no other fields.
    `erase` runs in order on the locked ids; the first one returns those it took.
    """

    table: str
    prefix: str
    rows: str
    at: str
    old: str
    order: str
    lock: str
    scope: Mapping[str, str]
    erase: tuple[tuple[str, str], ...]
    only: str = "TRUE"
    ready: str = "TRUE"
    names_public_ids: bool = False


TARGETS: Mapping[str, Target] = {
    CONVERSATIONS: Target(
        table="usage_conversation",
        prefix="cnv",
        rows=f"usage_conversation AS r {_OWNED}",
        at="r.last_activity_at",
        old="r.last_activity_at < %(cutoff)s",
        order="r.last_activity_at, r.id",
        lock="FOR UPDATE OF r SKIP LOCKED",
        scope={"project": "b.project_id", "bot": "r.bot_id", "user": _USER},
        erase=(
            ("usage_conversation", _DELETE_CONVERSATIONS),
            ("usage_message", _DELETE_MESSAGES),
        ),
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
        lock="FOR UPDATE OF r SKIP LOCKED FOR NO KEY UPDATE OF c SKIP LOCKED",
        scope={
            "project": "b.project_id",
            "bot": "c.bot_id",
            "user": 'coalesce(c."user", b.owner)',
        },
        erase=(("usage_message.text", _FORGET_TEXT),),
        only="r.text IS NOT NULL",
    ),
    USAGE_EVENTS: Target(
        table="usage_usageevent",
        prefix="evt",
        rows=f"usage_usageevent AS r {_OWNED}",
        at="r.created_at",
        old="r.id < %(before)s",
        order="r.id",
        lock="FOR UPDATE OF r SKIP LOCKED",
        scope={"project": "r.project_id", "bot": "r.bot_id", "user": _USER},
        erase=(("usage_usageevent", _DELETE_EVENTS),),
        ready=_ROLLED_UP,
    ),
    DECISIONS: Target(
        table="audit_decisionrecord",
        prefix="dec",
        rows="audit_decisionrecord AS r",
        at="r.created_at",
        old="r.id < %(before)s",
        order="r.id",
        lock="FOR UPDATE OF r SKIP LOCKED",
        scope={
            "project": "r.policy_project_id",
            "bot": "r.policy_target",
            "user": "r.policy_user",
        },
        erase=(("audit_decisionrecord", _DELETE_DECISIONS),),
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


def due(target: Target, within: Condition) -> str:
    """Return FROM and WHERE of the rows that are due within a condition."""
    return (
        f"FROM {target.rows} WHERE r.account_id = %(account)s"
        f" AND {target.old} AND {target.only} AND {within.sql}"
    )


def lock_batch(target: Target, within: Condition) -> str:
    """Return the statement that chooses and locks a batch of due rows."""
    return (
        f"SELECT r.id {due(target, within)} AND {target.ready}"
        f" ORDER BY {target.order} LIMIT %(batch)s {target.lock}"
    )


def _stored(target: Target, field: str, value: str) -> Any:
    """Return a scope's value as the column has it: an id as UUID or public id."""
    if field in {"project", "bot"} and not target.names_public_ids:
        return ids.decode_id({"project": "prj", "bot": "bot"}[field], value)
    return value
