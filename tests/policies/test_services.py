"""What is written about policies, their revisions and their blocks."""

import copy
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from accounts.actors import SYSTEM, Actor
from accounts.errors import (
    AlreadyArchived,
    BlockIsShared,
    InvalidBody,
    NotFound,
    StaleRevision,
    UnknownReference,
)
from accounts.selectors import changes
from accounts.services import create_account, create_bot, create_key, create_project
from policies import rules
from policies.covers import cover_of_bot, cover_of_policy
from policies.models import Block
from policies.selectors import (
    applying_to,
    block_of,
    blocks,
    blocks_of_bot,
    bot_pause,
    policies,
    policy_of,
    revisions,
    rule_of,
)
from policies.services import (
    archive_policy,
    block_bot,
    create_policy,
    lift_blocks,
    replace_policy,
    restore_bot,
    restore_revision,
    revoke_bot,
    unblock_bot,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ALICE = Actor("person", "per_x", "alice@x.org")
DAY = {"kind": "calendar", "unit": "day"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return create_account(slug="acme", owner_email="alice@x.org", now=NOW)


@pytest.fixture
def rival():
    return create_account(slug="rival", owner_email="charlie@x.org", now=NOW)


@pytest.fixture
def bot(acme):
    return create_bot(account=acme, name="Bot", actor=ALICE, now=NOW)


def _document(**changes):
    limit = {"metric": "tokens", "threshold": 100, "window": DAY}
    draft = {
        "type": "usage",
        "name": "Cap",
        "limits": [limit],
        "actions": {"block": {}},
    }
    return rules.parse({**draft, **changes})


def _policy(account, project=None, **changes):
    return create_policy(
        account=account,
        document=_document(**changes),
        actor=ALICE,
        now=NOW,
        project=project,
    )


def _project(account, name="P"):
    return create_project(account=account, name=name, actor=ALICE, now=NOW)


def _replace(policy, document, **options):
    options = {"actor": ALICE, "now": LATER, "expected_revision": None} | options
    return replace_policy(policy=policy, document=document, **options)


def _block(policy, *, subject=(), counter=None, now=NOW, **options):
    return Block.objects.create(
        account=policy.account,
        kind=Block.Kind.POLICY,
        policy=policy,
        cover=cover_of_policy(policy.id, ""),
        counter=counter or uuid4(),
        window_start=now,
        subject=[list(pair) for pair in subject],
        starts_at=now,
        **options,
    )


def test_a_new_policy_counts_from_its_creation(acme, bot):
    policy = _policy(acme, scope={"bot": bot.public_id, "user": "u", "model": "m*"})

    rule = rule_of(policy)
    assert (rule.revision, rule.scope.bot) == (1, bot.public_id)
    assert rule.counting_since == {rule.limits[0].key: NOW}
    assert (policy.scope_bot, policy.scope_user) == (bot, "u")
    assert policy.scope_model == "m*"
    revision = revisions(acme, policy).get()
    assert (revision.number, revision.document) == (1, policy.document)
    assert changes(acme, target=policy.public_id).get().action == "policy.created"


def test_a_replaced_policy_keeps_what_its_limits_are(acme):
    policy = _policy(acme)
    key = rule_of(policy).limits[0].key
    document = copy.deepcopy(policy.document)
    document["limits"][0]["threshold"] = 5
    document["limits"].append({"metric": "calls", "threshold": 9, "window": DAY})

    replaced = _replace(policy, rules.parse(document), reason="tighter")
    rule = rule_of(replaced)
    assert replaced.revision == 2
    assert rule.counting_since == {key: NOW, rule.limits[1].key: LATER}
    newest = revisions(acme, policy).first()
    assert newest is not None
    assert (newest.number, newest.reason) == (2, "tighter")
    fields = [change["field"] for change in newest.changes]
    assert fields == ["limits.0.threshold", "limits.1"]


def test_another_scope_is_another_counter(acme, bot):
    policy = _policy(acme)
    replaced = _replace(policy, _document(scope={"bot": bot.public_id}))

    assert list(replaced.counting_since.values()) == [LATER.isoformat()]


def test_stale_archived_and_mistyped_edits_change_nothing(acme):
    policy = _policy(acme)
    _replace(policy, _document(name="Second"), expected_revision=1)
    with pytest.raises(StaleRevision):
        _replace(policy, _document(name="Third"), expected_revision=1)
    retention = {"target": "conversations", "max_age_days": 1}
    other = rules.parse({"type": "retention", "name": "R", "retention": retention})
    with pytest.raises(InvalidBody) as refused:
        _replace(policy, other)
    assert refused.value.errors[0]["pointer"] == "/type"
    archive_policy(policy=policy, actor=ALICE, now=LATER, expected_revision=2)
    with pytest.raises(AlreadyArchived):
        _replace(policy, _document())
    policy.refresh_from_db()
    assert (policy.name, policy.revision, policy.archived_at) == ("Second", 2, LATER)
    with pytest.raises(NotFound):
        policy_of(acme, policy.public_id)
    archived = policy_of(acme, policy.public_id, include_archived=True)
    assert archived.id == policy.id


def test_a_revision_comes_back_as_the_next_one(acme):
    policy = _policy(acme, name="First")
    _replace(policy, _document(name="Second"))
    restored = restore_revision(
        policy=policy, number=1, actor=ALICE, now=LATER, expected_revision=2
    )

    assert (restored.name, restored.revision) == ("First", 3)
    assert restored.revisions.get(number=3).reason == "revision 1 restored"
    again = restore_revision(
        policy=policy,
        number=2,
        actor=ALICE,
        now=LATER,
        expected_revision=3,
        reason="better so",
    )
    kept = "revision 2 restored: better so"
    assert again.revisions.get(number=4).reason == kept
    assert changes(acme, target=policy.public_id).first().reason == kept
    with pytest.raises(NotFound):
        restore_revision(
            policy=policy, number=9, actor=ALICE, now=LATER, expected_revision=None
        )


def test_every_unknown_reference_is_named(acme, rival, bot):
    foreign = create_bot(account=rival, name="x", actor=ALICE, now=NOW)
    scope = {"bot": foreign.public_id, "project": "prj_x"}
    actions = {"webhook": {"to": ["whk_01kjm3v5c0e8r9q2t4w6y8z0a3"]}}

    with pytest.raises(UnknownReference) as refused:
        _policy(acme, scope=scope, actions=actions)
    pointers = {each["pointer"] for each in refused.value.errors}
    assert pointers == {"/scope/project", "/scope/bot", "/actions/webhook/to/0"}
    assert not policies(acme)


def test_a_projects_policy_is_about_that_project_alone(acme, bot):
    project, other = _project(acme), _project(acme, "Q")
    policy = _policy(acme, project)

    assert policy.document["scope"] == {"project": project.public_id}
    assert policy.scope_project == project
    for scope in ({"project": other.public_id}, {"bot": bot.public_id}):
        with pytest.raises(UnknownReference):
            _policy(acme, project, scope=scope)


def test_a_projects_callers_see_its_policies_and_the_shared_ones(acme):
    project, other = _project(acme), _project(acme, "Q")
    bot = create_bot(account=acme, name="b", project=other, actor=ALICE, now=NOW)
    shared, own = _policy(acme), _policy(acme, project)
    about = _policy(acme, scope={"project": project.public_id})
    hidden = [
        _policy(acme, other),
        _policy(acme, scope={"project": other.public_id}),
        _policy(acme, scope={"bot": bot.public_id}),
    ]

    visible = {each.id for each in policies(acme, project=project)}
    assert visible == {shared.id, own.id, about.id}
    for policy in hidden:
        with pytest.raises(NotFound):
            policy_of(acme, policy.public_id, project)


def test_what_applies_to_a_bot_is_found_by_its_scope(acme):
    project = _project(acme)
    bot = create_bot(
        account=acme, name="b", project=project, owner="o", actor=ALICE, now=NOW
    )
    other = create_bot(account=acme, name="c", actor=ALICE, now=NOW)
    scopes = {
        "all": {},
        "own": {"bot": bot.public_id},
        "other": {"bot": other.public_id},
        "project": {"project": project.public_id},
        "owner": {"user": "o"},
        "user": {"user": "u"},
        "gpt": {"model": "gpt-*"},
        "exact": {"model": "claude"},
    }
    for name, scope in scopes.items():
        _policy(acme, name=name, scope=scope)

    def names(**call):
        return {each.name for each in applying_to(acme, bot=bot, **call)}

    always = {"all", "own", "project"}
    assert names() == always | {"owner", "user", "gpt", "exact"}
    assert names(user="u") == always | {"user", "gpt", "exact"}
    assert names(user="", model="gpt-4") == always | {"owner", "gpt"}
    assert names(user="x", model="claude") == always | {"exact"}


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
    own = _block(_policy(acme, scope={"bot": bot.public_id}))
    by_subject = _block(
        _policy(acme, group_by=["bot"]), subject=[("bot", bot.public_id)]
    )
    theirs = _block(_policy(acme, group_by=["bot"]), subject=[("bot", other.public_id)])

    assert {each.id for each in blocks_of_bot(acme, bot, NOW)} == {
        own.id,
        by_subject.id,
    }
    assert unblock_bot(bot=bot, actor=ALICE, now=NOW) == 2
    theirs.refresh_from_db()
    assert theirs.lifted_at is None


def test_a_shared_block_is_named_and_stays(acme, bot):
    policy = _policy(acme)
    block = _block(policy)

    with pytest.raises(BlockIsShared) as refused:
        unblock_bot(bot=bot, actor=ALICE, now=NOW)
    assert policy.public_id in refused.value.detail
    block.refresh_from_db()
    assert block.lifted_at is None


def test_a_shadow_block_pauses_nobody(acme, bot):
    _block(_policy(acme, rollout_mode="shadow"), enforced=False)

    assert bot_pause(acme, bot, NOW) is None
    assert unblock_bot(bot=bot, actor=ALICE, now=NOW) == 0


def test_a_bot_is_paused_by_what_covers_all_its_calls(acme, bot):
    _block(_policy(acme, scope={"user": "u"}))
    _block(_policy(acme, group_by=["user"]), subject=[("user", "u")])
    assert len(blocks_of_bot(acme, bot, NOW)) == 2
    assert bot_pause(acme, bot, NOW) is None

    short = _block(_policy(acme), ends_at=LATER)
    assert bot_pause(acme, bot, NOW) == short
    endless = _block(_policy(acme))
    assert bot_pause(acme, bot, NOW) == endless


def test_a_block_of_another_project_is_not_the_bots(acme, bot):
    project = _project(acme)
    _block(_policy(acme, project))
    _block(
        _policy(acme, group_by=["project"]), subject=[("project", project.public_id)]
    )

    assert blocks_of_bot(acme, bot, NOW) == []


def test_lifting_takes_a_policys_own_blocks_never_a_revoke(acme, bot):
    policy, counter = _policy(acme), uuid4()
    mine, other = _block(policy, counter=counter), _block(policy)
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
        policy=_policy(acme),
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


def test_another_accounts_rows_are_not_found(acme, rival):
    policy = _policy(rival)
    block = _block(policy)
    with pytest.raises(NotFound):
        policy_of(acme, policy.public_id)
    with pytest.raises(NotFound):
        block_of(acme, policy, block.public_id)
    with pytest.raises(NotFound):
        policy_of(acme, "pol_x")
    assert not blocks(acme)
    assert not policies(acme)
