"""What is the same for all calls of one bot, user and model, worked out once a window.

A plan belongs to a book, so it goes when an edit makes the book stale (CONTRACT C9).
It holds what `usage.loading` would otherwise find again for each call: the bot, the
policies, the counters of the current windows; and, for plain calls, the parts of the
answer that do not change.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from sys import intern
from typing import Any

import msgspec

from policies.matching import Caller, effective_user
from usage.counters import Place, place_of
from usage.entries import CallerKey, CallIn, EventIn
from usage.rulebook import Book, BotInfo, Match

_KEPT = 5_000
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True, eq=False)
class Plan:
    """Who calls, and where it counts from `start` until `end`. Nobody changes one.

    `is_plain` says that each place has a row of its own whose window is known, and that
    no policy has a hold of its own. `needs` are the metrics that a reserving call has
    to say; `has_cost` says that some policy limits cost. `who` and `subject` are parts
    of the JSON of answers and records.
    """

    bot: BotInfo
    caller: Caller
    matches: tuple[Match, ...]
    places: list[Place]
    start: datetime
    end: datetime
    is_plain: bool
    needs: tuple[str, ...]
    has_cost: bool
    who: str
    subject: str
    owner: str
    asked: str
    user: str


def plan_for(
    book: Book, request: CallIn | EventIn, key: CallerKey | None, now: datetime
) -> Plan | None:
    """Return the plan of a call or event of now; None if its key is bound to less.

    A bot that the book does not know has none either.
    """
    if key is not None and (key.project_id is not None or key.bot_id is not None):
        return None
    plans: dict[tuple[str, str | None, str | None], Plan] = book.plans
    plan = plans.get((request.bot, request.user, request.model))
    if plan is None or not plan.start <= now < plan.end:
        bot = book.bots.get(request.bot)
        if bot is None:
            return None
        if len(plans) >= _KEPT:
            plans.clear()
            book.owners.clear()
        plan = _plan(book, bot, request, now)
        # Thousands are kept: what they are called by is theirs already, mostly.
        name = bot.public_id if request.bot == bot.public_id else request.bot
        plans[name, request.user, plan.caller.model] = plan
    return plan


def _plan(book: Book, bot: BotInfo, request: CallIn | EventIn, now: datetime) -> Plan:
    caller = Caller(
        project=bot.project,
        bot=bot.public_id,
        user=effective_user(request.user, bot.owner),
        model=None if request.model is None else intern(request.model),
    )
    found = book.matches(caller)
    places = [place_of(m, limit, now) for m in found for limit in m.rule.limits]
    bounds = [place.bounds for place in places if place.bounds is not None]
    holds_alone = not any(match.rule.default_hold for match in found)
    enforced = [match for match in found if match.enforced]
    project, user = _text(caller.project), _text(caller.user)
    model = _text(caller.model)
    owner = (
        f'"account_id":"{book.account_id}","bot_id":"{bot.id}",'
        f'"project_id":{_text(bot.project_id)},"model":{model},"user":'
    )
    named_itself = request.user == caller.user
    return Plan(
        bot=bot,
        caller=caller,
        matches=found,
        places=places,
        start=max((b.start for b in bounds), default=_FIRST),
        end=min((b.end for b in bounds if b.end is not None), default=_LAST),
        is_plain=holds_alone and len(bounds) == len(places),
        needs=tuple({name: None for m in enforced for name in m.held_metrics}),
        has_cost=any(match.has_cost for match in found),
        who=f'"policy_target":"{bot.public_id}","policy_user":{user},'
        f'"policy_project_id":{project},"model":{model}',
        subject=f'"project":{project},"bot":"{bot.public_id}","user":{user},'
        f'"model":{model}',
        owner=book.owners.setdefault(owner, owner),
        asked=user if named_itself else _text(request.user),
        user=user,
    )


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
