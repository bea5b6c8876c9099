"""Setting up the demo: its accounts, bots and policies, dated when its history begins.

A change record of the account keeps the plan, so that a seed which was interrupted goes
on with the same one; another says that the history is complete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import transaction

from accounts.actors import SYSTEM
from accounts.models import Account, ChangeRecord, Project
from accounts.partitions import ensure_months
from accounts.selectors import account_by_slug, bot_by_reference, changes
from accounts.services import (
    append_change,
    create_account,
    create_bot,
    create_project,
    finish_start,
)
from audit.models import DecisionRecord
from policies import rules
from policies.models import Policy
from policies.selectors import policies
from policyhub.demo.story import DemoAccount, DemoBot, DemoPolicy
from usage import edits
from usage.models import UsageEvent

STARTED = "demo.started"
COMPLETED = "demo.completed"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed was asked for: the days before `end`, made from `seed`."""

    start: datetime
    end: datetime
    seed: int


@dataclass(slots=True)
class Cast:
    """One account of the story as it stands in the database."""

    story: DemoAccount
    account: Account
    bots: dict[str, str] = field(default_factory=dict)
    policies: set[str] = field(default_factory=set)


def is_complete(account: Account) -> bool:
    """Whether the whole history was made."""
    return ChangeRecord.objects.filter(account=account, action=COMPLETED).exists()


@transaction.atomic
def set_up(
    *,
    account: Account,
    stories: Sequence[DemoAccount],
    days: int,
    seed: int,
    now: datetime,
) -> Plan:
    """Make what the history needs, once, and return its plan.

    A plan that was begun is returned as it was, whatever is asked for now.
    """
    begun = _begun(account)
    if begun is not None:
        return begun
    end = now.replace(second=0, microsecond=0)
    start = (end - timedelta(days=days)).replace(minute=0)
    for table in (UsageEvent, DecisionRecord):
        ensure_months(table=table._meta.db_table, first=start, last=end)  # noqa: SLF001
    for story in stories:
        _populate(story, start)
    plan = Plan(start, end, seed)
    wanted = {"start": start.isoformat(), "end": end.isoformat(), "seed": seed}
    append_change(
        account=account,
        actor=SYSTEM,
        action=STARTED,
        target=account.public_id,
        changes=[{"field": name, "after": value} for name, value in wanted.items()],
        now=now,
    )
    return plan


def cast_of(story: DemoAccount) -> Cast:
    """Find an account of the story, its bots and its policies."""
    account = account_by_slug(story.slug)
    bots = {
        bot.external_id: bot_by_reference(account, bot.external_id).public_id
        for bot in story.bots
    }
    names = {policy.name for policy in story.policies}
    found = policies(account, type=Policy.Type.USAGE, include_archived=True)
    written = {policy.public_id for policy in found if policy.name in names}
    return Cast(story, account, bots, written)


@transaction.atomic
def finish(*, account: Account, stories: Sequence[DemoAccount], now: datetime) -> None:
    """Write the policies that need the history to be there, and say it is complete."""
    if is_complete(account):
        return
    for story in stories:
        owner = account_by_slug(story.slug)
        for policy in story.late:
            _write_policy(owner, policy, now)
    append_change(
        account=account,
        actor=SYSTEM,
        action=COMPLETED,
        target=account.public_id,
        now=now,
    )


def _begun(account: Account) -> Plan | None:
    record = changes(account, account.public_id).filter(action=STARTED).first()
    if record is None:
        return None
    said = {change["field"]: change["after"] for change in record.changes}
    start, end = (
        datetime.fromisoformat(said[name]).astimezone(UTC) for name in ("start", "end")
    )
    return Plan(start, end, said["seed"])


def _opened(story: DemoAccount, now: datetime) -> Account:
    """Return the account of a story; one that names no owner has its people already."""
    if not story.owner:
        return account_by_slug(story.slug)
    account = create_account(
        slug=story.slug, owner_email=story.owner, name=story.name, now=now
    )
    finish_start(account=account, actor=SYSTEM, now=now)
    return account


def _populate(story: DemoAccount, now: datetime) -> None:
    account = _opened(story, now)
    projects = {
        key: create_project(
            account=account, name=name, external_id=key, actor=SYSTEM, now=now
        )
        for key, name in story.projects.items()
    }
    for bot in story.bots:
        _register(account, bot, projects, now)
    for policy in story.policies:
        _write_policy(account, policy, now)


def _register(
    account: Account, bot: DemoBot, projects: Mapping[str, Project], now: datetime
) -> None:
    create_bot(
        account=account,
        name=bot.name,
        external_id=bot.external_id,
        project=projects.get(bot.project or ""),
        owner=bot.owner,
        description=bot.description,
        actor=SYSTEM,
        now=now,
    )


def _write_policy(account: Account, policy: DemoPolicy, now: datetime) -> None:
    document = {
        **policy.rule,
        "name": policy.name,
        "description": policy.description,
        "scope": {"bot": bot_by_reference(account, policy.bot).public_id},
    }
    edits.create_policy(
        account=account, document=rules.parse(document), actor=SYSTEM, now=now
    )
