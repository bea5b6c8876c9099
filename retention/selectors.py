"""Reads of retention: what is due and held, what was let go, what is waiting."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from accounts import ids
from accounts.errors import NotFound
from accounts.models import Account, Project
from policies.models import Policy
from policies.selectors import policies
from retention import targets
from retention.jobs import Job, default_jobs, job_of
from retention.models import LegalHold, PruneRun

OVERDUE_AFTER = timedelta(hours=24)


def runs(
    account: Account, policy: Policy | None = None, *, project: Project | None = None
) -> QuerySet[PruneRun]:
    """Return the receipts, newest first; of one policy or of a project's policies."""
    found = PruneRun.objects.filter(account=account).select_related("policy", "account")
    if policy is not None:
        found = found.filter(policy=policy)
    if project is not None:
        found = found.filter(policy__project=project)
    return found.order_by("-started_at", "-id")


def run_of(
    account: Account, public_id: str, *, project: Project | None = None
) -> PruneRun:
    """Return one receipt. Raises NotFound."""
    try:
        wanted = ids.decode_id(PruneRun.prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = runs(account, project=project).filter(id=wanted).first()
    if found is None:
        raise NotFound
    return found


def enforced_policies(account: Account) -> QuerySet[Policy]:
    """Return the account's retention policies that delete."""
    live = policies(account, type=Policy.Type.RETENTION)
    return live.filter(rollout_mode=Policy.Rollout.ENFORCE)


@dataclass(frozen=True, slots=True)
class Pending:
    """Where a retention policy stands; `overdue_since` is when its oldest came due.

    `max_age_days` is the age that holds: the policy's own, or less by the plan.
    """

    policy: Policy
    max_age_days: int
    due: int
    held: int
    oldest: datetime | None
    overdue_since: datetime | None
    last_run: PruneRun | None
    last_success: PruneRun | None
    open_run: PruneRun | None

    def is_overdue(self, now: datetime) -> bool:
        """Say whether something should have gone a day ago (CONTRACT E2)."""
        since = self.overdue_since
        return since is not None and now - since >= OVERDUE_AFTER


def pending_policies(
    account: Account, *, project: Project | None = None
) -> QuerySet[Policy]:
    """Return the policies that something can be pending for; of a project its own."""
    found = enforced_policies(account)
    return found if project is None else found.filter(project=project)


def pending(
    account: Account, policies_shown: Sequence[Policy], now: datetime
) -> list[Pending]:
    """Return for each of some policies what is due, and its last receipts."""
    receipts = runs(account).filter(policy__in=policies_shown)
    latest = _by_policy(receipts)
    succeeded = _by_policy(receipts.filter(state=PruneRun.State.COMPLETED))
    open_states = [PruneRun.State.WAITING, PruneRun.State.RUNNING]
    open_states.append(PruneRun.State.PAUSED)
    under_way = _by_policy(receipts.filter(state__in=open_states))
    found = []
    for policy in policies_shown:
        job = job_of(policy, now)
        due, oldest = due_of(job)
        found.append(
            Pending(
                policy=policy,
                max_age_days=job.max_age_days,
                due=due,
                held=held_of(job),
                oldest=oldest,
                overdue_since=due_since(job) if due else None,
                last_run=latest.get(policy.id),
                last_success=succeeded.get(policy.id),
                open_run=under_way.get(policy.id),
            )
        )
    return found


def _by_policy(receipts: QuerySet[PruneRun]) -> dict[UUID | None, PruneRun]:
    """Return the newest receipt of each policy."""
    newest = receipts.order_by("policy_id", "-started_at", "-id").distinct("policy_id")
    return {run.policy_id: run for run in newest}


def due_of(job: Job) -> tuple[int, datetime | None]:
    """Return how many rows are due and the age of the oldest."""
    sql = f"SELECT count(*), min({job.target.at}) {targets.due(job.target, job.within)}"
    with connection.cursor() as cursor:
        cursor.execute(sql, job.parameters())
        count, oldest = cursor.fetchone()
    return count, oldest


def has_due(job: Job) -> bool:
    """Say whether anything is due; cheap when nothing is."""
    sql = f"SELECT EXISTS (SELECT 1 {targets.due(job.target, job.within)})"
    with connection.cursor() as cursor:
        cursor.execute(sql, job.parameters())
        return bool(cursor.fetchone()[0])


def due_since(job: Job) -> datetime | None:
    """Return since when the row that has been due longest could have been deleted."""
    sql = f"SELECT min({_due_from(job)}) {targets.due(job.target, job.within)}"
    with connection.cursor() as cursor:
        cursor.execute(sql, job.parameters(age=timedelta(days=job.max_age_days)))
        moment: datetime | None = cursor.fetchone()[0]
    return moment


def has_due_since(job: Job, moment: datetime) -> bool:
    """Say whether a row could have been deleted at a moment, and is still due."""
    due = targets.due(job.target, job.within)
    sql = f"SELECT EXISTS (SELECT 1 {due} AND {_due_from(job)} <= %(since)s)"
    age = timedelta(days=job.max_age_days)
    with connection.cursor() as cursor:
        cursor.execute(sql, job.parameters(age=age, since=moment))
        return bool(cursor.fetchone()[0])


def _due_from(job: Job) -> str:
    """Return since when a row is due; one that was imported late, since it is here."""
    since = f"{job.target.at} + %(age)s"
    made = job.target.made
    return since if made is None else f"greatest({since}, {made})"


def held_of(job: Job) -> int:
    """Return how many rows are over their age and kept by legal holds."""
    return held_rows(job) if live_holds(job.account, job.now).exists() else 0


def held_rows(job: Job) -> int:
    """Return the same, for an account that is known to have live holds."""
    target = job.target
    sql = f"SELECT count(*) {targets.over_age(target, job.within)} AND {target.held}"
    with connection.cursor() as cursor:
        cursor.execute(sql, job.parameters())
        return int(cursor.fetchone()[0])


def not_ready_of(job: Job) -> int:
    """Return how many due rows something else has to be done with first."""
    target = job.target
    if target.ready == "TRUE":
        return 0
    sql = f"SELECT count(*) {targets.due(target, job.within)} AND NOT ({target.ready})"
    with connection.cursor() as cursor:
        cursor.execute(sql, job.parameters())
        return int(cursor.fetchone()[0])


def total_of(job: Job) -> int:
    """Return how many rows of the target the account has, in scope or not."""
    target = job.target
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM {target.table} AS r"  # noqa: S608
            f" WHERE r.account_id = %s AND {target.only}",
            [job.account.id],
        )
        return int(cursor.fetchone()[0])


def database_clock() -> datetime:
    """Return what the database's clock shows: a second witness of the time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def everything_due(*, account: Account | None, now: datetime) -> Iterator[Job]:
    """Yield each enforced policy and each of the house's rules, account by account."""
    accounts = Account.objects.order_by("id")
    chosen = accounts if account is None else accounts.filter(id=account.id)
    for one in chosen:
        policies_of_one = list(enforced_policies(one))
        yield from (job_of(policy, now) for policy in policies_of_one)
        yield from default_jobs(one, policies_of_one, now)


# --- Legal holds ------------------------------------------------------------------

# A hold without an end is looked at again after as long, lest it be forgotten.
FORGOTTEN_AFTER = timedelta(days=90)


def holds(account: Account) -> QuerySet[LegalHold]:
    """Return the account's legal holds, newest first, released ones too."""
    return LegalHold.objects.filter(account=account).order_by("-id")


def live_holds(account: Account, now: datetime) -> QuerySet[LegalHold]:
    """Return the holds that hold something now."""
    return holds(account).filter(live_at(now))


def live_at(now: datetime) -> Q:
    """Return the condition that a hold is live."""
    return Q(released_at=None) & (Q(until=None) | Q(until__gt=now))


def forgotten_holds(account: Account, now: datetime) -> QuerySet[LegalHold]:
    """Return the live holds without an end that nobody has looked at for long."""
    old = live_holds(account, now).filter(until=None)
    return old.filter(created_at__lt=now - FORGOTTEN_AFTER)


def hold_of(account: Account, public_id: str) -> LegalHold:
    """Return one hold. Raises NotFound."""
    try:
        wanted = ids.decode_id(LegalHold.prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = holds(account).filter(id=wanted).first()
    if found is None:
        raise NotFound
    return found


def hold_state(hold: LegalHold, now: datetime) -> str:
    """Return `active`, `ended` (its `until` has come) or `released`."""
    if hold.released_at is not None:
        return "released"
    return "ended" if hold.until is not None and hold.until <= now else "active"


def holds_on(
    account: Account, table: str, where: str, values: dict[str, Any], now: datetime
) -> list[LegalHold]:
    """Return the live holds that cover any row of a target's rows.

    `table` is the target's name; `where` is a condition on its row `r`.
    """
    target = targets.TARGETS[table]
    one = target.only_hold("x.id")
    sql = (
        "SELECT x.id FROM retention_legalhold AS x WHERE x.account_id = %(account)s"  # noqa: S608
        f" AND EXISTS (SELECT 1 FROM {target.rows}"
        f" WHERE r.account_id = %(account)s AND {where} AND {one})"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, {"account": account.id, "held_at": now, **values})
        found = [row[0] for row in cursor.fetchall()]
    return list(holds(account).filter(id__in=found))
