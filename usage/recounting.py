"""Add up again what an account's counters were made of, event by event (A7).

Nothing is taken from the counters but their keys and windows. Which events counted
where follows from the policy's revisions: a limit counts while a revision that is not
`off` has it; and a settle charges the counters that its hold sits on.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from accounts import ids
from accounts.models import Account
from policies.matching import Caller, effective_user
from policies.models import Policy, PolicyRevision
from policies.rules import Limit, usage_rule
from usage import windows
from usage.counters import closed_window, new_counter, place_of
from usage.entries import AMOUNTS
from usage.models import Adjustment, Counter, Reservation, UsageEvent
from usage.rulebook import Book, LiveRule, Match

# An event and an edit read their clocks before they take the account's lock.
_SLACK = timedelta(seconds=15)
# And so do two batches that count in one window: one that waits for the other, or for
# a database that starts again, counts long after its moment.
_SKEW = timedelta(seconds=15)
_COLUMNS = (
    *("id", "account_id", "policy_id", "limit_key", "metric", "kind", "is_head"),
    *("subject", "subject_key", "window_start", "window_end", "ring", "ring_head"),
)
_NEVER = datetime.max.replace(tzinfo=UTC)
_PRUNED = """SELECT r.hour FROM (SELECT date_trunc('hour', hour, 'UTC') AS hour,
sum(events) AS events
FROM usage_hourlyrollup WHERE account_id = %(account)s GROUP BY 1) AS r
LEFT JOIN (SELECT date_trunc('hour', occurred_at, 'UTC') AS hour, count(*) AS events
FROM usage_usageevent WHERE account_id = %(account)s GROUP BY 1) AS e USING (hour)
WHERE r.events > coalesce(e.events, 0)
UNION SELECT date_trunc('hour', occurred_at, 'UTC') FROM usage_usageevent
WHERE account_id = %(account)s AND "user" LIKE 'erased\\_%%' ORDER BY 1"""

Amounts = Mapping[str, int | None]


class _Reserved(NamedTuple):
    """What was held for whom, and the event that settled it."""

    event_id: UUID | None
    holds: list[dict[str, Any]]
    caller: Caller
    at: datetime


@dataclass(slots=True)
class Recount:
    """The sums of one account, by counter.

    `buckets` are those of rolling windows. `pruned` are the hours of which the rollups
    know more events than there are, or whose events lost their user to an erasure. A
    counter is doubtful if an event within seconds of an edit may or may not have
    counted in it, and all are if a reservation is gone.
    """

    used: dict[UUID, int] = field(default_factory=lambda: defaultdict(int))
    held: dict[UUID, int] = field(default_factory=lambda: defaultdict(int))
    buckets: dict[UUID, dict[int, int]] = field(default_factory=dict)
    doubtful: set[UUID] = field(default_factory=set)
    lost: set[UUID] = field(default_factory=set)
    all_doubtful: bool = False
    pruned: list[datetime] = field(default_factory=list)


def recount(account: Account, counters: dict[UUID, Counter]) -> Recount:
    """Add up what these counters, all that the account has, should say.

    Puts those that are lost among them.
    """
    return _Recounting(account, counters).count()


class _History:
    """Which rules an account had when: one book for each stretch between edits."""

    def __init__(self, account: Account) -> None:
        usage = Policy.objects.filter(account=account, type=Policy.Type.USAGE)
        moments: list[tuple[datetime, UUID, LiveRule | None]] = [
            (policy.archived_at, policy.id, None)
            for policy in usage
            if policy.archived_at is not None
        ]
        revisions = PolicyRevision.objects.filter(policy__in=usage)
        for revision in revisions.order_by("policy_id", "number"):
            live = _live(revision)
            moments.append((revision.created_at, revision.policy_id, live))
        moments.sort(key=lambda moment: moment[0])
        self.times: list[datetime] = []
        self.books = [Book(account_id=account.id, version=0)]
        rules: dict[UUID, LiveRule] = {}
        for number, (moment, policy_id, rule) in enumerate(moments, start=1):
            rules.pop(policy_id, None)
            if rule is not None:
                rules[policy_id] = rule
            book = Book(account_id=account.id, version=number)
            book.rules = list(rules.values())
            self.times.append(moment)
            self.books.append(book)

    def books_around(self, moment: datetime) -> tuple[Book, Sequence[Book]]:
        """Return a moment's book, and those it could be by another clock."""
        first = bisect_right(self.times, moment - _SLACK)
        last = bisect_right(self.times, moment + _SLACK)
        book = self.books[bisect_right(self.times, moment)]
        return book, self.books[first : last + 1]


def _live(revision: PolicyRevision) -> LiveRule | None:
    if revision.document["rollout_mode"] == Policy.Rollout.OFF:
        return None
    rule = usage_rule(
        policy_id=ids.encode_id("pol", revision.policy_id),
        revision=revision.number,
        document=revision.document,
    )
    return LiveRule(revision.policy_id, None, rule)


class _Recounting:
    """Goes through everything that an account's counters were made of, once."""

    def __init__(self, account: Account, counters: dict[UUID, Counter]) -> None:
        self.account = account
        self.counters = counters
        self.sums = Recount()
        self.history = _History(account)
        self.widths: dict[str, int] = {}
        self.fixed: dict[tuple[UUID, str, str], list[Counter]] = defaultdict(list)
        for counter in counters.values():
            if counter.kind == "fixed":
                key = (counter.policy_id, counter.limit_key, counter.subject_key)
                self.fixed[key].append(counter)
        for chain in self.fixed.values():
            chain.sort(key=_start)
        # By chain of fixed windows: the latest that an event was found to count in.
        self.opened: dict[tuple[UUID, str, str], datetime] = {}
        self.emptied: dict[UUID, datetime] = {}
        for book in self.history.books:
            for live in book.rules:
                for limit in live.rule.limits:
                    if limit.window.kind == "rolling":
                        width = windows.bucket_width(limit.window.seconds or 0)
                        self.widths[limit.key] = width

    def count(self) -> Recount:
        """Return the sums."""
        with connection.cursor() as cursor:
            cursor.execute(_PRUNED, {"account": self.account.id})
            self.sums.pruned = [row[0] for row in cursor.fetchall()]
        self._adjustments()
        settled = self._reservations()
        events = UsageEvent.objects.filter(account=self.account)
        # In the order in which batches had the counters' locks.
        events = events.order_by("sequence")
        for event in events.iterator(chunk_size=5_000):
            self._event(event, settled)
        return self.sums

    def _adjustments(self) -> None:
        rows = Adjustment.objects.filter(account=self.account)
        for row in rows.order_by("created_at", "id"):
            counter = self._of_window(row.counter, row.window_start)
            # Of one that is lost it is the key that it will be made again under.
            key = row.counter if counter is None else counter.id
            self.sums.used[key] += row.amount
            self.emptied[key] = row.created_at

    def _of_window(self, counter_id: UUID, start: datetime | None) -> Counter | None:
        """Return the row that keeps a window of this counter now."""
        counter = self.counters.get(counter_id)
        if counter is None or counter.kind != "fixed" or start is None:
            return counter
        key = (counter.policy_id, counter.limit_key, counter.subject_key)
        for row in self.fixed[key]:
            if row.window_start == start:
                return row
        return None

    def _reservations(self) -> dict[UUID, _Reserved]:
        """Add up the open holds; return what each reservation holds."""
        known: dict[UUID, _Reserved] = {}
        owners = dict(self.account.bots.values_list("id", "owner"))
        for row in Reservation.objects.filter(account=self.account).iterator(5_000):
            user = effective_user(row.user, owners.get(row.bot_id))
            caller = _caller(row.project_id, row.bot_id, user, row.model)
            reserved = _Reserved(row.event_id, row.holds, caller, row.created_at)
            known[row.id] = reserved
            for held in row.holds if row.state == Reservation.State.OPEN else ():
                counter = self._held(held, reserved)
                if counter is not None:
                    self.sums.held[counter.id] += held["amount"]
        return known

    def _held(self, held: dict[str, Any], reserved: _Reserved) -> Counter | None:
        start = held["start"]
        moment = datetime.fromisoformat(start) if start else None
        found = self._of_window(UUID(held["counter"]), moment)
        if found is not None:
            return found
        book, _ = self.history.books_around(reserved.at)
        for match in book.matches(reserved.caller):
            for limit in match.rule.limits:
                if (match.rule.policy_id, limit.key) == (held["policy"], held["limit"]):
                    return self._lost(match, limit, moment or reserved.at)
        # Its policy has been written anew since: nobody knows what the hold sat on.
        self.sums.all_doubtful = True
        return None

    def _lost(self, match: Match, limit: Limit, moment: datetime) -> Counter:
        """Make the row that is not there, as far as anybody can say what it was.

        Of a fixed window nobody knows when it began, so its row is doubtful.
        """
        made = new_counter(place_of(match, limit, moment), self.account.id, moment)
        if limit.window.kind == "fixed":
            key = (match.policy_id, limit.key, match.subject_key)
            made = closed_window(made, limit, moment)
            self.sums.doubtful.add(made.id)
        known = {name: getattr(made, name) for name in _COLUMNS}
        counter = Counter(created_at=moment, updated_at=moment, **known)
        self.counters[counter.id] = counter
        self.sums.lost.add(counter.id)
        if limit.window.kind == "fixed":
            insort(self.fixed[key], counter, key=_start)
        return counter

    # --- one event --------------------------------------------------------------

    def _event(
        self,
        event: UsageEvent,
        settled: Mapping[UUID, _Reserved],
    ) -> None:
        amounts = {name: getattr(event, name) for name in AMOUNTS}
        charged: set[tuple[str, str]] = set()
        if event.reservation_id is not None:
            known = settled.get(event.reservation_id)
            if known is None:
                self.sums.all_doubtful = True
                return
            if event.source == "expiry" or known.event_id == event.id:
                for held in known.holds:
                    self._settle(event, held, known, amounts)
                    charged.add((held["policy"], held["limit"]))
            if event.source == "expiry":
                return
        book, others = self.history.books_around(event.created_at)
        caller = _caller(event.project_id, event.bot_id, event.user, event.model)
        for match in book.matches(caller):
            self._charge(event, match, amounts, charged)
        if len(others) > 1:
            self._doubt(event, caller, others)

    def _settle(
        self,
        event: UsageEvent,
        held: dict[str, Any],
        reserved: _Reserved,
        amounts: Amounts,
    ) -> None:
        counter = self._held(held, reserved)
        actual = amounts[held["metric"]]
        if event.source == "expiry" or actual is None:
            actual = held["amount"]
        if counter is not None and actual:
            self._add(counter, actual, event.created_at, event.created_at)

    def _charge(
        self,
        event: UsageEvent,
        match: Match,
        amounts: Amounts,
        charged: Collection[tuple[str, str]],
    ) -> None:
        for limit in match.rule.limits:
            amount = amounts[limit.metric]
            if amount and (match.rule.policy_id, limit.key) not in charged:
                for counter in self._counters_at(event, match, limit):
                    moment = min(event.occurred_at, event.created_at)
                    self._add(counter, amount, moment, event.created_at)

    def _counters_at(
        self, event: UsageEvent, match: Match, limit: Limit
    ) -> Iterable[Counter]:
        """Return the counter that an event counts in."""
        if limit.window.kind != "fixed":
            place = place_of(match, limit, event.occurred_at)
            counter = self.counters.get(place.id)
            return (counter or self._lost(match, limit, event.occurred_at),)
        key = (match.policy_id, limit.key, match.subject_key)
        told = event.occurred_at != event.created_at
        moment = min(event.occurred_at, event.created_at)
        row = self._window_at(key, moment, told=told)
        return (row or self._lost(match, limit, moment),)

    def _window_at(
        self, key: tuple[UUID, str, str], moment: datetime, *, told: bool
    ) -> Counter | None:
        """Return the fixed window that an event of this moment counted in.

        One that does not tell its time counts in the open window, also if a process
        whose clock was read a little later had opened it.
        """
        rows = self.fixed[key]
        place = bisect_right(rows, moment, key=_start)
        # Late windows may reach into the next one; what began last counts. All of a
        # chain are of one length, so no earlier one holds what the last does not.
        found = rows[place - 1] if place and _holds(rows[place - 1], moment) else None
        following = rows[place : bisect_right(rows, moment + _SKEW, place, key=_start)]
        if not told and following:
            # Which of several it was, nobody can say: a late event may have made one
            # of them since.
            if found is not None or len(following) > 1:
                either = following if found is None else [found, *following]
                self.sums.doubtful |= {row.id for row in either}
            first = _start(following[0])
            if found is None or self.opened.get(key, moment) >= first:
                found = following[0]
        if found is not None:
            self.opened[key] = max(self.opened.get(key, moment), _start(found))
        return found

    def _add(
        self, counter: Counter, amount: int, moment: datetime, recorded: datetime
    ) -> None:
        self.sums.used[counter.id] += amount
        width = self.widths.get(counter.limit_key)
        if width is None:
            return
        emptied = self.emptied.get(counter.id)
        if emptied is not None and abs(recorded - emptied) <= _SLACK:
            self.sums.doubtful.add(counter.id)
        if emptied is None or recorded > emptied:
            buckets = self.sums.buckets.setdefault(counter.id, defaultdict(int))
            buckets[windows.bucket_of(moment, width)] += amount
            if counter.id in self.sums.lost and counter.ring_head is not None:
                latest = windows.bucket_of(recorded, width)
                counter.ring_head = max(counter.ring_head, latest)

    def _doubt(self, event: UsageEvent, caller: Caller, books: Sequence[Book]) -> None:
        """Mark the counters that some of the books count the event in, not all."""
        counted: list[set[UUID]] = [
            {
                counter.id
                for match in book.matches(caller)
                for limit in match.rule.limits
                for counter in self._counters_at(event, match, limit)
            }
            for book in books
        ]
        in_all = set.intersection(*counted)
        self.sums.doubtful |= set().union(*counted) - in_all


def _caller(
    project: UUID | None, bot: UUID, user: str | None, model: str | None
) -> Caller:
    return Caller(
        project=ids.encode_id("prj", project) if project else None,
        bot=ids.encode_id("bot", bot),
        user=user,
        model=model,
    )


def _start(counter: Counter) -> datetime:
    """When a window began; a head that never opened one sorts last."""
    return counter.window_start or _NEVER


def _holds(counter: Counter, moment: datetime) -> bool:
    start, end = counter.window_start, counter.window_end
    return start is not None and end is not None and start <= moment < end
