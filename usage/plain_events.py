"""Events that have nothing to claim, to settle or to name: nearly all of a bulk.

They charge the same counters as others do (`usage.recording`); what is prepared is the
row, and that a window which is open and crosses nothing needs no second look.
"""

from functools import lru_cache

import msgspec

from accounts import ids
from usage.entries import EventIn, EventResult
from usage.recording import charge, complete
from usage.work import Entry, Work, stamp


def record_plainly(work: Work, entry: Entry, request: EventIn) -> bool:
    """Record an event that only counts; False, and nothing done, if it does more."""
    if not _is_plain(entry, request) or work.is_full(entry, entry.amounts):
        return False
    complete(work, entry, request)
    amounts, found = entry.amounts, work.found
    for place in entry.places:
        amount = amounts[place.limit.metric]
        if not amount:
            continue
        counter = found.get(id(place))
        if (
            counter is not None
            and place.bounds is not None
            and counter.used + amount < counter.quiet_below
        ):
            # Most events of a bulk: their window is known, and nothing is crossed.
            counter.used += amount
            counter.dirty = True
        else:
            charge(work, entry, place, told=False)
    _write(work, entry, request)
    return True


def _is_plain(entry: Entry, request: EventIn) -> bool:
    """Whether it has nothing to claim, to settle or to name, and is of now."""
    return (
        entry.plan is not None
        and entry.claim is None
        and entry.conversation is None
        and request.gate is None
        and entry.reserved is None
    )


def _write(work: Work, entry: Entry, request: EventIn) -> None:
    plan, event_id, key = entry.plan, entry.event_id, entry.item.key
    if plan is None or event_id is None:
        return
    said = ",".join([f'"{n}":{v}' for n, v in entry.amounts.items() if v is not None])
    now = stamp(work.now)
    if work.witness is None:
        work.witness = ("events", event_id)
    work.write_text(
        "events",
        f'{{"id":"{event_id}",{plan.owner}{plan.user},"sequence":{work.next_sequence()},'
        f'"source":{_quoted(request.source)},"client_id":"",'
        f'"key_id":{key.quoted if key else "null"},"occurred_at":"{now}",'
        f'"created_at":"{now}","overrun":false,'
        f'"estimated":{"true" if request.estimated else "false"},{said}}}',
    )
    public_id = ids.encode_id("evt", event_id)
    entry.answer = EventResult(request.id or public_id, "recorded", public_id)


@lru_cache(maxsize=64)
def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
