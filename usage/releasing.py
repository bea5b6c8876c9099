"""Free what is held: a release by the caller, or a reservation whose time is over."""

from typing import Any
from uuid import UUID

import msgspec

from accounts import ids
from accounts.errors import NotFound
from usage import counters
from usage.answers import reserved_body
from usage.entries import Answer
from usage.recording import charge_held, held_counter
from usage.work import Entry, Reserved, Work


def release(work: Work, entry: Entry) -> None:
    """Free a hold. An ended reservation answers with the state it has (B6)."""
    reserved = _reserved(work, entry)
    if reserved is None:
        entry.fail(NotFound("There is no such reservation."))
        return
    if reserved.state == "open":
        if reserved.expires_at <= work.now:
            _expire(work, entry, reserved)
        else:
            _free(work, reserved)
            _end(work, reserved, "released")
    entry.answer = Answer(msgspec.json.encode(reserved_body(reserved)))


def expire(work: Work, entry: Entry) -> None:
    """End a reservation whose time is over (B7); nothing if it has ended already."""
    reserved = _reserved(work, entry)
    is_open = reserved is not None and reserved.state == "open"
    if reserved is not None and is_open and reserved.expires_at <= work.now:
        _expire(work, entry, reserved)
    entry.answer = Answer()


def _reserved(work: Work, entry: Entry) -> Reserved | None:
    reserved = work.reservations.get(entry.reservation_id or UUID(int=0))
    if reserved is None or reserved.account_id != entry.account_id:
        return None
    return reserved if _may_end(entry, reserved) else None


def _may_end(entry: Entry, reserved: Reserved) -> bool:
    """Whether a reservation is within the key's bot and project (G7)."""
    key = entry.item.key
    if key is None:
        return True
    if key.bot_id not in (None, reserved.bot_id):
        return False
    return key.project_id is None or entry.project_id in (None, key.project_id)


def _expire(work: Work, entry: Entry, reserved: Reserved) -> None:
    """Free the hold; if the upstream was contacted, charge it as an estimate.

    The estimate does not settle: what is recorded later comes on top of it.
    """
    _free(work, reserved)
    if reserved.dispatched:
        for held in reserved.holds:
            charge_held(work, entry, held, held["amount"])
        work.write("events", _estimated_event(work, entry, reserved))
    _end(work, reserved, "expired")


def _free(work: Work, reserved: Reserved) -> None:
    for held in reserved.holds:
        counter = held_counter(work, held)
        if counter is not None:
            counters.hold(counter, -held["amount"])


def _end(work: Work, reserved: Reserved, state: str) -> None:
    reserved.state = state
    reserved.ended_at = work.now
    reserved.dirty = True


def _estimated_event(work: Work, entry: Entry, reserved: Reserved) -> dict[str, Any]:
    said = reserved.amounts
    return {
        "id": ids.new_id(work.now),
        "account_id": reserved.account_id,
        "sequence": work.next_sequence(),
        "source": "expiry",
        "client_id": "",
        "bot_id": reserved.bot_id,
        "project_id": entry.project_id,
        "key_id": None,
        "user": entry.caller.user if entry.caller else None,
        "model": reserved.model,
        "conversation_id": None,
        "tokens": said.get("tokens", 0),
        "input_tokens": said.get("input_tokens", 0),
        "output_tokens": said.get("output_tokens", 0),
        "messages": said.get("messages", 0),
        "conversations": said.get("conversations", 0),
        "calls": said.get("calls", 0),
        "cost": said.get("cost"),
        "occurred_at": work.now,
        "created_at": work.now,
        "reservation_id": reserved.id,
        "overrun": False,
        "estimated": True,
    }
