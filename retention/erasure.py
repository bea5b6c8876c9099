"""Erase one end user's data (CONTRACT E4): conversations go, records lose the name.

Events, rollups, decisions and what is over of the rest name a pseudonym afterwards: a
keyed digest, the same each time, from which nobody can find the user without the
installation's pepper. Counters stay as they are, so no cap is refunded. A legal hold on
any of it refuses the erasure. It leaves a receipt, and a large one goes on in the
worker (ADR 0030).
"""

import hmac
from base64 import b32encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from accounts import ids
from accounts.actors import Actor
from accounts.models import Account
from accounts.services import append_change
from retention import locks, notices, receipts, targets
from retention.erasing import OPEN_RESERVATIONS, STEPS, Step
from retention.holding import held_by
from retention.models import LegalHold, PruneRun
from retention.selectors import holds_on, live_holds
from usage.rollups import roll_up

TARGET = "user_data"
AT_ONCE_SECONDS = 5.0
_BATCH = 500
_PURPOSE = b"policyhub erasure 1\0"
_NOBODY = UUID(int=0)


def pseudonym_of(account: Account, user: str) -> str:
    """Return the name that stands for a user after the erasure."""
    named = _PURPOSE + account.id.bytes + user.encode("utf-8", "surrogatepass")
    digest = hmac.new(settings.POLICYHUB_KEY_PEPPER, named, sha256).digest()
    return "erased_" + b32encode(digest[:15]).decode("ascii").lower()


def erase_user(
    *,
    account: Account,
    user: str,
    actor: Actor,
    now: datetime,
    budget_seconds: float | None = AT_ONCE_SECONDS,
) -> PruneRun:
    """Erase what there is of a user; return the receipt, whose run may still go on.

    Raises Held if a legal hold covers any of it.
    """
    run = _open(account, user, actor, now)
    return go_on(run, now=now, budget_seconds=budget_seconds)


def go_on_with_all(*, now: datetime, budget_seconds: float = 20.0) -> int:
    """Go on with the erasures that have not ended; return how many."""
    started = monotonic()
    found = PruneRun.objects.filter(target=TARGET, state__in=receipts.OPEN)
    runs = list(found.select_related("account").order_by("id"))
    for run in runs:
        left = budget_seconds - (monotonic() - started)
        if left <= 0:
            break
        go_on(run, now=now, budget_seconds=left)
    return len(runs)


def go_on(run: PruneRun, *, now: datetime, budget_seconds: float | None) -> PruneRun:
    """Take an erasure's steps in turn, until the budget is used or all is done."""
    work = _Work(run, now, budget_seconds)
    # What is not rolled up yet would be taken for another user's after a restore.
    roll_up(now=now)
    for step in STEPS:
        if not work.take(step):
            break
    else:
        work.end()
    run.refresh_from_db()
    return run


@dataclass(slots=True)
class _Work:
    """One turn of one erasure."""

    run: PruneRun
    now: datetime
    budget: float | None
    started: float = field(default_factory=monotonic)

    def take(self, step: Step) -> bool:
        """Do a step to its end; False if the time is used or a hold came."""
        after = _NOBODY
        while True:
            used = monotonic() - self.started
            if self.budget is not None and used >= self.budget:
                receipts.pause(self.run, ended=self.now + timedelta(seconds=used))
                return False
            last = self._batch(step, after)
            if last is None:
                return self.run.state in receipts.OPEN
            after = last

    @transaction.atomic
    def _batch(self, step: Step, after: UUID) -> UUID | None:
        run, started = self.run, monotonic()
        locks.lock_shared(run.account_id)
        if _holds_on_user(run.account, run.erasing, self.now):
            receipts.stop(run, why="held", now=self.now)
            PruneRun.objects.filter(id=run.id).update(erasing="")
            return None
        values = self._values(after=after, batch=_BATCH)
        with connection.cursor() as cursor:
            cursor.execute(step.choose, values)
            taken: list[UUID] = [row[0] for row in cursor.fetchall()]
            if not taken:
                return None
            counts = {}
            for table, sql in step.erase:
                cursor.execute(sql, {**values, "ids": taken})
                counts[table] = cursor.rowcount
        gone = b"".join(value.bytes for value in taken)
        receipts.note(run, counts, gone, took=monotonic() - started)
        return taken[-1]

    def end(self) -> None:
        """Complete the run, unless an open reservation still needs the name."""
        with connection.cursor() as cursor:
            cursor.execute(OPEN_RESERVATIONS, self._values())
            reservations = cursor.fetchone()[0]
        ended = self.now + timedelta(seconds=monotonic() - self.started)
        skipped = {"open reservations": reservations} if reservations else {}
        receipts.close(
            self.run, remaining=reservations, held=0, skipped=skipped, ended=ended
        )
        if not reservations:
            PruneRun.objects.filter(id=self.run.id).update(erasing="")
            notices.say_completed(run=self.run, now=self.now)

    def _values(self, **more: Any) -> dict[str, Any]:
        run = self.run
        named = {"user": run.erasing, "pseudonym": run.subject}
        return {"account": run.account_id, **named, **more}


@transaction.atomic
def _open(account: Account, user: str, actor: Actor, now: datetime) -> PruneRun:
    locks.lock_shared(account.id)
    found = _holds_on_user(account, user, now)
    if found:
        raise held_by(found)
    subject = pseudonym_of(account, user)
    mine = PruneRun.objects.filter(account=account, target=TARGET, subject=subject)
    going_on = mine.filter(state__in=receipts.OPEN).select_related("account").first()
    if going_on is not None:
        return going_on
    run = PruneRun.objects.create(
        id=ids.new_id(now),
        account=account,
        policy_revision=0,
        target=TARGET,
        cutoff=now,
        trigger=(actor.label or actor.id or actor.kind)[:60],
        started_at=now,
        worked_at=now,
        subject=subject,
        erasing=user,
    )
    append_change(
        account=account,
        actor=actor,
        action="user.erased",
        target=run.public_id,
        changes=[{"field": "user", "before": None, "after": subject}],
        now=now,
    )
    return run


def _holds_on_user(account: Account, user: str, now: datetime) -> list[LegalHold]:
    """Return the live holds that cover anything of a user's data."""
    live = live_holds(account, now)
    if not live.exists():
        return []
    kinds = LegalHold.Kind
    found = [
        hold
        for hold in live
        if hold.kind == kinds.ACCOUNT or (hold.kind == kinds.USER and hold.ref == user)
    ]
    for name, column in (
        (targets.CONVERSATIONS, 'coalesce(r."user", b.owner)'),
        (targets.USAGE_EVENTS, 'r."user"'),
        (targets.DECISIONS, "r.policy_user"),
    ):
        if found:
            break
        found = holds_on(account, name, f"{column} = %(held)s", {"held": user}, now)
    return found
