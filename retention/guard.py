"""What must not be deleted before a person has looked at it (ADR 0028).

Two things make a run wait. The clock: when it is an hour from where another witness has
it, everything looks older or younger than it is. The share: when more than 20 % of an
account's rows would go that did not come of age by themselves.

What comes of age while the policy stands and the worker runs is what the policy is for,
and needs nobody. Everything else is a backlog: what was due when the policy was written
or edited, what was imported when it was over its age already, and what has been due for
more than a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from retention import cutoff, targets
from retention.jobs import Job
from retention.models import PruneRun
from retention.selectors import total_of

PERCENT = 20
NATURAL = timedelta(hours=24)


def must_wait(job: Job, *, trusted: bool) -> str:
    """Return what a run would have to wait for; empty if it need not.

    `trusted` says whether the clock is where its witnesses have it.
    """
    if not trusted:
        return PruneRun.Waiting.CLOCK
    backlog = 0 if job.policy is None else measure(job).backlog
    if backlog and cutoff.over_guard(due=backlog, total=total_of(job), percent=PERCENT):
        return PruneRun.Waiting.SHARE
    return ""


@dataclass(frozen=True, slots=True)
class Measure:
    """How many rows are due, how old the oldest is, how many are a backlog."""

    due: int
    oldest: datetime | None
    backlog: int


def measure(job: Job) -> Measure:
    """Count what is due, and what of it did not come of age by itself."""
    target, age = job.target, timedelta(days=job.max_age_days)
    natural_from = job.cutoff - NATURAL
    if job.policy is not None:
        natural_from = max(natural_from, job.policy.updated_at - age)
    late = f"{target.at} < %(natural_from)s"
    if target.made is not None:
        late = f"({late} OR {target.made} > {target.at} + %(age)s)"
    sql = (
        f"SELECT count(*), min({target.at}), count(*) FILTER (WHERE {late})"
        f" {targets.due(target, job.within)}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, job.parameters(natural_from=natural_from, age=age))
        return Measure(*cursor.fetchone())


def trusted(now: datetime, witnesses: Sequence[datetime]) -> bool:
    """Say whether a moment is within an hour of what other clocks show."""
    return not any(cutoff.clock_jumped(witness, now) for witness in witnesses)
