"""Reads of what was counted. Every one takes the account, or rows that carry it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, Q, QuerySet, Subquery, Sum, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from accounts.models import Account
from policies.models import Policy
from policies.rules import Limit, UsageRule, Window
from policies.selectors import rule_of
from usage import counters, windows
from usage.counters import View, counter_id
from usage.entries import CallIn
from usage.ledger import authorize
from usage.models import (
    Counter,
    Reservation,
    RollupProgress,
    UsageEvent,
    UsageSummary,
)
from usage.reports import Filters

# Each limit's own counters are ranked, not all of them at once: thousands of users have
# one each. What is current is said by `_current`, too.
_FULLEST = """SELECT fullest.id
FROM unnest(%s::uuid[], %s::text[]) AS wanted(policy, limit_key)
CROSS JOIN LATERAL (SELECT c.id FROM usage_counter AS c
WHERE c.account_id = %s AND c.policy_id = wanted.policy
AND c.limit_key = wanted.limit_key
AND (c.is_head OR (c.kind <> 'fixed' AND (c.window_end IS NULL OR c.window_end > %s)))
AND (c.policy_id <> ALL (%s::uuid[]) OR c.subject @> %s::jsonb)
ORDER BY c.used + c.held DESC, c.id LIMIT %s) AS fullest"""

# A call is held in several counters, by the same estimate: the largest is the call's.
_HELD_BY_CALL = """(SELECT max((hold->>'amount')::bigint)
FROM jsonb_array_elements(holds) AS hold WHERE hold->>'metric' = %s)"""


@dataclass(frozen=True, slots=True)
class CounterReading:
    """Where one limit stands for one subject now; cost in micro-USD.

    `status` is active, triggered or disabled. `remaining` is never below 0.
    """

    policy_id: str
    counter_id: UUID
    metric: str
    subject: list[list[str | None]]
    window: Window
    window_start: datetime | None
    resets_at: datetime | None
    threshold: int
    used: int
    held: int
    remaining: int
    status: str

    @property
    def kind(self) -> str:
        """The kind of the window: calendar, fixed, rolling or lifetime."""
        return self.window.kind


def readings(
    *,
    account: Account,
    policies: Sequence[Policy],
    now: datetime,
    most: int | None = None,
    bot: str | None = None,
) -> dict[str, list[CounterReading]]:
    """Return the current readings of usage policies, by the policy's public id.

    A limit that is counted in one shared counter has a reading also before anything
    was counted. `most` takes only so many counters of each limit: the fullest. `bot`
    leaves out those that are counted for another bot.
    """
    usage = [policy for policy in policies if policy.type == Policy.Type.USAGE]
    rows: dict[UUID, list[Counter]] = {policy.id: [] for policy in usage}
    apart = [each.id for each in usage if bot and "bot" in each.document["group_by"]]
    mine = [["bot", bot]]
    if most is None:
        current = _current(account, usage, now)
        current = current.filter(Q(subject__contains=mine) | ~Q(policy__in=apart))
    else:
        current = _fullest(account, usage, now, most, apart, mine)
    for row in current:
        rows[row.policy_id].append(row)
    return {
        policy.public_id: _readings(policy, rows[policy.id], now) for policy in usage
    }


def readings_of(*, policy: Policy, now: datetime) -> list[CounterReading]:
    """Return one usage policy's current readings."""
    found = readings(account=policy.account, policies=[policy], now=now)
    return found.get(policy.public_id, [])


def readings_page(
    *, policy: Policy, now: datetime, after: UUID | None, limit: int
) -> tuple[list[CounterReading], bool]:
    """Return readings in the order of their counters' ids, and whether more follow.

    `after` is the id of the last counter that was seen.
    """
    if policy.type != Policy.Type.USAGE:
        return [], False
    if not policy.document["group_by"]:
        # A counter for each limit, and a reading also where none was opened.
        found = readings_of(policy=policy, now=now)
        found.sort(key=lambda reading: reading.counter_id)
        rest = [each for each in found if after is None or each.counter_id > after]
        return rest[:limit], len(rest) > limit
    keys = [limit.key for limit in rule_of(policy).limits]
    rows = _current(policy.account, [policy], now).filter(limit_key__in=keys)
    if after is not None:
        rows = rows.filter(id__gt=after)
    page = list(rows[: limit + 1])
    return _readings(policy, page[:limit], now), len(page) > limit


def statuses(
    *, account: Account, policies: Sequence[Policy], now: datetime
) -> dict[str, str]:
    """Return active, triggered or disabled for each policy (CONTRACT C8)."""
    read = readings(account=account, policies=policies, now=now)
    found = {}
    for policy in policies:
        if policy.rollout_mode == Policy.Rollout.OFF or policy.archived_at is not None:
            found[policy.public_id] = "disabled"
        elif any(r.status == "triggered" for r in read.get(policy.public_id, ())):
            found[policy.public_id] = "triggered"
        else:
            found[policy.public_id] = "active"
    return found


def budget(
    *,
    account: Account,
    bot: str,
    now: datetime,
    user: str | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Return the decision body of a call that leaves no trace. Raises NotFound."""
    call = CallIn(bot=bot, user=user, model=model, dry_run=True)
    return authorize(account=account, call=call, now=now).body or {}


def held_now(*, account: Account, filters: Filters, metric: str) -> Coalesce:
    """Return an expression: what open reservations hold, of what the filters say.

    For a query that is made anyway. In the metric's own unit; cost in micro-USD.
    """
    rows = Reservation.objects.filter(account=account, state=Reservation.State.OPEN)
    for name, value in filters.named().items():
        column = name if name in ("user", "model") else f"{name}_id"
        mine = Q(**{column: value})
        rows = rows.filter(mine if value else mine | Q(**{f"{column}__isnull": True}))
    if filters.no_project:
        rows = rows.filter(project_id=None)
    if filters.models:
        rows = rows.filter(model__startswith=filters.models)
    held = RawSQL(_HELD_BY_CALL, [metric], BigIntegerField())  # noqa: S611 (as above)
    calls = rows.annotate(held=held).order_by().values("account")
    summed = Subquery(calls.annotate(all_held=Sum("held")).values("all_held"))
    return Coalesce(summed, Value(0), output_field=BigIntegerField())


def latest_event(account: Account) -> UsageEvent | None:
    """Return the event that was recorded last, with its bot."""
    found = UsageEvent.objects.filter(account=account).select_related("bot")
    return found.order_by("-sequence").first()


def rolled_up_at() -> datetime | None:
    """Return when recorded events were last added to what pages read."""
    found = RollupProgress.objects.values_list("updated_at", flat=True)
    return found.first()


def models_seen(account: Account) -> QuerySet[UsageSummary, str]:
    """Return the names of the models that anything was used of, in order."""
    found = UsageSummary.objects.filter(account=account, grain="month", dimension="")
    return found.exclude(model="").values_list("model", flat=True).distinct()


def _current(
    account: Account, policies: Iterable[Policy], now: datetime
) -> QuerySet[Counter]:
    rows = Counter.objects.filter(account=account, policy__in=list(policies))
    rows = rows.exclude(window_end__lte=now, is_head=False)
    # A window that a late event opened is not current, even if it reaches to now.
    return rows.exclude(kind="fixed", is_head=False).order_by("id")


def _fullest(
    account: Account,
    policies: Iterable[Policy],
    now: datetime,
    most: int,
    apart: Sequence[UUID],
    mine: Sequence[Sequence[str | None]],
) -> QuerySet[Counter]:
    """Return the fullest current counters of each limit: so many of them.

    Of the policies that count `apart`, only those whose subject is `mine`.
    """
    limits = [
        (each.id, limit.key) for each in policies for limit in rule_of(each).limits
    ]
    values = [
        [policy for policy, _ in limits],
        [key for _, key in limits],
        account.id,
        now,
        list(apart),
        json.dumps(mine),
        most,
    ]
    fullest = RawSQL(_FULLEST, values)  # noqa: S611 (nothing of it is put together)
    return Counter.objects.filter(id__in=fullest).order_by("id")


def _readings(
    policy: Policy, rows: Sequence[Counter], now: datetime
) -> list[CounterReading]:
    rule = rule_of(policy)
    limits = {limit.key: limit for limit in rule.limits}
    found = []
    for row in rows:
        limit = limits.get(row.limit_key)
        if limit is not None:
            seen = counters.view(from_model(row), limit, now)
            found.append(_reading(rule, limit, row.id, row.subject, seen))
    counted = {row.limit_key for row in rows}
    if not rule.group_by:
        found += [
            _reading(rule, limit, _unopened(policy, limit, now), [], _empty(limit, now))
            for limit in rule.limits
            if limit.key not in counted
        ]
    return found


def _reading(
    rule: UsageRule,
    limit: Limit,
    key: UUID,
    subject: list[list[str | None]],
    seen: View,
) -> CounterReading:
    if rule.rollout_mode == "off":
        status = "disabled"
    else:
        status = "triggered" if seen.used >= limit.threshold else "active"
    return CounterReading(
        policy_id=rule.policy_id,
        counter_id=key,
        metric=limit.metric,
        subject=subject,
        window=limit.window,
        window_start=seen.window_start,
        resets_at=seen.resets_at,
        threshold=limit.threshold,
        used=seen.used,
        held=seen.held,
        remaining=max(0, limit.threshold - seen.used - seen.held),
        status=status,
    )


def _empty(limit: Limit, now: datetime) -> View:
    if limit.window.kind in counters.HEAD_KINDS:
        return View(0, 0, None, None)
    bounds = windows.bounds(limit.window, now)
    return View(0, 0, bounds.start, bounds.end)


def _unopened(policy: Policy, limit: Limit, now: datetime) -> UUID:
    start = "head"
    if limit.window.kind not in counters.HEAD_KINDS:
        start = windows.bounds(limit.window, now).start.isoformat()
    return counter_id(policy.id, limit.key, "", start)


def from_model(row: Counter) -> counters.Counter:
    """Return a counter row as the value that the ledger reads."""
    return counters.Counter(
        id=row.id,
        account_id=row.account_id,
        policy_id=row.policy_id,
        limit_key=row.limit_key,
        metric=row.metric,
        kind=row.kind,
        is_head=row.is_head,
        subject=row.subject,
        subject_key=row.subject_key,
        window_start=row.window_start,
        window_end=row.window_end,
        used=row.used,
        held=row.held,
        ring=None if row.ring is None else list(row.ring),
        ring_head=row.ring_head,
        fired=row.fired,
    )
