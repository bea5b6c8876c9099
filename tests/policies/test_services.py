"""What is written about policies and their revisions."""

import copy
from datetime import timedelta

import pytest

from accounts.errors import (
    AlreadyArchived,
    InvalidBody,
    NotFound,
    StaleRevision,
    UnknownReference,
)
from accounts.selectors import changes
from accounts.services import create_bot
from policies import rules
from policies.selectors import (
    applying_to,
    block_of,
    blocks,
    policies,
    policy_of,
    revisions,
    rule_of,
)
from policies.services import (
    archive_policy,
    restore_revision,
)
from tests.policies.written import (
    ALICE,
    DAY,
    LATER,
    NOW,
    a_block,
    a_document,
    a_policy,
    a_project,
    replace_it,
)

pytestmark = pytest.mark.django_db


def test_a_new_policy_counts_from_its_creation(acme, bot):
    policy = a_policy(acme, scope={"bot": bot.public_id, "user": "u", "model": "m*"})

    rule = rule_of(policy)
    assert (rule.revision, rule.scope.bot) == (1, bot.public_id)
    assert rule.counting_since == {rule.limits[0].key: NOW}
    assert (policy.scope_bot, policy.scope_user) == (bot, "u")
    assert policy.scope_model == "m*"
    revision = revisions(acme, policy).get()
    assert (revision.number, revision.document) == (1, policy.document)
    assert changes(acme, target=policy.public_id).get().action == "policy.created"


def test_a_replaced_policy_keeps_what_its_limits_are(acme):
    policy = a_policy(acme)
    key = rule_of(policy).limits[0].key
    document = copy.deepcopy(policy.document)
    document["limits"][0]["threshold"] = 5
    document["limits"].append({"metric": "calls", "threshold": 9, "window": DAY})

    replaced = replace_it(policy, rules.parse(document), reason="tighter")
    rule = rule_of(replaced)
    assert replaced.revision == 2
    assert rule.counting_since == {key: NOW, rule.limits[1].key: LATER}
    newest = revisions(acme, policy).first()
    assert newest is not None
    assert (newest.number, newest.reason) == (2, "tighter")
    fields = [change["field"] for change in newest.changes]
    assert fields == ["limits.0.threshold", "limits.1"]


def test_another_scope_is_another_counter(acme, bot):
    policy = a_policy(acme)
    replaced = replace_it(policy, a_document(scope={"bot": bot.public_id}))

    assert list(replaced.counting_since.values()) == [LATER.isoformat()]


def test_stale_archived_and_mistyped_edits_change_nothing(acme):
    policy = a_policy(acme)
    replace_it(policy, a_document(name="Second"), expected_revision=1)
    with pytest.raises(StaleRevision):
        replace_it(policy, a_document(name="Third"), expected_revision=1)
    retention = {"target": "conversations", "max_age_days": 1}
    other = rules.parse({"type": "retention", "name": "R", "retention": retention})
    with pytest.raises(InvalidBody) as refused:
        replace_it(policy, other)
    assert refused.value.errors[0]["pointer"] == "/type"
    archive_policy(policy=policy, actor=ALICE, now=LATER, expected_revision=2)
    with pytest.raises(AlreadyArchived):
        replace_it(policy, a_document())
    policy.refresh_from_db()
    assert (policy.name, policy.revision, policy.archived_at) == ("Second", 2, LATER)
    with pytest.raises(NotFound):
        policy_of(acme, policy.public_id)
    archived = policy_of(acme, policy.public_id, include_archived=True)
    assert archived.id == policy.id


def test_a_revision_comes_back_as_the_next_one(acme):
    policy = a_policy(acme, name="First")
    replace_it(policy, a_document(name="Second"))
    restored = restore_revision(
        policy=policy, number=1, actor=ALICE, now=LATER, expected_revision=2
    )

    assert (restored.name, restored.revision) == ("First", 3)
    assert restored.revisions.get(number=3).reason == "revision 1 restored"
    again = restore_revision(
        policy=policy,
        number=2,
        actor=ALICE,
        now=LATER + timedelta(hours=1),
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
        a_policy(acme, scope=scope, actions=actions)
    pointers = {each["pointer"] for each in refused.value.errors}
    assert pointers == {"/scope/project", "/scope/bot", "/actions/webhook/to/0"}
    assert not policies(acme)


def test_a_projects_policy_is_about_that_project_alone(acme, bot):
    project, other = a_project(acme), a_project(acme, "Q")
    policy = a_policy(acme, project)

    assert policy.document["scope"] == {"project": project.public_id}
    assert policy.scope_project == project
    for scope in ({"project": other.public_id}, {"bot": bot.public_id}):
        with pytest.raises(UnknownReference):
            a_policy(acme, project, scope=scope)


def test_a_projects_callers_see_its_policies_and_the_shared_ones(acme):
    project, other = a_project(acme), a_project(acme, "Q")
    bot = create_bot(account=acme, name="b", project=other, actor=ALICE, now=NOW)
    shared, own = a_policy(acme), a_policy(acme, project)
    about = a_policy(acme, scope={"project": project.public_id})
    hidden = [
        a_policy(acme, other),
        a_policy(acme, scope={"project": other.public_id}),
        a_policy(acme, scope={"bot": bot.public_id}),
    ]

    visible = {each.id for each in policies(acme, project=project)}
    assert visible == {shared.id, own.id, about.id}
    for policy in hidden:
        with pytest.raises(NotFound):
            policy_of(acme, policy.public_id, project)


def test_what_applies_to_a_bot_is_found_by_its_scope(acme):
    project = a_project(acme)
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
        a_policy(acme, name=name, scope=scope)

    def names(**call):
        return {each.name for each in applying_to(acme, bot=bot, **call)}

    always = {"all", "own", "project"}
    assert names() == always | {"owner", "user", "gpt", "exact"}
    assert names(user="u") == always | {"user", "gpt", "exact"}
    assert names(user="", model="gpt-4") == always | {"owner", "gpt"}
    assert names(user="x", model="claude") == always | {"exact"}


def test_another_accounts_rows_are_not_found(acme, rival):
    policy = a_policy(rival)
    block = a_block(policy)
    with pytest.raises(NotFound):
        policy_of(acme, policy.public_id)
    with pytest.raises(NotFound):
        block_of(acme, policy, block.public_id)
    with pytest.raises(NotFound):
        policy_of(acme, "pol_x")
    assert not blocks(acme)
    assert not policies(acme)
