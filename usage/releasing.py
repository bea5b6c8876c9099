"""Free what is held: a release by the caller, or a reservation whose time is over."""

from typing import Any
from uuid import UUID

from accounts import ids
from accounts.errors import NotFound
from policies.rules import Limit, Window
from usage import counters
from usage.answers import reserved_body
from usage.entries import Answer
from usage.recording import held_counter
from usage.work import Entry, Reserved, Work


def release(work: Work, entry: Entry) -> None:
    """Free a hold. An ended reservation answers with the state it has (B6)."""
    reserved = _reserved(work, entry)
    if reserved is None:
        entry.fail(NotFound("There is no such reservation."))
        return
    if reserved.state == "open":
        if reserved.expires_at <= work.now:
            _expire(work, reserved)
        else:
            _free(work, reserved)
            _end(work, reserved, "released")
    entry.answer = Answer(body=reserved_body(reserved))


def expire(work: Work, entry: Entry) -> None:
    """End a reservation whose time is over (B7); nothing if it has ended already."""
    reserved = _reserved(work, entry)
    is_open = reserved is not None and reserved.state == "open"
    if reserved is not None and is_open and reserved.expires_at <= work.now:
        _expire(work, reserved)
    entry.answer = Answer(body=None)


def _reserved(work: Work, entry: Entry) -> Reserved | None:
    reserved = work.reservations.get(entry.reservation_id or UUID(int=0))
    if reserved is None or reserved.account_id != entry.account_id:
        return None
    return reserved


def _expire(work: Work, reserved: Reserved) -> None:
    """Free the hold; if the upstream was contacted, charge it as an estimate."""
    _free(work, reserved)
    if reserved.dispatched:
        reserved.event_id = _charge_estimate(work, reserved)
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


def _charge_estimate(work: Work, reserved: Reserved) -> UUID:
    for held in reserved.holds:
        counter = held_counter(work, held)
        if counter is not None:
            window = Window(kind=counter.kind, seconds=held["seconds"])
            limit = Limit(held["metric"], 0, window, held["limit"])
            counters.bring_forward(counter, limit, work.now)
            counters.charge(counter, limit, held["amount"], work.now)
    event_id = ids.new_id(work.now)
    work.write("events", _estimated_event(work, reserved, event_id))
    return event_id


def _estimated_event(work: Work, reserved: Reserved, event_id: UUID) -> dict[str, Any]:
    said = reserved.amounts
    tokens = said.get("tokens", 0)
    return {
        "id": event_id,
        "account_id": reserved.account_id,
        "sequence": work.next_sequence(),
        "source": "expiry",
        "client_id": "",
        "bot_id": reserved.bot_id,
        "project_id": None,
        "key_id": None,
        "user": reserved.user,
        "model": reserved.model,
        "conversation_id": None,
        "tokens": tokens,
        "input_tokens": said.get("input_tokens", 0),
        "output_tokens": said.get("output_tokens", 0),
        "messages": said.get("messages", 0),
        "conversations": 0,
        "calls": said.get("calls", 1),
        "cost": said.get("cost"),
        "occurred_at": work.now,
        "created_at": work.now,
        "reservation_id": reserved.id,
        "overrun": False,
        "estimated": True,
    }
