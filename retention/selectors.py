"""Reads of retention: what is due, what was let go, what is waiting."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from accounts import ids
from accounts.errors import NotFound
from accounts.models import Account, Project
from policies.models import Policy
from policies.selectors import policies
from policies.services.references import resolve
from retention import targets
from retention.jobs import Job, default_jobs, job_of, job_of_document
from retention.models import PruneRun

HISTOGRAM_DAYS = (1, 7, 14, 30, 60, 90, 180, 365, 730)
SAMPLE = 10


def runs(account: Account, policy: Policy | None = None) -> QuerySet[PruneRun]:
    """Return the receipts, newest first; of one policy if it is named."""
    found = PruneRun.objects.filter(account=account).select_related("policy")
    if policy is not None:
        found = found.filter(policy=policy)
    return found.order_by("-started_at", "-id")


def run_of(account: Account, public_id: str) -> PruneRun:
    """Return one receipt. Raises NotFound."""
    try:
        wanted = ids.decode_id(PruneRun.prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = runs(account).filter(id=wanted).first()
    if found is None:
        raise NotFound
    return found


def enforced_policies(account: Account) -> QuerySet[Policy]:
    """Return the account's retention policies that delete."""
    live = policies(account, type=Policy.Type.RETENTION)
    return live.filter(rollout_mode=Policy.Rollout.ENFORCE)


def preview(
    *,
    account: Account,
    policy: Policy | Mapping[str, Any],
    now: datetime,
    project: Project | None = None,
) -> dict[str, Any]:
    """Return what a policy, or a canonical draft of one, would delete now.

    `project` is the one a draft's author is bound to. Raises UnknownReference for a
    draft whose scope names what is not there.

    `due` counts rows, `held` those that a legal hold keeps, `oldest` is the last
    activity of the oldest due row, `histogram` counts all rows in scope by age in
    days, `sample` names the oldest due rows.
    """
    if isinstance(policy, Policy):
        job = job_of(policy, now)
    else:
        resolved = resolve(account=account, document=policy, project=project)
        job = job_of_document(account, resolved.document, now)
    due, oldest = due_of(job)
    return {
        "due": due,
        "held": 0,
        "oldest": oldest,
        "histogram": _histogram(job, now),
        "sample": _sample(job),
        "total": total_of(job),
        "cutoff": job.cutoff,
    }


def pending(account: Account, now: datetime) -> list[dict[str, Any]]:
    """Return for each enforced policy what is due and its last receipt."""
    found = []
    for policy in enforced_policies(account):
        due, oldest = due_of(job_of(policy, now))
        last = runs(account, policy).first()
        found.append({"policy": policy, "due": due, "oldest": oldest, "last_run": last})
    return found


def due_of(job: Job, cutoff: datetime | None = None) -> tuple[int, datetime | None]:
    """Return how many rows are due and the age of the oldest.

    Another `cutoff` asks what was due at another moment.
    """
    parameters = job.parameters()
    if cutoff is not None:
        parameters |= targets.ages(job.target, account_id=job.account.id, cutoff=cutoff)
    sql = f"SELECT count(*), min({job.target.at}) {targets.due(job.target, job.within)}"
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        count, oldest = cursor.fetchone()
    return count, oldest


def has_due(job: Job) -> bool:
    """Say whether anything is due; cheap when nothing is."""
    sql = f"SELECT EXISTS (SELECT 1 {targets.due(job.target, job.within)})"
    with connection.cursor() as cursor:
        cursor.execute(sql, job.parameters())
        return bool(cursor.fetchone()[0])


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


def _histogram(job: Job, now: datetime) -> list[dict[str, int | None]]:
    target = job.target
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT width_bucket(extract(epoch FROM %(now)s::timestamptz -"  # noqa: S608
            f" {target.at})::float8 / 86400, %(days)s::float8[]), count(*)"
            f" FROM {target.rows} WHERE r.account_id = %(account)s"
            f" AND {target.only} AND {job.within.sql} GROUP BY 1",
            job.parameters(now=now, days=list(HISTOGRAM_DAYS)),
        )
        counts = dict(cursor.fetchall())
    edges = (0, *HISTOGRAM_DAYS, None)
    return [
        {"from_days": edges[n], "to_days": edges[n + 1], "count": counts.get(n, 0)}
        for n in range(len(edges) - 1)
    ]


def _sample(job: Job) -> list[str]:
    target = job.target
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT r.id {targets.due(target, job.within)}"
            f" ORDER BY {target.order} LIMIT {SAMPLE}",
            job.parameters(),
        )
        return [ids.encode_id(target.prefix, row[0]) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class DueLine:
    """What is due under one rule of one account."""

    label: str
    due: int


def everything_due(*, account: Account | None, now: datetime) -> Iterator[DueLine]:
    """Yield what each enforced policy and each of the house's rules would delete."""
    accounts = Account.objects.order_by("id")
    chosen = accounts if account is None else accounts.filter(id=account.id)
    for one in chosen:
        policies_of_one = list(enforced_policies(one))
        jobs = [job_of(policy, now) for policy in policies_of_one]
        for job in [*jobs, *default_jobs(one, policies_of_one, now)]:
            name = "the house's rule" if job.policy is None else job.policy.name
            label = f"{one.slug}: {name} ({job.target_name})"
            yield DueLine(label, due_of(job)[0])
