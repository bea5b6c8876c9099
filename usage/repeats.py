"""An event's id: claimed once, answered again as at first (CONTRACT A5)."""

from typing import Any
from uuid import UUID

from accounts.errors import DomainError, DuplicateEvent
from usage.entries import EventIn, EventResult
from usage.work import Entry, Work, public


def repeated(work: Work, entry: Entry, request: EventIn) -> bool:
    """Answer an event whose id was used before; True if it was."""
    claim = entry.claim
    if claim is None or entry.event_id is None:
        return False
    if claim in work.claimed:
        # Ours: the first entry of the batch with this id is the one that counts.
        work.claimed.discard(claim)
        first = work.event_ids.get(claim)
        entry.event_id = first[0] if first else entry.event_id
        return False
    first = work.event_ids.get(claim)
    if first is None:
        # Claimed by an entry of this batch that failed: this one claims it anew.
        work.write("claims", claim_values(work, entry, request))
        work.event_ids[claim] = (entry.event_id, entry.content)
        return False
    _answer_again(entry, request, first)
    return True


def _answer_again(entry: Entry, request: EventIn, first: tuple[UUID, str]) -> None:
    if first[1] == entry.content:
        event_id = public("evt", first[0])
        name = entry.client_id or event_id
        entry.answer = EventResult(name, "duplicate", event_id)
    else:
        entry.fail(DuplicateEvent())


def meet_fate(work: Work, entry: Entry, error: DomainError, request: EventIn) -> None:
    """Answer an event whose bot or reservation is gone: a repeat as at first (A5)."""
    first = work.event_ids.get(entry.claim) if entry.claim is not None else None
    if first is None:
        entry.fail(error)
    else:
        _answer_again(entry, request, first)


def claim_values(work: Work, entry: Entry, request: EventIn) -> dict[str, Any]:
    """Return the row that claims an event's id."""
    return {
        "id": entry.claim,
        "account_id": entry.account_id,
        "source": request.source,
        "client_id": entry.client_id,
        "event_id": entry.event_id,
        "content": entry.content,
        "created_at": work.now,
    }


def withdraw(work: Work, entry: Entry) -> None:
    """Give an id back that a failed event had claimed, so that it can be sent again."""
    if entry.claim is not None:
        work.forgotten_claims.append(entry.claim)
        work.event_ids.pop(entry.claim, None)
        claims = work.rows.get("claims", [])
        work.rows["claims"] = [row for row in claims if row["id"] != entry.claim]
