"""Record one usage event: claim its id, charge its counters, settle its reservation."""

from datetime import datetime
from typing import Any
from uuid import UUID

from accounts import ids
from accounts.errors import (
    CounterFull,
    FieldError,
    ReservationMismatch,
    UnknownReference,
)
from policies.decision import SEVERITY
from policies.matching import effective_user
from policies.rules import Limit, Window
from usage import counters
from usage.counters import Counter, Place
from usage.crossing import charged
from usage.entries import CallIn, EventIn, EventResult, Gate
from usage.loading import reservation_unknown
from usage.repeats import meet_fate, repeated, withdraw
from usage.rulebook import Match
from usage.wanted import decoded
from usage.work import Entry, Reserved, Work, public


def record(work: Work, entry: Entry, request: EventIn) -> None:
    """Apply one event exactly once, and answer it (CONTRACT A5, B6, B8)."""
    if entry.fate is not None:
        meet_fate(work, entry, entry.fate, request)
        return
    if entry.claim is not None and repeated(work, entry, request):
        return
    reserved = None
    if request.reservation is not None:
        reserved = _reservation(work, entry, request)
        if reserved is None:
            withdraw(work, entry)
            return
    if not _conversation_known(work, entry, request):
        withdraw(work, entry)
        return
    if work.is_full(entry, entry.amounts):
        withdraw(work, entry)
        entry.fail(CounterFull())
        return
    complete(work, entry, request)
    overrun = False
    settled: set[tuple[str, str]] = set()
    settles = reserved if reserved and reserved.event_id is None else None
    if settles is not None:
        overrun = _settle(work, entry, settles)
        settled = {(held["policy"], held["limit"]) for held in settles.holds}
    for place in entry.places:
        if (place.match.rule.policy_id, place.limit.key) not in settled:
            if settles is not None:
                overrun = overrun or _passes(entry, settles, place)
            charge(work, entry, place, told=request.occurred_at is not None)
    _write(work, entry, request, overrun=overrun)
    if request.gate is not None and request.gate.findings:
        _note(work, entry, request.gate)


def _reservation(work: Work, entry: Entry, request: EventIn) -> Reserved | None:
    reserved = work.reservations.get(entry.reservation_id or UUID(int=0))
    if reserved is None or reserved.account_id != entry.account_id:
        entry.fail(reservation_unknown())
        return None
    problems: list[FieldError] = []
    if entry.bot is None or reserved.bot_id != entry.bot.id:
        problems.append({"pointer": "/bot", "detail": "is not the reservation's"})
    owner = entry.bot.owner if entry.bot else None
    meant = {
        "user": effective_user(reserved.user, owner),
        "model": reserved.model,
    }
    for name, value in meant.items():
        said = getattr(request, name)
        if said is not None and said != value:
            detail = "is not the reservation's"
            problems.append({"pointer": f"/{name}", "detail": detail})
    if problems:
        entry.fail(ReservationMismatch(errors=problems))
        return None
    return reserved


def _conversation_known(work: Work, entry: Entry, request: EventIn) -> bool:
    named, bot = entry.conversation, entry.bot
    if named is None or named["id"] is None:
        return True
    where = (
        entry.account_id,
        bot.id if bot else UUID(int=0),
        request.conversation or "",
    )
    if where in work.conversations:
        return True
    detail = "There is no such conversation."
    problem: FieldError = {"pointer": "/conversation", "detail": detail}
    entry.fail(UnknownReference(errors=[problem]))
    return False


def complete(work: Work, entry: Entry, request: EventIn) -> None:
    """Fill what the event leaves open: conversation (A4), cost (A3)."""
    if entry.amounts["conversations"] is None:
        is_new = entry.seen is not None and entry.seen in work.new_conversations
        entry.amounts["conversations"] = 1 if is_new else 0
    if entry.seen is not None:
        work.new_conversations.discard(entry.seen)
    if entry.amounts["cost"] is None:
        model = priced_as(work, entry, request)
        split = request.input_tokens is not None or request.output_tokens is not None
        entry.amounts["cost"] = entry.book.prices.cost(
            model=model,
            tokens=entry.amounts["tokens"],
            input_tokens=entry.amounts["input_tokens"] if split else None,
            output_tokens=entry.amounts["output_tokens"] if split else None,
            now=work.now,
        )


def priced_as(work: Work, entry: Entry, request: CallIn | EventIn) -> str | None:
    """Return the name by which a call's model is priced.

    An alias that has no price of its own costs what the upstream's model costs.
    """
    model = entry.caller.model if entry.caller else None
    gate = request.gate
    if gate is None or gate.priced_as is None or gate.priced_as == model:
        return model
    return model if entry.book.prices.knows(model, work.now) else gate.priced_as


def _note(work: Work, entry: Entry, gate: Gate) -> None:
    """Add what was found in the answer to the decision that the call was given."""
    decision = decoded("dec", gate.decision or "")
    if decision is None:
        return
    worst = min(gate.findings, key=lambda f: (not f.enforced, -SEVERITY[f.reason]))
    row = {
        "id": decision,
        "account_id": entry.account_id,
        "reason": worst.reason if worst.enforced else "warned",
        "policy_id": worst.policy_id,
        "rollout_mode": worst.rollout_mode,
        "enforced": worst.enforced,
        "triggered_categories": list(gate.triggered_categories),
        "allowlist_hits": list(gate.allowlist_hits),
        "denylist_hits": list(gate.denylist_hits),
    }
    work.write("noted", row)


def charge(work: Work, entry: Entry, place: Place, *, told: bool) -> None:
    """Charge one limit that the event falls in, in the window of its time.

    `told` says whether the event tells its time; else it is now.
    """
    amount = entry.amounts.get(place.limit.metric) or 0
    if amount == 0:
        return
    counter = work.counters[place.id]
    if counter.kind == "calendar" and counter.used + amount < counter.quiet_below:
        # Most events of a bulk: their window is known, and nothing is crossed.
        counter.used += amount
        counter.dirty = True
        return
    moment = entry.moment or work.now
    start = counter.window_start
    if not told and start is not None:
        # Another process may have opened the window by a clock ahead of ours.
        moment = max(moment, start)
    counter, late = _window_for(work, place, moment)
    before = _before(work, counter, place.limit)
    counters.charge(counter, place.limit, amount, min(moment, work.now))
    charged(work, entry, place.match, place.limit, counter, before=before, late=late)


def _window_for(work: Work, place: Place, moment: datetime) -> tuple[Counter, bool]:
    """Return the counter whose window holds the moment, and whether it is over."""
    counter = work.counters[place.id]
    limit = place.limit
    if counter.kind in ("calendar", "lifetime"):
        end = counter.window_end
        return counter, end is not None and end <= work.now
    if counter.kind == "rolling":
        return counter, False
    if counters.is_late(counter, moment):
        return _closed(work, counter, limit, moment), True
    # A head's window never opens in the future: `moment` may be 5 minutes ahead.
    counter, closed = counters.open_window(counter, limit, min(moment, work.now))
    if closed is not None:
        work.counters[closed.id] = closed
        work.closed.setdefault(counter.id, []).append(closed)
    end = counter.window_end
    return counter, end is not None and end <= work.now


def _closed(work: Work, head: Counter, limit: Limit, moment: datetime) -> Counter:
    """Return the past window of a fixed limit that holds the moment (B3).

    Late events open windows of their own, which may reach into the next one: of those
    that hold the moment it is the one that began last, whatever came first.
    """
    found: Counter | None = None
    for closed in work.closed.get(head.id, ()):
        start, end = closed.window_start, closed.window_end
        if start is None or end is None or not start <= moment < end:
            continue
        if found is None or found.window_start is None or start > found.window_start:
            found = closed
    if found is not None:
        return found
    closed = counters.closed_window(head, limit, moment)
    work.counters[closed.id] = closed
    work.closed.setdefault(head.id, []).append(closed)
    return closed


def _before(work: Work, counter: Counter, limit: Limit) -> int:
    counters.bring_forward(counter, limit, work.now)
    return counter.used


def _settle(work: Work, entry: Entry, reserved: Reserved) -> bool:
    """Charge the counters that the reservation's hold sits on (B6).

    Returns whether anything of it passed the hold. What comes after expiry or release
    is charged in full.
    """
    is_open = reserved.state == "open" and reserved.expires_at > work.now
    overrun = not is_open
    for held in reserved.holds:
        actual = entry.amounts.get(held["metric"])
        # No price was known when it was settled: what was held for it is charged.
        amount = held["amount"] if actual is None else actual
        if reserved.state == "open":
            counter = held_counter(work, held)
            if counter is not None:
                counters.hold(counter, -held["amount"])
        overrun = overrun or amount > held["amount"]
        charge_held(work, entry, held, amount)
    if reserved.state == "open":
        reserved.state = "settled" if is_open else "expired"
        reserved.ended_at = work.now
    reserved.event_id = entry.event_id
    reserved.dirty = True
    return overrun


def _passes(entry: Entry, reserved: Reserved, place: Place) -> bool:
    """Whether a limit that nothing was held for meets more than was estimated."""
    metric = place.limit.metric
    return (entry.amounts.get(metric) or 0) > reserved.amounts.get(metric, 0)


def held_counter(work: Work, held: dict[str, Any]) -> Counter | None:
    """Return the counter that a hold sits on: the head, or the window it closed."""
    counter = work.counters.get(UUID(held["counter"]))
    if counter is None or held["start"] is None:
        return counter
    start = datetime.fromisoformat(held["start"])
    if counter.window_start == start:
        return counter
    return work.counters.get(UUID(held["closed"]))


def charge_held(work: Work, entry: Entry, held: dict[str, Any], amount: int) -> None:
    """Charge the counter that a hold sits on, and follow up what it crosses."""
    counter = held_counter(work, held)
    if counter is None or amount == 0:
        return
    window = Window(kind=counter.kind, seconds=held["seconds"])
    limit = Limit(held["metric"], 0, window, held["limit"])
    before = _before(work, counter, limit)
    counters.charge(counter, limit, amount, work.now)
    end = counter.window_end
    late = end is not None and end <= work.now
    match = _match_of(entry, held["policy"], counter)
    for known in match.rule.limits if match else ():
        if match is not None and known.key == held["limit"]:
            charged(work, entry, match, known, counter, before=before, late=late)


def _match_of(entry: Entry, policy: str, counter: Counter) -> Match | None:
    """Return what the policy of a hold is to its subject; None if it has ended."""
    for match in entry.matches:
        if match.rule.policy_id == policy and match.subject_key == counter.subject_key:
            return match
    if entry.caller is None:
        return None
    subject = tuple((pair[0] or "", pair[1]) for pair in counter.subject)
    return entry.book.match_for(policy, entry.caller, subject)


def _write(work: Work, entry: Entry, request: EventIn, *, overrun: bool) -> None:
    bot, event_id = entry.bot, entry.event_id
    if bot is None or event_id is None:
        return
    key = entry.item.key
    row = {
        "id": event_id,
        "account_id": entry.account_id,
        "sequence": work.next_sequence(),
        "source": request.source,
        "client_id": entry.client_id,
        "bot_id": bot.id,
        "project_id": entry.project_id,
        "key_id": key.id if key else None,
        "user": entry.caller.user if entry.caller else None,
        "model": entry.caller.model if entry.caller else None,
        "conversation_id": _converse(work, entry),
        "occurred_at": entry.moment,
        "created_at": work.now,
        "reservation_id": entry.reservation_id,
        "overrun": overrun,
        "estimated": request.estimated,
    }
    row |= entry.amounts
    work.write("events", row)
    public_id = public("evt", event_id)
    # A settle that has no id of its own goes by the reservation's (B6).
    entry.answer = EventResult(entry.client_id or public_id, "recorded", public_id)


def _converse(work: Work, entry: Entry) -> UUID | None:
    """Create the conversation that the event names first, or mark its activity."""
    named, bot = entry.conversation, entry.bot
    if named is None or bot is None:
        return None
    name = named["external_id"] or public("cnv", UUID(named["id"]))
    where = (entry.account_id, bot.id, name)
    active_at = min(entry.moment or work.now, work.now)
    known = work.conversations.get(where)
    if known is not None:
        touched = {"id": known, "account_id": entry.account_id}
        work.write("touched", touched | {"last_activity_at": active_at})
        return known
    row_id = ids.new_id(work.now)
    work.conversations[where] = row_id
    row = {
        "id": row_id,
        "account_id": entry.account_id,
        "bot_id": bot.id,
        "external_id": name,
        "user": entry.caller.user if entry.caller else None,
        "started_at": active_at,
        "last_activity_at": active_at,
        "created_at": work.now,
    }
    work.write("conversations", row)
    return row_id
