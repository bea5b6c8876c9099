"""Replay what happened under other rules, in memory: nothing is read or written.

Each recorded call, event and end of a hold goes, in its order, through the very
functions of the ledger (`authorize`, `record`) on counters that live here only. So a
simulation decides as the ledger does, because it is the ledger that decides.

What is replayed counts as it did: usage that was recorded is counted, also past a cap
(CONTRACT B8). Only what a refused reservation led to is left out, for it would not
have happened. A bot without a decision so far is taken to ask before each event.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from policies.covers import cover_of_bot
from policies.decision import BlockView
from policies.matching import Caller
from policies.rules import UsageRule
from usage import counters
from usage.authorizing import authorize
from usage.counters import Counter, Place, new_counter, place_of
from usage.entries import CallIn, EventIn, Item, ReservationInfo
from usage.pricing import PriceList
from usage.recording import held_counter, record
from usage.rulebook import Book, BotInfo, LiveRule, Rulebooks
from usage.work import Entry, Reserved, Work

_FULL = 100
_FIRES_KEPT = 100
_LOOK_EVERY = 64
_CLOCK_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that was decided on. `reservation` is what it was granted, if any."""

    moment: datetime
    caller: Caller
    bot: UUID
    amounts: Mapping[str, int | None]
    reserve: bool = False
    reservation: str | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """A usage event, or several alike. `asks` says that it is decided on first.

    `occurred_at` is None for what happened as it was recorded.
    """

    moment: datetime
    caller: Caller
    bot: UUID
    amounts: Mapping[str, int | None]
    occurred_at: datetime | None = None
    reservation: str | None = None
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A reservation that was released, or whose time was over."""

    moment: datetime
    reservation: str
    state: str


Happening = Ask | Used | Ended


@dataclass(slots=True)
class Tally:
    """Calls, and what they were to use; cost in micro-USD."""

    calls: int = 0
    tokens: int = 0
    cost: int = 0

    def add(self, amounts: Mapping[str, int | None]) -> None:
        """Count a call in."""
        self.calls += amounts.get("calls") or 0
        self.tokens += amounts.get("tokens") or 0
        self.cost += amounts.get("cost") or 0


@dataclass(frozen=True, slots=True)
class Fire:
    """A limit that was reached: when, which, for whom."""

    at: datetime
    metric: str
    threshold: int
    subject: Sequence[Sequence[str | None]]
    window_start: datetime | None


@dataclass(slots=True)
class Outcome:
    """What a rule would have done.

    `fired` counts reached limits, once a counter and window; the first 100 are kept in
    `fires`. `calls` are all that it would have decided on, `warned` those that it lets
    pass though they are over. `refused` is what it stops, by bot and by user too.
    `unestimated` calls would have had to say an estimate. `decided` maps the id of each
    recorded decision to whether its call would have been allowed, if that is asked for.
    """

    fired: int = 0
    fires: list[Fire] = field(default_factory=list)
    calls: Tally = field(default_factory=Tally)
    refused: Tally = field(default_factory=Tally)
    warned: int = 0
    unestimated: int = 0
    first_refused_at: datetime | None = None
    by_bot: dict[str, Tally] = field(default_factory=dict)
    by_user: dict[str | None, Tally] = field(default_factory=dict)
    decided: dict[str, bool] = field(default_factory=dict)
    until: datetime | None = None
    finished: bool = True


class _Unpriced(PriceList):
    """Costs are those that were recorded; none is worked out anew."""

    def __init__(self) -> None:
        super().__init__(())

    def cost(self, **said: Any) -> int | None:
        return None

    def knows(self, model: str | None, now: datetime) -> bool:
        return False


def replay(
    *,
    account: UUID,
    policy: UUID,
    rule: UsageRule,
    happenings: Iterable[Happening],
    since: datetime,
    out_of_time: Callable[[], bool],
    keep_decisions: bool = False,
) -> Outcome:
    """Say what a rule would have done to what happened, in the order given.

    What lies before `since` fills the windows and is not told of. Stops, unfinished,
    when `out_of_time` says so; `until` is how far it came.
    """
    world = _World(account, policy, rule, since, keep_decisions=keep_decisions)
    for number, happening in enumerate(happenings):
        if number % _LOOK_EVERY == 0 and out_of_time():
            world.outcome.finished = False
            break
        world.live(happening)
    return world.outcome


class _World:
    """The counters, holds and blocks of one rule, and what it did so far."""

    def __init__(
        self,
        account: UUID,
        policy: UUID,
        rule: UsageRule,
        since: datetime,
        *,
        keep_decisions: bool,
    ) -> None:
        self.outcome = Outcome()
        self.since, self.keep_decisions = since, keep_decisions
        self.account, self.books = account, Rulebooks()
        self.book = Book(account_id=account, version=0, prices=_Unpriced())
        self.book.rules.append(LiveRule(policy, None, rule))
        self.counters: dict[UUID, Counter] = {}
        self.closed: dict[UUID, list[Counter]] = {}
        self.blocks: dict[UUID, list[BlockView]] = {}
        self.holds: dict[str, Reserved] = {}
        self.refused: set[str] = set()
        self.bots: dict[tuple[UUID, str | None], BotInfo] = {}

    def live(self, happening: Happening) -> None:
        """Let one thing happen."""
        now = happening.moment
        self.outcome.until = now
        self._end_blocks(now)
        if isinstance(happening, Ask):
            if self.book.matches(happening.caller):
                self._ask(happening)
        elif isinstance(happening, Used):
            self._use(happening)
        else:
            self._end(happening)

    def _ask(self, ask: Ask) -> None:
        work = self._work(ask.moment)
        request = CallIn(
            bot=ask.caller.bot,
            estimate={m: n for m, n in ask.amounts.items() if n is not None},
            reserve=ask.reserve,
        )
        entry = self._entry(work, ask, request, opens=ask.reserve)
        authorize(work, entry, request)
        body = getattr(entry.answer, "body", None)
        if body is None:
            self.outcome.unestimated += ask.moment >= self.since
            return
        if not body["allowed"] and ask.reservation is not None:
            self.refused.add(ask.reservation)
        for row in work.rows.get("reservations", ()):
            self.holds[ask.reservation or ask.id] = _reserved(self.account, row)
        if self.keep_decisions:
            self.outcome.decided[ask.id] = body["allowed"]
        self._judge(work, ask, body)

    def _use(self, used: Used) -> None:
        if used.reservation in self.refused:
            return
        if not self.book.matches(used.caller):
            return
        if used.asks:
            self._ask_first(used)
        work = self._work(used.moment)
        request = EventIn(bot=used.caller.bot, occurred_at=used.occurred_at)
        entry = self._entry(work, used, request, opens=True)
        entry.amounts = dict(used.amounts)
        reserved = self.holds.get(used.reservation or "")
        if reserved is not None:
            request.reservation = used.reservation
            work.reservations[reserved.id] = reserved
            entry.reservation_id = reserved.id
            entry.reserved = ReservationInfo(
                reserved.id, reserved.bot_id, None, None, None, reserved.holds
            )
        self._find_closed(entry, used)
        entry.event_id = reserved.id if reserved else self.account
        record(work, entry, request)
        self._note_fires(work, used.moment)

    def _ask_first(self, used: Used) -> None:
        """Decide on one of the calls that an event stands for."""
        work = self._work(used.moment)
        calls = max(used.amounts.get("calls") or 1, 1)
        each = {m: -(-n // calls) for m, n in used.amounts.items() if n is not None}
        request = CallIn(bot=used.caller.bot, estimate=each, dry_run=True)
        entry = self._entry(work, used, request, opens=False)
        authorize(work, entry, request)
        body = getattr(entry.answer, "body", None)
        if body is not None:
            self._judge(work, used, body)

    def _end(self, ended: Ended) -> None:
        reserved = self.holds.get(ended.reservation)
        if reserved is None or reserved.state != "open":
            return
        work = self._work(ended.moment)
        for held in reserved.holds:
            counter = held_counter(work, held)
            if counter is not None:
                counters.hold(counter, -held["amount"])
        reserved.state, reserved.ended_at = ended.state, ended.moment

    def _judge(self, work: Work, call: Ask | Used, body: Mapping[str, Any]) -> None:
        self._note_fires(work, call.moment)
        if call.moment < self.since:
            return
        outcome = self.outcome
        outcome.calls.add(call.amounts)
        if body["allowed"]:
            outcome.warned += any(each["exceeded"] for each in body["policies"])
            return
        if outcome.first_refused_at is None:
            outcome.first_refused_at = call.moment
        caller = call.caller
        outcome.refused.add(call.amounts)
        outcome.by_bot.setdefault(caller.bot, Tally()).add(call.amounts)
        outcome.by_user.setdefault(caller.user, Tally()).add(call.amounts)

    def _note_fires(self, work: Work, moment: datetime) -> None:
        for row in work.rows.get("alerts", ()):
            if row["step"] != _FULL or moment < self.since:
                continue
            self.outcome.fired += 1
            if len(self.outcome.fires) < _FIRES_KEPT:
                fire = Fire(
                    moment,
                    row["metric"],
                    row["threshold"],
                    row["subject"],
                    row["window_start"],
                )
                self.outcome.fires.append(fire)

    def _work(self, now: datetime) -> Work:
        work = Work(now=now, books=self.books)
        work.counters, work.closed = self.counters, self.closed
        work.blocks = self.blocks
        return work

    def _entry(
        self, work: Work, call: Ask | Used, request: CallIn | EventIn, *, opens: bool
    ) -> Entry:
        caller = call.caller
        bot = self._bot(call.bot, caller)
        entry = Entry(Item(self.account, [request]), request, self.book, bot, caller)
        entry.matches = self.book.matches(caller)
        told = getattr(call, "occurred_at", None)
        entry.moment = (told or work.now).astimezone(UTC)
        entry.places = [
            place_of(match, limit, entry.moment)
            for match in entry.matches
            for limit in match.rule.limits
        ]
        for place in entry.places if opens else ():
            self._open(place, work.now)
        return entry

    def _open(self, place: Place, now: datetime) -> None:
        if place.id not in self.counters:
            self.counters[place.id] = new_counter(place, self.account, now)

    def _find_closed(self, entry: Entry, used: Used) -> None:
        """Windows that are over are found, where an event tells an earlier time."""
        if used.occurred_at is None:
            return
        for place in entry.places:
            head = self.counters[place.id]
            if entry.moment is None or not counters.is_late(head, entry.moment):
                continue
            self.closed[head.id] = [
                row
                for row in self.counters.values()
                if (row.limit_key, row.subject_key, row.is_head)
                == (head.limit_key, head.subject_key, False)
            ]

    def _bot(self, key: UUID, caller: Caller) -> BotInfo:
        known = self.bots.get((key, caller.project))
        if known is None:
            cover = cover_of_bot(key)
            known = BotInfo(
                key, caller.bot, None, caller.bot, None, None, "active", cover
            )
            self.bots[key, caller.project] = known
        return known

    def _end_blocks(self, now: datetime) -> None:
        if not self.blocks:
            return
        for cover, blocks in list(self.blocks.items()):
            left = [b for b in blocks if b.ends_at is None or b.ends_at > now]
            if left:
                self.blocks[cover] = left
            else:
                del self.blocks[cover]


def _reserved(account: UUID, row: Mapping[str, Any]) -> Reserved:
    return Reserved(
        id=row["id"],
        account_id=account,
        bot_id=row["bot_id"],
        user=row["user"],
        model=row["model"],
        state="open",
        amounts=row["amounts"],
        holds=row["holds"],
        ttl_seconds=row["ttl_seconds"],
        # When it ends is told by the history, not by a clock.
        expires_at=datetime.max.replace(tzinfo=UTC) - _CLOCK_TICK,
        dispatched=False,
        event_id=None,
    )
