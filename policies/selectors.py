"""Reads of policies, revisions and blocks; always within one account.

What is foreign looks exactly like what is absent: NotFound (CONTRACT G2).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts import ids
from accounts.errors import NotFound
from accounts.models import Account, Bot, Project
from policies import rules
from policies.decision import covers_bot_wholly
from policies.matching import effective_user, overlaps
from policies.models import Block, Policy, PolicyRevision
from policies.rules import Scope, UsageRule


def policies(
    account: Account,
    *,
    type: str | None = None,  # noqa: A002
    project: Project | None = None,
    include_archived: bool = False,
) -> QuerySet[Policy]:
    """Return the policies; for a caller bound to a project, those it may see.

    These are the project's own and the shared ones that are not about another
    project or a bot of one (CONTRACT G7).
    """
    found = Policy.objects.filter(account=account).select_related(
        "account", "project", "scope_project", "scope_bot"
    )
    if not include_archived:
        found = found.filter(archived_at=None)
    if type is not None:
        found = found.filter(type=type)
    if project is not None:
        found = found.filter(_visible_to(project))
    return found.order_by("id")


def policy_of(
    account: Account,
    public_id: str,
    project: Project | None = None,
    *,
    include_archived: bool = False,
) -> Policy:
    """Return one policy. Raises NotFound."""
    try:
        key = ids.decode_id("pol", public_id)
    except ids.InvalidId:
        raise NotFound from None
    found = policies(account, project=project, include_archived=include_archived)
    policy = found.filter(id=key).first()
    if policy is None:
        raise NotFound
    return policy


def applying_to(
    account: Account,
    *,
    bot: Bot,
    user: str | None = None,
    model: str | None = None,
) -> QuerySet[Policy]:
    """Return the live policies that can govern a call of a bot.

    Without `user` or `model`, policies about any user or model are among them.
    """
    found = policies(account).filter(
        Q(scope_bot=None) | Q(scope_bot=bot),
        Q(scope_project=None) | Q(scope_project_id=bot.project_id),
    )
    if user is not None:
        effective = effective_user(user, bot.owner)
        found = found.filter(Q(scope_user=None) | Q(scope_user=effective))
    if model is not None:
        patterns = found.exclude(scope_model=None).values_list("scope_model", flat=True)
        call = Scope(model=model)
        fitting = [each for each in set(patterns) if overlaps(Scope(model=each), call)]
        found = found.filter(Q(scope_model=None) | Q(scope_model__in=fitting))
    return found


def revisions(account: Account, policy: Policy) -> QuerySet[PolicyRevision]:
    """Return a policy's revisions, newest first."""
    found = PolicyRevision.objects.filter(account=account, policy=policy)
    return found.order_by("-number")


def blocks(
    account: Account, policy: Policy | None = None, live_at: datetime | None = None
) -> QuerySet[Block]:
    """Return blocks, newest first; a policy's, and those live at a moment, if asked."""
    found = Block.objects.filter(account=account)
    if policy is not None:
        found = found.filter(policy=policy)
    if live_at is not None:
        found = found.filter(_live(live_at))
    return found.select_related("account", "policy", "bot").order_by("-id")


def blocks_between(account: Account, start: datetime, end: datetime) -> QuerySet[Block]:
    """Return the blocks that stood at some time between two moments, newest first."""
    return blocks(account).filter(
        Q(ends_at=None) | Q(ends_at__gt=start),
        Q(lifted_at=None) | Q(lifted_at__gt=start),
        starts_at__lt=end,
    )


def names_at(
    account: Account, pairs: Collection[tuple[str, int]]
) -> dict[tuple[str, int], str]:
    """Return what policies were called at revisions, by public id and number."""
    keys = {ids.decode_id("pol", public_id) for public_id, _ in pairs}
    rows = PolicyRevision.objects.filter(
        account=account, policy__in=keys, number__in={number for _, number in pairs}
    )
    found = rows.values_list("policy_id", "number", "document__name")
    return {(ids.encode_id("pol", key), number): name for key, number, name in found}


def block_of(account: Account, policy: Policy, public_id: str) -> Block:
    """Return one block of a policy. Raises NotFound."""
    try:
        key = ids.decode_id("blk", public_id)
    except ids.InvalidId:
        raise NotFound from None
    block = blocks(account, policy).filter(id=key).first()
    if block is None:
        raise NotFound
    return block


def blocks_of_bot(account: Account, bot: Bot, now: datetime) -> list[Block]:
    """Return the live blocks that refuse some or all of a bot's calls."""
    return [block for block in blocks(account, live_at=now) if _concerns(block, bot)]


def bot_pause(account: Account, bot: Bot, now: datetime) -> Block | None:
    """Return the enforced block that covers all calls of a bot (CONTRACT C3).

    Of several, the one that ends last; None if none does.
    """
    return bot_pauses(account, [bot], now).get(bot.id)


def bot_pauses(
    account: Account, bots: Sequence[Bot], now: datetime
) -> dict[UUID, Block]:
    """Return what `bot_pause` does for several bots, by the bot's key."""
    live = blocks(account, live_at=now).filter(enforced=True)
    whole = [block for block in live if _covers_wholly(block)]
    pauses = {}
    for bot in bots:
        mine = [block for block in whole if _concerns(block, bot)]
        if mine:
            pauses[bot.id] = max(mine, key=_lasts)
    return pauses


def pause_among(found: Sequence[Block]) -> Block | None:
    """Return what `bot_pause` does, of the blocks that `blocks_of_bot` returned."""
    whole = [block for block in found if block.enforced and _covers_wholly(block)]
    return max(whole, key=_lasts, default=None)


def rule_of(policy: Policy) -> UsageRule:
    """Return a usage policy as the value that is decided on."""
    return rules.usage_rule(
        policy_id=policy.public_id,
        revision=policy.revision,
        document=policy.document,
        counting_since={
            key: datetime.fromisoformat(moment)
            for key, moment in policy.counting_since.items()
        },
    )


def _visible_to(project: Project) -> Q:
    shared = (
        Q(project=None)
        & (Q(scope_project=None) | Q(scope_project=project))
        & (Q(scope_bot=None) | Q(scope_bot__project=project))
    )
    return Q(project=project) | shared


def _live(moment: datetime) -> Q:
    unended = Q(ends_at=None) | Q(ends_at__gt=moment)
    unlifted = Q(lifted_at=None) | Q(lifted_at__gt=moment)
    return unended & unlifted & Q(starts_at__lte=moment)


def _concerns(block: Block, bot: Bot) -> bool:
    """Say whether a block can refuse a call of this bot."""
    if block.policy is None or block.kind == Block.Kind.REVOKE:
        return block.bot_id == bot.id
    policy = block.policy
    in_scope = policy.scope_bot_id in (None, bot.id) and policy.scope_project_id in (
        None,
        bot.project_id,
    )
    project = None if bot.project is None else bot.project.public_id
    own = {"bot": bot.public_id, "project": project}
    return in_scope and all(
        own[field] == value for field, value in block.subject if field in own
    )


def _covers_wholly(block: Block) -> bool:
    if block.policy is None or block.kind == Block.Kind.REVOKE:
        return True
    scope = Scope(**block.policy.document["scope"])
    return covers_bot_wholly(scope, [field for field, _ in block.subject])


def _lasts(block: Block) -> tuple[bool, datetime]:
    return block.ends_at is None, block.ends_at or block.starts_at
