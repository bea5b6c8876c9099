"""Which bots have all their calls throttled now: no state of its own (CONTRACT C2)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import F, Q

from accounts.models import Account, Bot
from policies.models import Policy
from policies.rules import UsageRule
from policies.selectors import policies, rule_of
from policies.thresholds import covers_bot_wholly
from usage import counters
from usage.models import Counter
from usage.selectors import from_model

# An account with more full counters than these has other worries.
MOST: Final = 500
_EVERYONE: Final = 100
Subject = Sequence[Sequence[str | None]]


def throttled_bots(
    account: Account, bots: Iterable[Bot], now: datetime
) -> dict[UUID, Policy]:
    """Return the bots whose every call is over a throttling limit, and by which policy.

    A limit that is about some of a bot's users or models only does not stop the bot.
    """
    found = _full(account, now)
    stopped = {}
    for bot in bots:
        mine = (policy for policy, rule, row in found if covers(rule, row.subject, bot))
        first = next(mine, None)
        if first is not None:
            stopped[bot.id] = first
    return stopped


def throttles(rule: UsageRule) -> bool:
    """Say whether a policy throttles everyone that it is about."""
    everyone = rule.rollout_mode == "enforce" and rule.rollout_percent == _EVERYONE
    return everyone and rule.actions.throttle


def covers(rule: UsageRule, subject: Subject, bot: Bot) -> bool:
    """Say whether a counter of a policy is about every call of a bot."""
    fields = [str(field) for field, _ in subject]
    if not covers_bot_wholly(rule.scope, fields):
        return False
    project = None if bot.project is None else bot.project.public_id
    own = {"bot": bot.public_id, "project": project}
    named = {**rule.scope.document(), **{str(f): value for f, value in subject}}
    return all(own[field] == value for field, value in named.items() if field in own)


def _full(account: Account, now: datetime) -> list[tuple[Policy, UsageRule, Counter]]:
    """Return the counters of throttling limits that have nothing left."""
    rules = {}
    wanted = Q(pk__in=[])
    live = policies(account, type=Policy.Type.USAGE)
    for policy in live.filter(rollout_mode=Policy.Rollout.ENFORCE):
        rule = rule_of(policy)
        if throttles(rule):
            rules[policy.id] = policy, rule
            wanted |= _reached(policy, rule)
    if not rules:
        return []
    rows = Counter.objects.filter(wanted, account=account)
    rows = rows.exclude(window_end__lte=now, is_head=False)
    found = []
    for row in rows.order_by("id")[:MOST]:
        policy, rule = rules[row.policy_id]
        if _is_full(rule, row, now):
            found.append((policy, rule, row))
    return found


def _reached(policy: Policy, rule: UsageRule) -> Q:
    wanted = Q(pk__in=[])
    for limit in rule.limits:
        taken = limit.threshold - F("held")
        wanted |= Q(policy=policy, limit_key=limit.key, used__gte=taken)
    return wanted


def _is_full(rule: UsageRule, row: Counter, now: datetime) -> bool:
    if row.kind == "fixed" and not row.is_head:
        return False
    limits = {limit.key: limit for limit in rule.limits}
    limit = limits[row.limit_key]
    seen = counters.view(from_model(row), limit, now)
    return seen.used + seen.held >= limit.threshold
