"""What a retention policy would delete now, without deleting anything."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from accounts import ids
from accounts.models import Account, Bot, Project
from policies.models import Policy
from policies.services.references import resolve
from retention import guard, targets
from retention.cutoff import over_guard
from retention.jobs import Job, job_of, job_of_document
from retention.models import LegalHold, PruneRun
from retention.selectors import held_rows, total_of

HISTOGRAM_DAYS = (1, 7, 14, 30, 60, 90, 180, 365, 730)
SAMPLE = 10
_HOLDS = 50


def preview(
    *,
    account: Account,
    policy: Policy | Mapping[str, Any],
    now: datetime,
    project: Project | None = None,
    bot: Bot | None = None,
) -> dict[str, Any]:
    """Return what a policy, or a canonical draft of one, would delete now.

    `project` and `bot` are those that the asker's key is bound to: nothing else is
    counted. Raises UnknownReference for a draft whose scope names what is not there.

    `due` counts rows, `held` those that a legal hold keeps and `holds` by which ones,
    `oldest` is the last activity of the oldest due row, `histogram` counts all rows in
    scope by age in days, `sample` names the oldest due rows, `waits` says what a run
    would wait for.
    """
    if isinstance(policy, Policy):
        job = job_of(policy, now)
    else:
        resolved = resolve(account=account, document=policy, project=project)
        job = job_of_document(account, resolved.document, now)
    shown = preview_of(job.seen_by(project=project, bot=bot))
    if project is not None or bot is not None:
        # What the others have is not theirs to know.
        shown |= {"total": None, "waits": ""}
    return shown


def preview_of(job: Job) -> dict[str, Any]:
    """Return the same for a rule of the account or of the house."""
    found, total, holds = guard.measure(job), total_of(job), _holds(job)
    waits = job.policy is not None and over_guard(due=found.backlog, total=total)
    return {
        "target": job.target_name,
        "max_age_days": job.max_age_days,
        "cutoff": job.cutoff,
        "due": found.due,
        # Several may keep the same row, and there may be more than are looked at.
        "held": held_rows(job) if holds else 0,
        "total": total,
        "oldest": found.oldest,
        "histogram": _histogram(job),
        "sample": _sample(job) if found.due else [],
        "holds": [hold for hold in holds if hold["rows"]],
        "waits": PruneRun.Waiting.SHARE if waits else "",
    }


def _histogram(job: Job) -> list[dict[str, int | None]]:
    target = job.target
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT width_bucket(extract(epoch FROM %(now)s::timestamptz -"  # noqa: S608
            f" {target.at})::float8 / 86400, %(days)s::float8[]), count(*)"
            f" FROM {target.rows} WHERE r.account_id = %(account)s"
            f" AND {target.only} AND {job.within.sql} GROUP BY 1",
            job.parameters(now=job.now, days=list(HISTOGRAM_DAYS)),
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


def _holds(job: Job) -> list[dict[str, Any]]:
    """Return the newest live holds, and how many rows over their age each one keeps.

    A hold has `called` here: the name of its bot or project, else what it is on.
    """
    target = job.target
    kept = (
        f"SELECT count(*) AS rows {targets.over_age(target, job.within)}"
        f" AND {target.only_hold('x.id')}"
    )
    called = (
        "COALESCE("
        "(SELECT name FROM accounts_bot WHERE id = x.bot_id AND x.kind = 'bot'), "
        "(SELECT name FROM accounts_project"
        " WHERE id = x.project_id AND x.kind = 'project'), x.ref) AS called"
    )
    sql = (
        f"SELECT x.*, kept.rows, {called} FROM (SELECT * FROM retention_legalhold"  # noqa: S608
        " WHERE account_id = %(account)s AND released_at IS NULL"
        " AND (until IS NULL OR until > %(held_at)s)"
        f" ORDER BY id DESC LIMIT {_HOLDS}) AS x"
        f" CROSS JOIN LATERAL ({kept}) AS kept ORDER BY x.id DESC"
    )
    holds = LegalHold.objects.raw(sql, job.parameters())
    return [{"hold": hold, "rows": vars(hold)["rows"]} for hold in holds]
