"""Fire what a limit should have fired: after an edit, and once a minute as a net.

The ledger fires in the transaction that crosses. An edit may lower a threshold below
what is used, which is a crossing too (CONTRACT B5); and if a crossing was ever missed,
the net finds it. Neither fires twice: alerts are unique by constraint, and a counter
that was blocked once in a window is left alone.
"""

from collections.abc import Generator, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts import ids
from accounts.models import Account
from alerts.models import Alert
from policies.covers import cover_of_bot, cover_of_policy
from policies.matching import Caller, Subject, effective_user, enforced
from policies.models import Block, Policy
from policies.rules import Limit, UsageRule
from policies.selectors import rule_of
from policies.thresholds import reached_steps
from usage import counters, statements
from usage.counters import Counter
from usage.crossing import open_alert, stop
from usage.drivers import drive
from usage.entries import Item, ReleaseIn
from usage.rulebook import Book, BotInfo, Match, Rulebooks
from usage.statements import Statement
from usage.wanted import account_locks
from usage.work import Entry, Work
from usage.writing import write

Steps = Generator[list[Statement], Any, int]


def evaluate_thresholds(*, now: datetime) -> int:
    """Fire every current counter that is over its threshold and was never fired."""
    fired = 0
    live = Policy.objects.filter(type=Policy.Type.USAGE, archived_at=None)
    for policy in live.exclude(rollout_mode="off").select_related("account"):
        with transaction.atomic():
            fired += drive(_fire(policy, rule_of(policy), now=now, before=None))
    return fired


def fire_after_edit(*, policy: Policy, before: UsageRule | None, now: datetime) -> None:
    """Fire what an edit has made a crossing (B5), earlier steps of alerts included.

    `before` is the rule as it was. Runs in the edit's transaction, under its lock.
    """
    drive(_fire(policy, rule_of(policy), now=now, before=before))


def _fire(
    policy: Policy, rule: UsageRule, *, now: datetime, before: UsageRule | None
) -> Steps:
    account, limits = policy.account, {limit.key: limit for limit in rule.limits}
    _, rows = yield [
        account_locks([account.id]),
        Statement(
            statements.LOCK_CURRENT,
            (str(account.id), str(policy.id), now.isoformat()),
            rows=True,
        ),
    ]
    work = Work(now=now, books=Rulebooks())
    found = [
        (counter, limits[counter.limit_key])
        for counter in map(counters.from_row, rows)
        if counter.limit_key in limits
    ]
    if before is not None:
        _warn(work, policy, before, rule, found)
    over = [pair for pair in found if _is_over(*pair, now)]
    stopped = _stopped(account, policy, [counter for counter, _ in over])
    told = _told(account, [counter for counter, _ in over])
    fired = 0
    for counter, limit in over:
        entry, match = _entry(account, policy, rule, counter)
        if before is not None:
            again = _was_over(before, rule, counter)
        else:
            again = (counter.id, counter.window_start) in stopped
        if str(counter.id) not in told:
            open_alert(work, entry, match, limit, counter, step=100, late=False)
        if not again:
            stop(work, entry, match, limit, counter)
        work.counters[counter.id] = counter
        fired += bool(counter.dirty or not again)
    yield from write(work)
    return fired


def _is_over(counter: Counter, limit: Limit, now: datetime) -> bool:
    used = counters.view(counter, limit, now).used
    return used >= limit.threshold and (used > 0 or counter.window_start is not None)


def _warn(
    work: Work,
    policy: Policy,
    before: UsageRule,
    rule: UsageRule,
    found: Iterable[tuple[Counter, Limit]],
) -> None:
    """Tell of steps below 100 that an edit has reached: the old rule's were told."""
    thresholds = {each.key: each.threshold for each in before.limits}
    for counter, limit in found:
        used = counters.view(counter, limit, work.now).used
        old = thresholds.get(limit.key)
        known = () if old is None else reached_steps(old, used, before.alert_steps)
        for step in reached_steps(limit.threshold, used, rule.alert_steps):
            if step < 100 and step not in known:
                entry, match = _entry(policy.account, policy, rule, counter)
                open_alert(work, entry, match, limit, counter, step=step, late=False)
                work.counters[counter.id] = counter


def _was_over(before: UsageRule, rule: UsageRule, counter: Counter) -> bool:
    """Whether the rule as it was had stopped this counter's calls already."""
    same = (
        before.rollout_mode == rule.rollout_mode
        and (before.actions.block is None) == (rule.actions.block is None)
        and before.actions.revoke == rule.actions.revoke
    )
    thresholds: Mapping[str, int] = {i.key: i.threshold for i in before.limits}
    old = thresholds.get(counter.limit_key)
    return same and old is not None and counter.used >= old


def _stopped(
    account: Account, policy: Policy, over: Iterable[Counter]
) -> set[tuple[UUID | None, datetime | None]]:
    """The counters' windows that were blocked before, also if it was lifted since."""
    if not policy.actions.keys() & {"block", "revoke"}:
        return set()
    found = Block.objects.filter(
        account=account, policy=policy, counter__in=[counter.id for counter in over]
    )
    return set(found.values_list("counter", "window_start"))


def _told(account: Account, over: Iterable[Counter]) -> set[str]:
    """The rolling counters whose episode goes on: their alert is open (D1)."""
    rolling = [str(counter.id) for counter in over if counter.kind == "rolling"]
    found = Alert.objects.filter(account=account, counter__in=rolling, step=100)
    return set(found.exclude(state="resolved").values_list("counter", flat=True))


def _entry(
    account: Account, policy: Policy, rule: UsageRule, counter: Counter
) -> tuple[Entry, Match]:
    bot = _bot(account, rule, counter)
    subject = tuple((pair[0] or "", pair[1]) for pair in counter.subject)
    match = Match(
        rule=rule,
        policy_id=policy.id,
        subject=subject,
        subject_key=counter.subject_key,
        cover=cover_of_policy(policy.id, counter.subject_key),
        enforced=enforced(rule, _caller(rule, bot, subject)),
        shared=policy.project_id is None,
    )
    nothing = ReleaseIn("")
    book = Book(account_id=account.id, version=0)
    return Entry(Item(account.id, [nothing]), nothing, book, bot=bot), match


def _caller(rule: UsageRule, bot: BotInfo | None, subject: Subject) -> Caller:
    """Who calls, as far as the counter tells: a share of callers needs to know (C7)."""
    known = dict(subject)
    user = known.get("user") or rule.scope.user
    return Caller(
        project=known.get("project") or rule.scope.project,
        bot=bot.public_id if bot else "",
        user=effective_user(user, bot.owner if bot else None),
        model=known.get("model") or rule.scope.model,
    )


def _bot(account: Account, rule: UsageRule, counter: Counter) -> BotInfo | None:
    """The one bot that a counter is about, if it is about one."""
    named = {pair[0]: pair[1] for pair in counter.subject}.get("bot")
    public_id = named or rule.scope.bot
    if public_id is None:
        return None
    bot = account.bots.filter(id=ids.decode_id("bot", public_id)).first()
    if bot is None:
        return None
    return BotInfo(
        bot.id,
        public_id,
        bot.external_id,
        bot.name,
        bot.project_id,
        bot.owner,
        bot.state,
        cover_of_bot(bot.id),
    )
