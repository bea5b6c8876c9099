"""Decide one call under the locks of its batch, and hold what it reserves."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from accounts import ids
from accounts.errors import EstimateRequired, FieldError, UnknownReference
from policies.decision import (
    BlockView,
    Call,
    Decision,
    Reading,
    decide,
    with_default_hold,
)
from policies.decision import amount_of as amount_in
from policies.estimates import says
from policies.rules import UsageRule
from usage import counters
from usage.answers import (
    decision_body,
    decision_row,
    reading_body,
    reservation_body,
)
from usage.counters import Counter, Place
from usage.crossing import refused
from usage.entries import Answer, CallIn, ReservationInfo, parts_of
from usage.loading import replay
from usage.rulebook import BotInfo, Match
from usage.work import Entry, Work, stamp


def authorize(work: Work, entry: Entry, request: CallIn) -> None:
    """Answer one call: decide, hold if it reserves and may go ahead, remember."""
    if request.idempotency_key and _replayed(work, entry, request):
        return
    if not _conversation_known(work, entry, request):
        return
    amounts = _amounts(work, entry, request, request.estimate or {})
    costs, problems = _holds(work, entry, request, amounts)
    if problems:
        entry.fail(EstimateRequired(errors=problems))
        return
    found = [work.counters.get(place.id) for place in entry.places]
    readings = _readings(work, entry, costs, found)
    bot = entry.bot
    if bot is None or entry.caller is None:
        return
    decision = decide(
        call=Call(entry.caller, bot.state, amounts),
        readings=readings,
        blocks=_blocks(work, entry),
        unpriced=_unpriced(work, entry, costs),
        now=work.now,
    )
    reservation = None
    for index in decision.refusals:
        if readings[index].held > 0:
            work.refused_for_holds = True
    if request.reserve:
        if decision.allowed:
            reservation = _reserve(work, entry, bot, request, costs, amounts)
            _show_holds(work, entry, decision)
        else:
            _refuse(work, entry, decision, readings)
    _answer(work, entry, request, decision, amounts, reservation)


def _replayed(work: Work, entry: Entry, request: CallIn) -> bool:
    first = work.idempotent.get(entry.replay_name)
    if first is None:
        return False
    replay(entry, request, first)
    return True


def _conversation_known(work: Work, entry: Entry, request: CallIn) -> bool:
    """Whether a `cnv_` id that the call names is one of this bot's conversations."""
    if entry.conversation is None or entry.conversation["id"] is None:
        return True
    bot, name = entry.bot, request.conversation
    if bot and name and (entry.account_id, bot.id, name) in work.conversations:
        return True
    detail = "There is no such conversation."
    problem: FieldError = {"pointer": "/conversation", "detail": detail}
    entry.fail(UnknownReference(errors=[problem]))
    return False


def _amounts(
    work: Work, entry: Entry, request: CallIn, estimate: Mapping[str, int | None]
) -> dict[str, int | None]:
    """Fill an estimate: defaults of A2, the cost from the price list (A3)."""
    said: dict[str, int | None] = {"calls": 1, "messages": 0, **estimate}
    if said.get("tokens") is None:
        said["tokens"] = amount_in(said, "tokens")
    if "conversations" not in said:
        said["conversations"] = 1 if _is_new_conversation(work, entry) else 0
    if said.get("cost") is None:
        read, written = _priced_parts(said)
        said["cost"] = entry.book.prices.cost(
            model=request.model,
            tokens=said["tokens"],
            input_tokens=read,
            output_tokens=written,
            now=work.now,
        )
    return said


def _priced_parts(said: Mapping[str, int | None]) -> tuple[int | None, int | None]:
    """Input and output tokens to price; what only the whole says goes to the other."""
    read, written = said.get("input_tokens"), said.get("output_tokens")
    if read is not None and written is not None:
        return read, written
    return parts_of(said.get("tokens"), read, written)


def _is_new_conversation(work: Work, entry: Entry) -> bool:
    if entry.seen is None or (entry.conversation or {}).get("id") is not None:
        return False
    # One that a later event of this batch names first is still new to this call.
    seen = entry.seen in work.seen_conversations
    return not seen or entry.seen in work.new_conversations


Costs = dict[str, dict[str, int | None]]


def _holds(
    work: Work, entry: Entry, request: CallIn, amounts: dict[str, int | None]
) -> tuple[Costs, list[FieldError]]:
    """Return what the call costs by each policy, and what the estimate leaves out."""
    costs: Costs = {}
    problems: dict[str, FieldError] = {}
    for match in entry.matches:
        rule = match.rule
        said = amounts
        if request.reserve and rule.default_hold:
            estimate = with_default_hold(rule, request.estimate or {})
            said = _amounts(work, entry, request, estimate)
        costs[rule.policy_id] = said
        if request.reserve and match.enforced and match.held_metrics:
            for metric in _missing(match, request.estimate or {}, said):
                problems[metric] = {
                    "pointer": f"/estimate/{metric}",
                    "detail": f"{rule.name} needs an amount to hold.",
                }
    return costs, list(problems.values())


def _missing(
    match: Match, estimate: Mapping[str, int | None], filled: dict[str, int | None]
) -> list[str]:
    """The metrics that must be said; an unpriced model is refused, not asked for."""
    missing = []
    for metric in match.held_metrics:
        if metric == "cost":
            # If there are tokens but no price, `on_unpriced` answers that.
            unsaid = filled["cost"] is None and filled.get("tokens") is None
        else:
            unsaid = not says(estimate, metric)
        if unsaid:
            missing.append(metric)
    return missing


def _unpriced(work: Work, entry: Entry, costs: Costs) -> list[UsageRule]:
    """The cost policies for whose call no price is known (A3)."""
    rules = []
    for match in entry.matches:
        rule = match.rule
        if not match.has_cost or costs[rule.policy_id].get("cost") is not None:
            continue
        model = entry.caller.model if entry.caller else None
        unknown = model is not None and not entry.book.prices.knows(model, work.now)
        if unknown or costs[rule.policy_id].get("tokens") is not None:
            rules.append(rule)
    return rules


def _readings(
    work: Work, entry: Entry, costs: Costs, found: Sequence[Counter | None]
) -> list[Reading]:
    readings = []
    for place, counter in zip(entry.places, found, strict=True):
        limit, match = place.limit, place.match
        rule = match.rule
        # Tokens were made whole with the estimate, so every metric is simply there.
        cost = costs[rule.policy_id].get(limit.metric) or 0
        seen = counters.view(counter, limit, work.now)
        remaining = limit.threshold - seen.used - seen.held
        is_over = remaining <= 0 or cost > remaining
        readings.append(
            Reading(
                rule,
                limit,
                match.subject,
                seen.used,
                seen.held,
                seen.resets_at or place.end,
                _retry_at(place, counter, cost) if is_over else None,
                cost,
            )
        )
    return readings


def _retry_at(place: Place, counter: Counter | None, cost: int) -> Any:
    if counter is None or counter.kind not in ("fixed", "rolling"):
        fits = cost <= place.limit.threshold and place.limit.threshold > 0
        return place.end if fits else None
    return counters.retry_at(counter, place.limit, cost)


def _blocks(work: Work, entry: Entry) -> list[BlockView]:
    found: list[BlockView] = []
    if not work.blocks or entry.bot is None:
        return found
    for match in entry.matches:
        if match.cover is not None:
            # A block binds whom its policy binds now: shadow and percent included.
            for block in work.blocks.get(match.cover, ()):
                if block.enforced and not match.enforced:
                    found.append(_unenforced(block))
                else:
                    found.append(block)
    found += work.blocks.get(entry.bot.cover, ())
    return found


def _unenforced(block: BlockView) -> BlockView:
    return BlockView(
        block.id, block.policy_id, block.kind, False, block.ends_at, block.reason
    )


def _reserve(
    work: Work,
    entry: Entry,
    bot: BotInfo,
    request: CallIn,
    costs: Costs,
    amounts: dict[str, int | None],
) -> dict[str, Any]:
    """Hold the call's cost in every counter it falls in; return the row."""
    holds = []
    for place in entry.places:
        cost = costs[place.match.rule.policy_id].get(place.limit.metric) or 0
        if cost > 0:
            holds.append(_hold(work, place, cost))
    reservation_id = ids.new_id(work.now)
    info = ReservationInfo(
        reservation_id, bot.id, entry.project_id, request.user, request.model, holds
    )
    work.books.reservations[entry.account_id, reservation_id] = info
    return {
        "id": reservation_id,
        "account_id": entry.account_id,
        "bot_id": bot.id,
        "project_id": entry.project_id,
        "key_id": entry.item.key.id if entry.item.key else None,
        "user": request.user,
        "model": request.model,
        "amounts": _said([amounts, *costs.values()]),
        "holds": holds,
        "ttl_seconds": request.ttl_seconds,
        "created_at": work.now,
        "expires_at": work.now + timedelta(seconds=request.ttl_seconds),
        "idempotency_key": request.idempotency_key,
        "request_digest": request.request_digest,
        "answer": None,
    }


def _said(said: Sequence[Mapping[str, int | None]]) -> dict[str, int]:
    """The most that any policy holds of each metric: what an estimate amounts to."""
    most: dict[str, int] = {}
    # Without default holds it is the same estimate for all of them.
    for amounts in {id(amounts): amounts for amounts in said}.values():
        for metric, amount in amounts.items():
            if amount:
                most[metric] = max(most.get(metric, 0), amount)
    return most


def _hold(work: Work, place: Place, cost: int) -> dict[str, Any]:
    counter = work.counters[place.id]
    if counter.kind not in counters.HEAD_KINDS:
        counters.hold(counter, cost)
        return {**place.hold, "amount": cost}
    counter, closed = counters.open_window(counter, place.limit, work.now)
    if closed is not None:
        work.counters[closed.id] = closed
    counters.bring_forward(counter, place.limit, work.now)
    counters.hold(counter, cost)
    held = {**place.hold, "amount": cost}
    if counter.kind == "fixed" and counter.window_start is not None:
        start = counter.window_start
        closed_id = str(counters.closed_id(counter, start))
        held |= {"closed": closed_id, "start": stamp(start)}
    return held


def _show_holds(work: Work, entry: Entry, decision: Decision) -> None:
    """Show each reading as it stands with the new hold in it."""
    for shown, place in zip(decision.policies, entry.places, strict=True):
        seen = counters.view(work.counters.get(place.id), place.limit, work.now)
        shown.used, shown.held = seen.used, seen.held
        shown.remaining = max(0, shown.threshold - seen.used - seen.held)
        shown.resets_at = seen.resets_at or place.end


def _refuse(
    work: Work, entry: Entry, decision: Decision, readings: Sequence[Reading]
) -> None:
    for index in decision.refusals:
        reading, place = readings[index], entry.places[index]
        refused(work, entry, place, reading)


def _answer(
    work: Work,
    entry: Entry,
    request: CallIn,
    decision: Decision,
    amounts: dict[str, int | None],
    reservation: dict[str, Any] | None,
) -> None:
    decision_id = ids.new_id(work.now)
    shown = reservation_body(reservation) if reservation else None
    readings = [reading_body(reading) for reading in decision.policies]
    body = decision_body(entry, decision, decision_id, shown, readings, work.now)
    if reservation is not None:
        if request.idempotency_key:
            reservation["answer"] = body
            first = (request.request_digest or "", Answer(body=body, replayed=True))
            work.idempotent[entry.replay_name] = first
        work.write("reservations", reservation)
    if not request.dry_run:
        row = decision_row(
            work, entry, request, decision, decision_id, amounts, readings
        )
        if shown is not None:
            row["reservation_id"] = shown["id"]
        work.write("decisions", row)
    entry.answer = Answer(body=body)
