"""What retention rules and legal holds mean for one row.

Pure: values in, a verdict out; the moment comes from the caller. The deleting
statements repeat these rules in SQL; this is the form that is easy to check.

A row is due when a rule that is enforced covers it, its last activity lies
strictly before the cut-off of the *shortest* such rule, and no legal hold covers
it. In doubt a row stays.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.matching import Caller, matches
from policies.rules import Scope

# How long an account's decisions are kept, by plan: the default and the maximum.
DECISION_DAYS = {"standard": 30, "plus": 180, "enterprise": 2555}

# How long usage events are kept where no policy says otherwise.
EVENT_DAYS_DEFAULT = 400

ENFORCED = frozenset({"enforce"})


@dataclass(frozen=True, slots=True)
class Rule:
    """A retention policy: rows of a target, covered by a scope, live so many days."""

    policy_id: str
    target: str
    max_age_days: int
    scope: Scope
    mode: str


@dataclass(frozen=True, slots=True)
class Row:
    """What rules and holds look at in a row that may be deleted."""

    project: str | None
    bot: str | None
    user: str | None
    conversation: str | None
    last_activity_at: datetime
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold on everything that has all of the values it names.

    `account` is true for a hold on the whole account. Raises ValueError if it
    names nothing: nobody could say what such a hold is for.
    """

    account: bool = False
    project: str | None = None
    bot: str | None = None
    user: str | None = None
    conversation: str | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        names = (self.project, self.bot, self.user, self.conversation)
        if not self.account and all(name is None for name in names):
            raise ValueError("a hold names what it holds")


def cutoff(*, now: datetime, max_age_days: int) -> datetime:
    """The moment before which a row is too old; a day is 24 hours here."""
    return now - timedelta(days=max_age_days)


def shortest(
    rules: Iterable[Rule],
    row: Row,
    target: str,
    modes: Collection[str] = ENFORCED,
) -> Rule | None:
    """The rule with the smallest age that covers a row; ties go by policy id.

    A preview passes the modes it wants to see as well, such as `shadow`.
    """
    covering = [
        rule
        for rule in rules
        if rule.target == target and rule.mode in modes and _covers(rule.scope, row)
    ]
    return min(
        covering, key=lambda rule: (rule.max_age_days, rule.policy_id), default=None
    )


def held(holds: Iterable[Hold], row: Row, now: datetime) -> Hold | None:
    """The first hold that covers a row; a hold ends at the instant `until`."""
    for hold in holds:
        if (hold.until is None or now < hold.until) and _holds(hold, row):
            return hold
    return None


def age_limit(
    rules: Iterable[Rule], row: Row, target: str, plan: str | None = None
) -> int | None:
    """How many days a row lives; None = nothing says it should ever go.

    With a plan, usage events that no rule covers live EVENT_DAYS_DEFAULT days, and
    decisions never live longer than the plan's DECISION_DAYS. Raises KeyError for a
    plan that does not exist.
    """
    rule = shortest(rules, row, target)
    days = None if rule is None else rule.max_age_days
    if plan is None:
        return days
    longest = DECISION_DAYS[plan]
    if target == "decisions":
        return longest if days is None else min(days, longest)
    if target == "usage_events" and days is None:
        return EVENT_DAYS_DEFAULT
    return days


def due(
    rules: Iterable[Rule],
    holds: Iterable[Hold],
    row: Row,
    target: str,
    now: datetime,
    plan: str | None = None,
) -> bool:
    """Whether a row must be deleted now: older than its `age_limit`, and not held."""
    days = age_limit(rules, row, target, plan)
    if days is None or row.last_activity_at >= cutoff(now=now, max_age_days=days):
        return False
    return held(holds, row, now) is None


def clock_jumped(
    previous: datetime | None, now: datetime, limit_seconds: int = 3600
) -> bool:
    """Whether the clock is further from where it should stand than the limit.

    `previous` is what it should read by another witness (the database's clock, or
    an earlier reading plus the time that really passed); None if there is none.
    """
    if previous is None:
        return False
    return abs(now - previous) > timedelta(seconds=limit_seconds)


def over_guard(*, due: int, total: int, percent: int = 20) -> bool:
    """Whether a run would delete more than this share of an account's rows."""
    return due * 100 > total * percent


def wants_word(*, due: int, total: int, rows: int = 1_000, percent: int = 10) -> bool:
    """Whether whoever puts a rule in force has to type its name first.

    True for many rows or a good share of them, unless the run itself waits for a person
    (`over_guard`): nobody is asked twice.
    """
    many = due > rows or due * 100 > total * percent
    return many and not over_guard(due=due, total=total)


def _covers(scope: Scope, row: Row) -> bool:
    """Whether a rule is about a row, by the same rule that matches calls."""
    seen = Caller(row.project, row.bot or "", row.user, row.model)
    return matches(scope, seen)


def _holds(hold: Hold, row: Row) -> bool:
    if hold.account:
        return True
    return all(
        wanted is None or wanted == found
        for wanted, found in (
            (hold.project, row.project),
            (hold.bot, row.bot),
            (hold.user, row.user),
            (hold.conversation, row.conversation),
        )
    )
