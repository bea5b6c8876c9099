"""Blocks of policies and of persons: what they pause, and how they end."""

from datetime import timedelta
from uuid import uuid4

import pytest

from accounts.actors import SYSTEM
from accounts.errors import (
    BlockIsShared,
)
from accounts.services import create_bot, create_key
from policies.covers import cover_of_bot
from policies.models import Block
from policies.selectors import (
    block_of,
    blocks,
    blocks_of_bot,
    bot_pause,
)
from policies.services import (
    block_bot,
    lift_blocks,
    restore_bot,
    revoke_bot,
    unblock_bot,
)
from tests.policies.written import ALICE, LATER, NOW, a_block, a_policy, a_project

pytestmark = pytest.mark.django_db


def test_a_person_blocks_and_unblocks_a_bot(acme, bot):
    block_bot(bot=bot, reason="first", actor=ALICE, now=NOW)
    block = block_bot(bot=bot, reason="loop", actor=ALICE, now=LATER)

    assert block.cover == cover_of_bot(bot.id)
    assert [each.id for each in blocks(acme, live_at=LATER)] == [block.id]
    assert bot_pause(acme, bot, LATER) == block
    assert unblock_bot(bot=bot, actor=ALICE, now=LATER, reason="fixed") == 1
    assert bot_pause(acme, bot, LATER) is None
    assert unblock_bot(bot=bot, actor=ALICE, now=LATER) == 0
    block.refresh_from_db()
    assert (block.lifted_by, block.lift_reason) == ("alice@x.org", "fixed")


def test_a_block_with_an_end_ends_by_itself(acme, bot):
    block_bot(bot=bot, reason="", actor=ALICE, now=NOW, ends_at=LATER)

    assert bot_pause(acme, bot, LATER - timedelta(microseconds=1))
    assert bot_pause(acme, bot, LATER) is None


def test_unblocking_lifts_only_what_concerns_the_bot_alone(acme, bot):
    other = create_bot(account=acme, name="c", actor=ALICE, now=NOW)
    own = a_block(a_policy(acme, scope={"bot": bot.public_id}))
    by_subject = a_block(
        a_policy(acme, group_by=["bot"]), subject=[("bot", bot.public_id)]
    )
    theirs = a_block(
        a_policy(acme, group_by=["bot"]), subject=[("bot", other.public_id)]
    )

    assert {each.id for each in blocks_of_bot(acme, bot, NOW)} == {
        own.id,
        by_subject.id,
    }
    assert unblock_bot(bot=bot, actor=ALICE, now=NOW) == 2
    theirs.refresh_from_db()
    assert theirs.lifted_at is None


def test_a_shared_block_is_named_and_stays(acme, bot):
    policy = a_policy(acme)
    block = a_block(policy)

    with pytest.raises(BlockIsShared) as refused:
        unblock_bot(bot=bot, actor=ALICE, now=NOW)
    assert policy.public_id in refused.value.detail
    block.refresh_from_db()
    assert block.lifted_at is None


def test_a_shadow_block_pauses_nobody(acme, bot):
    a_block(a_policy(acme, rollout_mode="shadow"), enforced=False)

    assert bot_pause(acme, bot, NOW) is None
    assert unblock_bot(bot=bot, actor=ALICE, now=NOW) == 0


def test_a_bot_is_paused_by_what_covers_all_its_calls(acme, bot):
    a_block(a_policy(acme, scope={"user": "u"}))
    a_block(a_policy(acme, group_by=["user"]), subject=[("user", "u")])
    assert len(blocks_of_bot(acme, bot, NOW)) == 2
    assert bot_pause(acme, bot, NOW) is None

    short = a_block(a_policy(acme), ends_at=LATER)
    assert bot_pause(acme, bot, NOW) == short
    endless = a_block(a_policy(acme))
    assert bot_pause(acme, bot, NOW) == endless


def test_a_block_of_another_project_is_not_the_bots(acme, bot):
    project = a_project(acme)
    a_block(a_policy(acme, project))
    a_block(
        a_policy(acme, group_by=["project"]), subject=[("project", project.public_id)]
    )

    assert blocks_of_bot(acme, bot, NOW) == []


def test_lifting_takes_a_policys_own_blocks_never_a_revoke(acme, bot):
    policy, counter = a_policy(acme), uuid4()
    mine, other = a_block(policy, counter=counter), a_block(policy)
    revoke = Block.objects.create(
        account=acme,
        kind=Block.Kind.REVOKE,
        policy=policy,
        bot=bot,
        cover=cover_of_bot(bot.id),
        starts_at=NOW,
    )
    lift = {"policy": policy, "actor": SYSTEM, "now": LATER, "reason": "raised"}

    assert lift_blocks(**lift, only_counters=[counter]) == 1
    assert lift_blocks(**lift, only_counters=[]) == 0
    assert lift_blocks(**lift) == 1
    for block in (mine, other):
        block.refresh_from_db()
        assert block.lifted_at == LATER
    revoke.refresh_from_db()
    assert revoke.lifted_at is None
    assert block_of(acme, policy, mine.public_id) == mine


def test_only_a_person_restores_a_revoked_bot(acme, bot):
    key, _ = create_key(
        account=acme, name="", scopes=["decide"], bot=bot, actor=ALICE, now=NOW
    )
    revoked = revoke_bot(bot=bot, reason="leak", actor=ALICE, now=NOW)
    block = Block.objects.create(
        account=acme,
        kind=Block.Kind.REVOKE,
        policy=a_policy(acme),
        bot=bot,
        cover=cover_of_bot(bot.id),
        starts_at=NOW,
    )
    assert revoked.state == "revoked"
    key.refresh_from_db()
    assert key.revoked_at == NOW
    assert unblock_bot(bot=bot, actor=ALICE, now=LATER) == 0

    restored = restore_bot(bot=bot, reason="new key", actor=ALICE, now=LATER)
    assert restored.state == "active"
    block.refresh_from_db()
    key.refresh_from_db()
    assert (block.lifted_at, key.revoked_at) == (LATER, NOW)
    assert bot_pause(acme, bot, LATER) is None
