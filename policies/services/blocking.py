"""What a person does to a bot's blocks, and what an edit does to a policy's."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts import ids
from accounts.actors import Actor
from accounts.errors import AlreadyArchived, BlockIsShared
from accounts.models import Bot
from accounts.services import (
    append_change,
    bump_version,
    revoke_keys_of_bot,
    set_bot_state,
)
from policies.covers import cover_of_bot
from policies.models import Block, Policy
from policies.selectors import blocks_of_bot
from policies.services.telling import tell_of_restore, tell_of_revoke


@transaction.atomic
def block_bot(
    *,
    bot: Bot,
    reason: str,
    actor: Actor,
    now: datetime,
    ends_at: datetime | None = None,
) -> Block:
    """Refuse every call of a bot until `ends_at`, or until somebody lifts it.

    A person's earlier block gives way to this one. Raises AlreadyArchived.
    """
    bot = _locked(bot)
    earlier = _live(Block.objects.filter(bot=bot, kind=Block.Kind.PERSON), now)
    _lift(earlier, actor=actor, now=now, reason="replaced")
    block = Block.objects.create(
        id=ids.new_id(now),
        account=bot.account,
        kind=Block.Kind.PERSON,
        bot=bot,
        cover=cover_of_bot(bot.id),
        reason=reason,
        starts_at=now,
        ends_at=ends_at,
    )
    _append(bot, "bot.blocked", actor=actor, reason=reason, now=now)
    return block


@transaction.atomic
def unblock_bot(*, bot: Bot, actor: Actor, now: datetime, reason: str = "") -> int:
    """Lift what a person set and what concerns this bot alone; returns how many.

    Raises BlockIsShared, naming the policy, when all that stands against the bot
    covers other calls too (CONTRACT C4), and AlreadyArchived.
    """
    bot = _locked(bot)
    standing = list(blocks_of_bot(bot.account, bot, now))
    own = [block for block in standing if _is_own(block, bot)]
    lifted = _lift(
        Block.objects.filter(id__in=[block.id for block in own]),
        actor=actor,
        now=now,
        reason=reason,
    )
    shared = [
        block.policy
        for block in standing
        if block.enforced and block.policy and block.kind == Block.Kind.POLICY
    ]
    if not lifted and shared:
        policy = shared[0]
        raise BlockIsShared(
            f"The block comes from the policy “{policy.name}” ({policy.public_id}) "
            "and covers more than this bot; clear it there.",
            errors=[{"pointer": "", "detail": policy.public_id}],
        )
    if lifted:
        _append(bot, "bot.unblocked", actor=actor, reason=reason, now=now)
    return lifted


@transaction.atomic
def revoke_bot(*, bot: Bot, reason: str, actor: Actor, now: datetime) -> Bot:
    """Take a bot's right to call, and every key bound to it (CONTRACT C5).

    Raises AlreadyArchived.
    """
    bump_version(account_id=bot.account_id)
    revoked = set_bot_state(
        bot=bot, state=Bot.State.REVOKED, reason=reason, actor=actor, now=now
    )
    revoke_keys_of_bot(bot=revoked, actor=actor, now=now, reason="bot revoked")
    tell_of_revoke(bot=revoked, actor=actor, reason=reason, now=now)
    return revoked


@transaction.atomic
def restore_bot(*, bot: Bot, reason: str, actor: Actor, now: datetime) -> Bot:
    """Make a revoked or disabled bot active again; its keys stay revoked.

    Raises AlreadyArchived.
    """
    bump_version(account_id=bot.account_id)
    restored = set_bot_state(
        bot=bot, state=Bot.State.ACTIVE, reason=reason, actor=actor, now=now
    )
    revokes = _live(Block.objects.filter(bot=bot, kind=Block.Kind.REVOKE), now)
    _lift(revokes, actor=actor, now=now, reason=reason)
    tell_of_restore(bot=restored, actor=actor, reason=reason, now=now)
    return restored


@transaction.atomic
def lift_blocks(
    *,
    policy: Policy,
    actor: Actor,
    now: datetime,
    reason: str,
    only_counters: Iterable[UUID] | None = None,
) -> int:
    """Lift a policy's own blocks, never a revoke; returns how many (CONTRACT B5).

    `only_counters` narrows it to the blocks that came from these counters.
    """
    bump_version(account_id=policy.account_id)
    blocks = _live(Block.objects.filter(policy=policy, kind=Block.Kind.POLICY), now)
    if only_counters is not None:
        blocks = blocks.filter(counter__in=list(only_counters))
    lifted = _lift(blocks, actor=actor, now=now, reason=reason)
    if lifted:
        append_change(
            account=policy.account,
            actor=actor,
            action="policy.blocks_lifted",
            target=policy.public_id,
            changes=[{"field": "blocks", "before": lifted, "after": 0}],
            reason=reason,
            now=now,
        )
    return lifted


def _locked(bot: Bot) -> Bot:
    bump_version(account_id=bot.account_id)
    fresh = Bot.objects.select_related("account", "project").get(id=bot.id)
    if fresh.archived_at is not None:
        raise AlreadyArchived
    return fresh


def _live(blocks: QuerySet[Block], now: datetime) -> QuerySet[Block]:
    return blocks.filter(Q(ends_at=None) | Q(ends_at__gt=now), lifted_at=None)


def _lift(blocks: QuerySet[Block], *, actor: Actor, now: datetime, reason: str) -> int:
    return blocks.update(
        lifted_at=now, lifted_by=actor.label or actor.id, lift_reason=reason
    )


def _is_own(block: Block, bot: Bot) -> bool:
    """Say whether a block is a person's, or a policy's that concerns this bot alone."""
    if block.kind == Block.Kind.PERSON:
        return True
    if block.kind == Block.Kind.REVOKE or block.policy is None:
        return False
    by_subject = ["bot", bot.public_id] in block.subject
    return by_subject or block.policy.scope_bot_id == bot.id


def _append(bot: Bot, action: str, *, actor: Actor, reason: str, now: datetime) -> None:
    append_change(
        account=bot.account,
        actor=actor,
        action=action,
        target=bot.public_id,
        reason=reason,
        now=now,
    )
