"""The monthly partitions of events and decisions: opened ahead, dropped when due.

A partition is dropped when everything in it is due for every account and nothing in it
is held, or when nothing is left in it (CONTRACT E5). Dropping needs a lock that would
hold everybody up while it waits for a long query, so it waits two seconds at most and
comes back next hour.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet

from accounts import ids
from accounts.models import Account
from accounts.partitions import ensure_months, month_after, month_of
from policies.models import Policy
from retention import notices, targets
from retention.cutoff import DECISION_DAYS, EVENT_DAYS_DEFAULT
from retention.models import PruneRun
from retention.selectors import enforced_policies
from usage.rollups import roll_up

log = logging.getLogger(__name__)

TABLES = {
    "usage_usageevent": targets.USAGE_EVENTS,
    "audit_decisionrecord": targets.DECISIONS,
}
MONTHS_AHEAD = 3
# An empty month may still be filled by an import that dates its rows itself.
EMPTY_AFTER = timedelta(days=35)

_NAME = re.compile(r"_(\d{4})_(\d{2})$")


@dataclass(frozen=True, slots=True)
class Partition:
    """One month of a table."""

    table: str
    name: str
    end: datetime


def maintain_partitions(*, now: datetime, drop: bool = True) -> dict[str, list[str]]:
    """Open months ahead, give strays a month of their own, drop what is due.

    Without `drop`, as while the clock cannot be trusted, none is dropped.
    """
    opened: list[str] = []
    for table in TABLES:
        opened += adopt_strays(table=table)
        last = month_of(now)
        for _ in range(MONTHS_AHEAD):
            last = month_after(last)
        opened += ensure_months(table=table, first=now, last=last)
    return {"opened": opened, "dropped": drop_partitions(now=now) if drop else []}


def adopt_strays(*, table: str) -> list[str]:
    """Move rows that no month was open for into months of their own."""
    opened = []
    while (oldest := _oldest_stray(table)) is not None:
        month = month_of(ids.time_of(oldest))
        name = f"{table}_{month:%Y_%m}"
        try:
            _adopt_month(table, name, month)
        except OperationalError as error:
            log.warning("The strays of %s wait: %s", name, error)
            break
        opened.append(name)
    return opened


def drop_partitions(*, now: datetime) -> list[str]:
    """Drop the months in which everything is due; each leaves its receipts."""
    roll_up(now=now)
    dropped = []
    for table in TABLES:
        for partition in partitions_of(table):
            try:
                if _drop_if_due(partition, now):
                    dropped.append(partition.name)
            except OperationalError as error:
                log.warning("%s is dropped later: %s", partition.name, error)
    return dropped


def partitions_of(table: str) -> list[Partition]:
    """Return the months of a table, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid"
            " WHERE inhparent = %s::regclass ORDER BY c.relname",
            [table],
        )
        names = [row[0] for row in cursor.fetchall()]
    return [
        Partition(table, name, month_after(datetime(int(y), int(m), 1, tzinfo=UTC)))
        for name in names
        for y, m in _NAME.findall(name)
    ]


def _oldest_stray(table: str) -> UUID | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {table}_strays ORDER BY id LIMIT 1")  # noqa: S608
        row = cursor.fetchone()
    return None if row is None else row[0]


@transaction.atomic
def _adopt_month(table: str, name: str, month: datetime) -> None:
    low, high = ids.first_id_at(month), ids.first_id_at(month_after(month))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        # Nobody may add a stray between the move and the attachment.
        cursor.execute(f"LOCK TABLE {table}_strays IN ACCESS EXCLUSIVE MODE")
        cursor.execute(f'CREATE TABLE "{name}" (LIKE {table} INCLUDING DEFAULTS)')
        cursor.execute(
            f"WITH moved AS (DELETE FROM {table}_strays"  # noqa: S608
            " WHERE id >= %s AND id < %s RETURNING *)"
            f' INSERT INTO "{name}" SELECT * FROM moved',
            [low, high],
        )
        cursor.execute(
            f'ALTER TABLE {table} ATTACH PARTITION "{name}"'
            " FOR VALUES FROM (%s) TO (%s)",
            [low, high],
        )


@transaction.atomic
def _drop_if_due(partition: Partition, now: datetime) -> bool:
    if partition.end > now or not _is_due(partition, now):
        return False
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        # First against writers of this month alone, while its rows are counted.
        cursor.execute(f'LOCK TABLE "{partition.name}" IN SHARE ROW EXCLUSIVE MODE')
        # Nobody may place a hold between the look at them and the drop.
        cursor.execute("LOCK TABLE retention_legalhold IN SHARE MODE")
        if not _is_due(partition, now):
            return False
        _write_receipts(cursor, partition, now)
        # Then, for a moment, against everybody.
        cursor.execute(f"LOCK TABLE ONLY {partition.table} IN ACCESS EXCLUSIVE MODE")
        cursor.execute(f'DROP TABLE "{partition.name}"')
    return True


def _is_due(partition: Partition, now: datetime) -> bool:
    with connection.cursor() as cursor:
        if not _has_row(cursor, partition, "TRUE"):
            return partition.end <= now - EMPTY_AFTER
        if partition.table == "usage_usageevent" and _has_row(
            cursor,
            partition,
            "written_by >= coalesce((SELECT horizon FROM usage_rollupprogress), 0)"
            "::text::xid8",
        ):
            return False
        if any(
            _has_row(cursor, partition, "account_id = %s", account)
            for account in _accounts_that_keep(partition, now)
        ):
            return False
        return not _has_held_row(cursor, partition, now)


def _has_row(
    cursor: CursorWrapper, partition: Partition, where: str, *values: UUID
) -> bool:
    cursor.execute(
        f'SELECT EXISTS (SELECT 1 FROM "{partition.name}" WHERE {where})',  # noqa: S608
        list(values),
    )
    return bool(cursor.fetchone()[0])


def _has_held_row(cursor: CursorWrapper, partition: Partition, now: datetime) -> bool:
    target = targets.TARGETS[TABLES[partition.table]]
    rows = target.rows.replace(partition.table, f'"{partition.name}"', 1)
    cursor.execute(
        "SELECT EXISTS (SELECT 1 FROM retention_legalhold AS x"  # noqa: S608
        f" WHERE x.released_at IS NULL AND EXISTS (SELECT 1 FROM {rows}"
        f" WHERE r.account_id = x.account_id AND {target.only_hold('x.id')}))",
        {"held_at": now},
    )
    return bool(cursor.fetchone()[0])


def _accounts_that_keep(partition: Partition, now: datetime) -> Iterator[UUID]:
    """Yield the accounts whose youngest row in the partition might not be due.

    And those where a person paused a run: nothing goes behind their back.
    """
    age, target = now - partition.end, TABLES[partition.table]
    resume = PruneRun.Waiting.RESUME
    aside = PruneRun.objects.filter(
        state=PruneRun.State.PAUSED, waiting_for=resume, target=target
    )
    paused = set(aside.values_list("account_id", flat=True))
    for account in Account.objects.order_by("id"):
        young = age < timedelta(days=_longest(account, target))
        if young or account.id in paused:
            yield account.id


def _longest(account: Account, target: str) -> int:
    """Return how many days a row of the target may live at most.

    A policy about all rows bounds them all, once a run of it has ended: what was due
    when it was written goes in batches, under their guards.
    """
    decisions = target == targets.DECISIONS
    longest = DECISION_DAYS[account.plan] if decisions else EVENT_DAYS_DEFAULT
    written = list(_policies(account, target))
    days = [policy.document["retention"]["max_age_days"] for policy in written]
    if not decisions:
        longest = max([longest, *days])
    about_all = [
        policy.document["retention"]["max_age_days"]
        for policy in written
        if not policy.document["scope"] and _has_ended_run(policy)
    ]
    return min([longest, *about_all])


def _policies(account: Account, target: str) -> QuerySet[Policy]:
    return enforced_policies(account).filter(document__retention__target=target)


def _has_ended_run(policy: Policy) -> bool:
    ended = PruneRun.objects.filter(
        policy=policy,
        policy_revision=policy.revision,
        state=PruneRun.State.COMPLETED,
    )
    return ended.exists()


def _write_receipts(cursor: CursorWrapper, partition: Partition, now: datetime) -> None:
    """Write one receipt for each account, with its rows' number and first and last.

    Endpoints hear of it as of other runs.
    """
    cursor.execute(
        'SELECT account_id, count(*), min(id::text COLLATE "C")::uuid,'  # noqa: S608
        ' max(id::text COLLATE "C")::uuid'
        f' FROM "{partition.name}" GROUP BY account_id'
    )
    rows = cursor.fetchall()
    accounts = Account.objects.in_bulk([row[0] for row in rows])
    written = PruneRun.objects.bulk_create(
        PruneRun(
            id=ids.new_id(now),
            account=accounts[account_id],
            policy_revision=0,
            target=TABLES[partition.table],
            cutoff=partition.end,
            state=PruneRun.State.COMPLETED,
            deleted={partition.table: count},
            trigger=f"partition {partition.name}",
            started_at=now,
            finished_at=now,
            digest=sha256(first.bytes + last.bytes + str(count).encode()).hexdigest(),
        )
        for account_id, count, first, last in rows
        if account_id in accounts
    )
    for run in written:
        notices.say_completed(run=run, now=now)
