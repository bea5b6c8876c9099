"""Set what was used back to nothing, and say so in an adjustment (CONTRACT A7, C4).

A reset never touches open holds and never restores a revoked bot.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts import ids
from accounts.actors import Actor
from accounts.errors import Conflict, InvalidBody
from accounts.services import append_change, bump_version
from policies.models import Block, Policy
from policies.selectors import blocks, rule_of
from policies.services import lift_blocks
from usage import windows
from usage.models import Adjustment, Counter
from usage.resolving import after_reset
from usage.selectors import CounterReading, readings_of
from usage.whole import whole

PERIODS = ("day", "month", "all")


@whole
def reset_policy(
    *,
    policy: Policy,
    period: str,
    actor: Actor,
    now: datetime,
    subject: Sequence[Sequence[str | None]] | None = None,
    reason: str = "",
) -> list[CounterReading]:
    """Reset a usage policy's current counters and lift the blocks that came from them.

    `day` and `month` name those with these calendar windows, `all` every one; `subject`
    narrows it to one combination. Raises InvalidBody for another period.
    """
    if period not in PERIODS:
        detail = "must be day, month or all"
        raise InvalidBody(errors=[{"pointer": "/period", "detail": detail}])
    bump_version(account_id=policy.account_id)
    keys = _keys(policy, period)
    named = policy.counters.filter(limit_key__in=keys)
    if subject is not None:
        named = named.filter(subject=[list(pair) for pair in subject])
    emptied = _current(named, now)
    for row in emptied:
        _empty(row, kind="reset", actor=actor, now=now, reason=reason)
    # A block may outlast the window that it came from.
    blocking = blocks(policy.account, policy, live_at=now).values("counter")
    lift_blocks(
        policy=policy,
        actor=actor,
        now=now,
        reason=reason or "reset",
        only_counters=named.filter(id__in=blocking).values_list("id", flat=True),
    )
    change = append_change(
        account=policy.account,
        actor=actor,
        action="policy.reset",
        target=policy.public_id,
        changes=[{"field": "period", "before": None, "after": period}],
        reason=reason,
        now=now,
    )
    ids_of_emptied = [row.id for row in emptied]
    after_reset(
        policy=policy, counters=ids_of_emptied, change=change, actor=actor, now=now
    )
    return readings_of(policy=policy, now=now)


@whole
def clear_policy(*, policy: Policy, actor: Actor, now: datetime, reason: str) -> int:
    """Lift all blocks of a policy and reset its counters; returns how many blocks.

    Never a revoke, and nothing for a policy that does not count.
    """
    if policy.type != Policy.Type.USAGE:
        return 0
    bump_version(account_id=policy.account_id)
    standing = blocks(policy.account, policy, live_at=now)
    count = standing.filter(kind=Block.Kind.POLICY, enforced=True).count()
    reset_policy(policy=policy, period="all", actor=actor, now=now, reason=reason)
    return count


def empty_counters(
    *,
    policy: Policy,
    limit_keys: Collection[str],
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Take away what limits have used so far; belongs into an edit's transaction."""
    rows = policy.counters.filter(limit_key__in=limit_keys, used__gt=0).order_by("id")
    for row in rows.select_for_update():
        _empty(row, kind="reset", actor=actor, now=now, reason=reason)


@whole
def clear_block(
    *, block: Block, actor: Actor, now: datetime, reason: str = ""
) -> Block:
    """Lift a policy's block and reset the counter it came from.

    Raises Conflict for a block that has ended or is no policy's.
    """
    bump_version(account_id=block.account_id)
    fresh = Block.objects.select_related("policy", "account", "bot").get(id=block.id)
    policy = fresh.policy
    ended = fresh.ends_at is not None and fresh.ends_at <= now
    if fresh.lifted_at is not None or ended:
        raise Conflict("This block has ended already.")
    if fresh.kind != Block.Kind.POLICY or policy is None:
        raise Conflict("Only a policy's block can be cleared.")
    counter = Counter.objects.select_for_update().filter(id__in=[fresh.counter]).first()
    if counter is not None and counter.window_start == fresh.window_start:
        _empty(counter, kind="clear", actor=actor, now=now, reason=reason)
    fresh.lifted_at = now
    fresh.lifted_by = actor.label or actor.id
    fresh.lift_reason = reason or "cleared"
    fresh.save(update_fields=["lifted_at", "lifted_by", "lift_reason"])
    change = append_change(
        account=fresh.account,
        actor=actor,
        action="block.cleared",
        target=fresh.public_id,
        changes=[{"field": "policy", "before": policy.public_id, "after": None}],
        reason=reason,
        now=now,
    )
    emptied = [] if counter is None else [counter.id]
    after_reset(policy=policy, counters=emptied, change=change, actor=actor, now=now)
    return fresh


def _current(counters: QuerySet[Counter], now: datetime) -> list[Counter]:
    current = Q(window_end=None) | Q(window_end__gt=now)
    # A window that a late event opened is not current, even if it reaches to now.
    late = Q(kind="fixed", is_head=False)
    found = counters.filter(current & ~late)
    return list(found.order_by("id").select_for_update())


def _keys(policy: Policy, period: str) -> set[str]:
    limits = rule_of(policy).limits
    return {
        limit.key
        for limit in limits
        if period == "all"
        or (limit.window.kind == "calendar" and limit.window.unit == period)
    }


def _empty(
    counter: Counter, *, kind: str, actor: Actor, now: datetime, reason: str
) -> None:
    Adjustment.objects.create(
        id=ids.new_id(now),
        account_id=counter.account_id,
        policy_id=counter.policy_id,
        counter=counter.id,
        window_start=counter.window_start,
        metric=counter.metric,
        amount=-counter.used,
        kind=kind,
        reason=reason,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label,
        created_at=now,
    )
    counter.used = 0
    if counter.ring is not None:
        counter.ring = [0] * windows.SLOTS
    counter.updated_at = now
    counter.save(update_fields=["used", "ring", "updated_at"])
