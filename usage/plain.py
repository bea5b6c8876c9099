"""Calls that nothing speaks against: most of them, and the answer is always the same.

Who asks `policies.decision.decide` gets the same answer: without a block, a finding, a
price that is missing, a bot that is stopped or a limit that the call is over there is
no reason to weigh, and the call may go ahead. What is left is to hold what the call
costs and to write the answer down, which is done here on prepared text. The first sign
of anything else leaves the call to `usage.authorizing`, untouched.
"""

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from accounts import ids
from policies.estimates import says
from policies.money import micros_to_cost
from usage.amounts import amounts_of
from usage.counters import BIG, Counter, Place
from usage.entries import Answer, CallIn, ReservationInfo, holding
from usage.plans import Plan
from usage.work import Entry, Work, stamp

Amounts = Mapping[str, int | None]
Found = list[tuple[Place, Counter | None, int]]

_encode = msgspec.json.Encoder().encode
_ENOUGH = "Within all limits"
_FREE = "No policy applies"


def answer_plainly(work: Work, entry: Entry, request: CallIn) -> bool:
    """Answer a call that nothing speaks against; False, and nothing done, if it may."""
    plan = entry.plan
    if plan is None or not plan.is_plain or plan.bot.state != "active":
        return False
    if request.idempotency_key or request.gate or entry.conversation is not None:
        return False
    if work.blocks and not _is_free(work, plan):
        return False
    amounts = amounts_of(work, entry, request, request.estimate or {})
    if request.reserve and not _says_all(plan, request, amounts):
        return False
    if plan.has_cost and amounts["cost"] is None:
        return False
    found = _fitting(work, plan, request, amounts)
    if found is None:
        return False
    _let_pass(work, entry, plan, request, amounts, found)
    return True


def _is_free(work: Work, plan: Plan) -> bool:
    covers = [match.cover for match in plan.matches if match.cover is not None]
    return not any(cover in work.blocks for cover in (*covers, plan.bot.cover))


def _says_all(plan: Plan, request: CallIn, amounts: Amounts) -> bool:
    said = request.estimate or {}
    for metric in plan.needs:
        if metric == "cost":
            if amounts["cost"] is None:
                return False
        elif not says(said, metric):
            return False
    # Big amounts have to be asked whether they fit into the columns.
    return all(amount is None or amount <= BIG for amount in amounts.values())


def _fitting(work: Work, plan: Plan, request: CallIn, amounts: Amounts) -> Found | None:
    """Return the counters with what the call costs there; None if it is over one."""
    counters = work.found
    found: Found = []
    for place in plan.places:
        counter = counters.get(id(place))
        cost = amounts.get(place.limit.metric) or 0
        if counter is None:
            if request.reserve:
                return None
            remaining = place.limit.threshold
        else:
            remaining = place.limit.threshold - counter.used - counter.held
        if remaining <= 0 or cost > remaining:
            return None
        found.append((place, counter, cost))
    return found


def _let_pass(
    work: Work,
    entry: Entry,
    plan: Plan,
    request: CallIn,
    amounts: Amounts,
    found: Found,
) -> None:
    reservation, shown, held = "null", "null", ""
    if request.reserve:
        reservation, shown = _reserve(work, entry, plan, request, amounts, found)
        held = f',"reservation_id":{reservation}'
    readings = _readings(found)
    decision_id = work.new_id()
    said = (
        f'"allowed":true,"decision":"allow","reason_code":"ok",'
        f'"message":"{_ENOUGH if found else _FREE}","enforced":true,'
        f'"rollout_mode":null,"policy_id":null,{plan.who},'
    )
    entry.answer = Answer(
        f'{{"id":"{ids.encode_id("dec", decision_id)}",{said}'
        '"triggered_categories":[],"allowlist_hits":[],"denylist_hits":[],'
        f'"retry_after":null,"created_at":"{stamp(work.now)}","reservation":{shown},'
        f'"policies":[{"},".join(readings)}{"}" if readings else ""}]}}'.encode()
    )
    if request.dry_run:
        return
    key = entry.item.key
    kept = ",".join(
        [r + place[0].kept for r, place in zip(readings, found, strict=True)]
    )
    if work.witness is None:
        work.witness = ("decisions", decision_id)
    work.write_text(
        "decisions",
        f'{{"id":"{decision_id}","account_id":"{entry.book.name}",'
        f'"sequence":{work.next_sequence()},"kind":"{request.kind}",'
        f'"key_id":"{key.public_id if key else ""}",{said}'
        f'"estimate":{_sums(amounts)},'
        f'"subject":{{{plan.subject},"reserve":{_word(request.reserve)}}},'
        f'"policies":[{kept}],"created_at":"{stamp(work.now)}"{held}}}',
    )


def _reserve(
    work: Work,
    entry: Entry,
    plan: Plan,
    request: CallIn,
    amounts: Amounts,
    found: Found,
) -> tuple[str, str]:
    """Hold what the call costs; return the reservation's id and body as JSON."""
    holds: list[str | int] = []
    for place, counter, cost in found:
        if cost > 0 and counter is not None:
            counter.held += cost
            counter.dirty = True
            holds += place.held, cost
    parts = tuple(holds)
    row_id, bot, key = work.new_id(), plan.bot, entry.item.key
    work.books.reservations[entry.account_id, row_id] = ReservationInfo(
        row_id, bot.id, bot.project_id, request.user, request.model, parts
    )
    seconds = request.ttl_seconds
    expires = stamp(work.now + timedelta(seconds=seconds))
    work.write_text(
        "reservations",
        f'{{"id":"{row_id}",{plan.owner}{plan.asked},'
        f'"key_id":{key.quoted if key else "null"},"amounts":{_sums(amounts, least=1)},'
        f'"holds":{holding(parts)},"ttl_seconds":{seconds},"created_at":"{stamp(work.now)}",'
        f'"expires_at":"{expires}","dispatched":false}}',
    )
    name = f'"{ids.encode_id("res", row_id)}"'
    told = f'"state":"open","expires_at":"{expires}","ttl_seconds":{seconds}'
    return name, f'{{"id":{name},{told}}}'


def _readings(found: Found) -> list[str]:
    """Return each place's reading as it stands, as JSON that is still to be closed."""
    readings = []
    for place, counter, _ in found:
        used, held = (counter.used, counter.held) if counter else (0, 0)
        remaining = place.limit.threshold - used - held
        if place.limit.metric == "cost":
            figures = (
                f',"used":"{micros_to_cost(used)}","held":"{micros_to_cost(held)}",'
                f'"remaining":"{micros_to_cost(remaining)}"'
            )
        else:
            figures = f',"used":{used},"held":{held},"remaining":{remaining}'
        readings.append(f"{place.shown}{figures}{place.passed}")
    return readings


def _sums(amounts: Amounts, least: int = 0) -> str:
    said = {n: v for n, v in amounts.items() if v is not None and v >= least}
    return _encode(said).decode()


def _word(value: bool) -> str:
    return "true" if value else "false"
