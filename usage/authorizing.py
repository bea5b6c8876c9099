"""Decide one call under the locks of its batch, and hold what it reserves."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from accounts import ids
from accounts.errors import CounterFull, EstimateRequired, FieldError, UnknownReference
from policies.decision import (
    BlockView,
    Call,
    Decision,
    Reading,
    decide,
    with_default_hold,
)
from policies.estimates import says
from policies.rules import UsageRule
from usage import counters
from usage.amounts import amounts_of
from usage.answers import (
    decision_body,
    decision_row,
    encoded_readings,
    reservation_body,
)
from usage.assuming import assumes, bounded, charged_at_expiry, shrunk
from usage.counters import Counter, Place
from usage.crossing import refused
from usage.entries import Answer, CallIn, Gate, ReservationInfo, RulesChanged
from usage.loading import replay
from usage.recording import priced_as
from usage.rulebook import BotInfo, Match
from usage.work import Entry, Work, stamp

_encode = msgspec.json.Encoder().encode


def authorize(work: Work, entry: Entry, request: CallIn) -> None:
    """Answer one call: decide, hold if it reserves and may go ahead, remember."""
    if request.idempotency_key and _replayed(work, entry, request):
        return
    if _is_outdated(entry, request.gate):
        entry.fail(RulesChanged())
        return
    if not _conversation_known(work, entry, request):
        return
    amounts = amounts_of(work, entry, request, _estimate(request))
    costs, problems = _holds(work, entry, request, amounts)
    if problems:
        entry.fail(EstimateRequired(errors=problems))
        return
    if request.reserve and work.is_full(entry, amounts):
        entry.fail(CounterFull())
        return
    found = [work.counters.get(place.id) for place in entry.places]
    amounts_held = _held(work, entry, request, costs, found)
    readings = _readings(work, entry, amounts_held, found)
    bot = entry.bot
    if bot is None or entry.caller is None:
        return
    decision = decide(
        call=Call(entry.caller, bot.state, amounts),
        readings=readings,
        blocks=_blocks(work, entry),
        unpriced=_unpriced(work, entry, request, costs),
        findings=request.gate.findings if request.gate else (),
        now=work.now,
    )
    reservation = None
    for index in decision.refusals:
        if readings[index].held > 0:
            work.refused_for_holds = True
    if request.reserve:
        if decision.allowed:
            if assumes(request.gate):
                said = _expected(work, entry, request, amounts_held)
            else:
                said = _said(amounts, costs)
            reservation = _reserve(work, entry, bot, request, amounts_held, said, found)
            _show_holds(work, entry, decision, found)
        else:
            _refuse(work, entry, decision, readings)
    _answer(work, entry, request, decision, amounts, reservation)


def _is_outdated(entry: Entry, gate: Gate | None) -> bool:
    return gate is not None and gate.version not in (None, entry.book.version)


def _estimate(request: CallIn, assumed: int = 0) -> Mapping[str, int | None]:
    said = request.estimate or {}
    return bounded(said, assumed) if assumes(request.gate) else said


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
            if assumes(request.gate):
                estimate = bounded(estimate, 0)
            said = amounts_of(work, entry, request, estimate)
        costs[rule.policy_id] = said
        if request.reserve and match.enforced and match.held_metrics:
            for metric in _missing(match, _estimate(request), said):
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


def _held(
    work: Work,
    entry: Entry,
    request: CallIn,
    costs: Costs,
    found: Sequence[Counter | None],
) -> list[int]:
    """Return what the call costs by each limit, its unbounded answer assumed."""
    if not assumes(request.gate):
        # Tokens were made whole with the estimate, so every metric is simply there.
        return [
            costs[place.match.rule.policy_id].get(place.limit.metric) or 0
            for place in entry.places
        ]
    assumed = request.gate.assumed_output if request.gate else 0
    usual = amounts_of(work, entry, request, _estimate(request, assumed))
    held = []
    for place, counter in zip(entry.places, found, strict=True):
        rule, metric = place.match.rule, place.limit.metric
        most = usual
        if rule.default_hold:
            own = bounded(with_default_hold(rule, request.estimate or {}), assumed)
            most = amounts_of(work, entry, request, own)
        seen = counters.view(counter, place.limit, work.now)
        low = costs[rule.policy_id].get(metric) or 0
        remaining = place.limit.threshold - seen.used - seen.held
        held.append(shrunk(low, max(low, most.get(metric) or 0), remaining))
    return held


def _expected(
    work: Work, entry: Entry, request: CallIn, held: Sequence[int]
) -> dict[str, int]:
    assumed = request.gate.assumed_output if request.gate else 0
    most = amounts_of(work, entry, request, _estimate(request, assumed))
    by_metric: dict[str, int] = {}
    for place, amount in zip(entry.places, held, strict=True):
        metric = place.limit.metric
        by_metric[metric] = max(by_metric.get(metric, 0), amount)
    return charged_at_expiry(most, by_metric)


def _unpriced(
    work: Work, entry: Entry, request: CallIn, costs: Costs
) -> list[UsageRule]:
    """The cost policies for whose call no price is known (A3)."""
    rules = []
    for match in entry.matches:
        rule = match.rule
        if not match.has_cost or costs[rule.policy_id].get("cost") is not None:
            continue
        model = priced_as(work, entry, request)
        unknown = model is not None and not entry.book.prices.knows(model, work.now)
        if unknown or costs[rule.policy_id].get("tokens") is not None:
            rules.append(rule)
    return rules


def _readings(
    work: Work,
    entry: Entry,
    costs: Sequence[int],
    found: Sequence[Counter | None],
) -> list[Reading]:
    readings = []
    for place, counter, cost in zip(entry.places, found, costs, strict=True):
        limit, match = place.limit, place.match
        rule = match.rule
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
    costs: Sequence[int],
    said: dict[str, int],
    found: Sequence[Counter | None],
) -> dict[str, Any]:
    """Hold the call's cost in every counter it falls in; return the row."""
    holds = []
    for place, cost, counter in zip(entry.places, costs, found, strict=True):
        if cost > 0 and counter is not None:
            holds.append(_hold(work, place, counter, cost))
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
        "amounts": said,
        "holds": holds,
        "ttl_seconds": request.ttl_seconds,
        "created_at": work.now,
        "expires_at": work.now + timedelta(seconds=request.ttl_seconds),
        # Only the gateway reserves and calls the upstream in one go (B7).
        "dispatched": request.gate is not None,
        "idempotency_key": request.idempotency_key,
        "request_digest": request.request_digest,
        "answer": None,
    }


def _said(amounts: Mapping[str, int | None], costs: Costs) -> dict[str, int]:
    """The most that any policy holds of each metric: what an estimate amounts to."""
    most = {metric: amount for metric, amount in amounts.items() if amount}
    for own in costs.values():
        # Without default holds it is the same estimate for all of them.
        if own is not amounts:
            for metric, amount in own.items():
                if amount:
                    most[metric] = max(most.get(metric, 0), amount)
    return most


def _hold(work: Work, place: Place, counter: Counter, cost: int) -> dict[str, Any]:
    if counter.kind not in counters.HEAD_KINDS:
        counters.hold(counter, cost)
        return {**place.hold, "amount": cost}
    counter, closed = counters.open_window(counter, place.limit, work.now)
    if closed is not None:
        # A late event behind this call in its batch may belong there.
        work.counters[closed.id] = closed
        work.closed.setdefault(counter.id, []).append(closed)
    counters.bring_forward(counter, place.limit, work.now)
    counters.hold(counter, cost)
    held = {**place.hold, "amount": cost}
    if counter.kind == "fixed" and counter.window_start is not None:
        start = counter.window_start
        closed_id = str(counters.closed_id(counter, start))
        held |= {"closed": closed_id, "start": stamp(start)}
    return held


def _show_holds(
    work: Work, entry: Entry, decision: Decision, found: Sequence[Counter | None]
) -> None:
    """Show each reading as it stands with the new hold in it."""
    told = zip(decision.policies, entry.places, found, strict=True)
    for shown, place, counter in told:
        if counter is None:
            continue
        if counter.kind in counters.HEAD_KINDS:
            seen = counters.view(counter, place.limit, work.now)
            shown.used, shown.held = seen.used, seen.held
            shown.resets_at = seen.resets_at
        else:
            shown.held = counter.held
        shown.remaining = max(0, shown.threshold - shown.used - shown.held)


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
    readings = encoded_readings(entry, decision)
    body = decision_body(entry, decision, decision_id, shown, readings, work.now)
    raw = _encode(body)
    if reservation is not None:
        if request.idempotency_key:
            reservation["answer"] = msgspec.Raw(raw)
            first = (request.request_digest or "", Answer(raw, replayed=True))
            work.idempotent[entry.replay_name] = first
        work.write("reservations", reservation)
    if not request.dry_run:
        row = decision_row(
            work, entry, request, decision, decision_id, amounts, readings
        )
        if shown is not None:
            row["reservation_id"] = shown["id"]
        work.write("decisions", row)
    entry.answer = Answer(raw, retry_after=body["retry_after"])
