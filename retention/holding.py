"""Place and release legal holds, and delete by hand what none of them keeps.

A hold beats every rule from the moment it is answered: placing one waits for the
batches that delete (`retention.locks`), and every batch asks for holds again in its
deleting statement. Releasing one only lets the rules go on; it deletes nothing itself.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import ids
from accounts.actors import Actor
from accounts.errors import Conflict, FieldError, InvalidBody
from accounts.models import Account, Bot, Project
from accounts.services import append_change
from retention import locks
from retention.models import LegalHold
from retention.selectors import holds_on
from retention.targets import CONVERSATIONS
from usage import conversations
from usage.models import Conversation, Message

MAX_REASON = 2_000


class Held(Conflict):
    """A legal hold keeps what was to be deleted (CONTRACT E2)."""

    code = "held"
    title = "A legal hold keeps this from being deleted."


class NotHolding(Conflict):
    """The hold was released before."""

    code = "already_released"
    title = "The hold was released before."


@transaction.atomic
def place_hold(
    *,
    account: Account,
    what: Account | Project | Bot | Conversation | str,
    reason: str,
    owner: str = "",
    until: datetime | None = None,
    actor: Actor,
    now: datetime,
) -> LegalHold:
    """Hold an account, a project, a bot, a conversation or (a text) a user's data.

    `owner` is who answers for the hold; the one who places it if nobody is named.
    When this returns and is committed, nothing it covers can be deleted. Raises
    InvalidBody for an end in the past or a reason that is missing.
    """
    _check(reason, until, now)
    locks.lock_exclusively(account.id)
    hold = LegalHold(
        id=ids.new_id(now),
        account=account,
        reason=reason,
        owner=(owner or actor.label or actor.id)[:300],
        until=until,
        created_at=now,
        created_by=(actor.label or actor.id)[:300],
        **_named(what),
    )
    hold.save(force_insert=True)
    _append(hold, "hold.placed", actor, reason, now)
    return hold


@transaction.atomic
def release_hold(
    *, hold: LegalHold, actor: Actor, reason: str = "", now: datetime
) -> LegalHold:
    """Release a hold: what is due is deleted by the next run. Raises NotHolding."""
    live = LegalHold.objects.filter(id=hold.id, released_at=None)
    who = (actor.label or actor.id)[:300]
    if not live.update(released_at=now, released_by=who, release_reason=reason):
        raise NotHolding
    hold.refresh_from_db()
    _append(hold, "hold.released", actor, reason, now)
    return hold


@transaction.atomic
def delete_conversation(
    *, conversation: Conversation, actor: Actor, now: datetime, reason: str = ""
) -> None:
    """Delete a conversation with its messages. Raises Held and NotFound."""
    refuse_held(conversation=conversation, now=now)
    conversations.delete_conversation(
        conversation=conversation, actor=actor, now=now, reason=reason
    )


@transaction.atomic
def delete_message(*, message: Message, actor: Actor, now: datetime) -> None:
    """Delete one message. Raises Held and NotFound."""
    refuse_held(conversation=message.conversation, now=now)
    conversations.delete_message(message=message, actor=actor, now=now)


def refuse_held(*, conversation: Conversation, now: datetime) -> None:
    """Raise Held if a hold covers a conversation; keep new holds out till the end."""
    locks.lock_shared(conversation.account_id)
    found = holds_on(
        conversation.account,
        CONVERSATIONS,
        "r.id = %(row)s",
        {"row": conversation.id},
        now,
    )
    if found:
        raise held_by(found)


def held_by(found: Sequence[LegalHold]) -> Held:
    """Return the refusal that names some holds."""
    named = ", ".join(hold.public_id for hold in found[:10])
    return Held(f"A legal hold keeps this from being deleted: {named}.")


def _named(what: Account | Project | Bot | Conversation | str) -> dict[str, Any]:
    kinds = LegalHold.Kind
    if isinstance(what, str):
        return {"kind": kinds.USER, "ref": what}
    if isinstance(what, Account):
        return {"kind": kinds.ACCOUNT, "ref": what.public_id}
    if isinstance(what, Project):
        # They stay held if somebody moves them elsewhere.
        bots = list(what.bots.order_by("id").values_list("id", flat=True))
        named = {"kind": kinds.PROJECT, "ref": what.public_id}
        return {**named, "project": what, "bots": bots}
    if isinstance(what, Bot):
        return {"kind": kinds.BOT, "ref": what.public_id, "bot": what}
    named = {"kind": kinds.CONVERSATION, "ref": what.public_id}
    return {**named, "conversation_id": what.id}


def _check(reason: str, until: datetime | None, now: datetime) -> None:
    errors: list[FieldError] = []
    if not reason.strip():
        errors.append({"pointer": "/reason", "detail": "must not be empty"})
    elif len(reason) > MAX_REASON:
        detail = f"has over {MAX_REASON} characters"
        errors.append({"pointer": "/reason", "detail": detail})
    if until is not None and until <= now:
        errors.append({"pointer": "/until", "detail": "lies in the past"})
    if errors:
        raise InvalidBody(errors=errors)


def _append(
    hold: LegalHold, action: str, actor: Actor, reason: str, now: datetime
) -> None:
    append_change(
        account=hold.account,
        actor=actor,
        action=action,
        target=hold.public_id,
        changes=[{"field": hold.kind, "before": None, "after": hold.ref}],
        reason=reason,
        now=now,
    )
