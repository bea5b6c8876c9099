"""What is written about accounts, people, projects, bots and keys."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.actors import SYSTEM, Actor
from accounts.errors import (
    AlreadyArchived,
    Conflict,
    DuplicateExternalId,
    InvalidBody,
    InvalidKey,
    NotFound,
    StaleRevision,
)
from accounts.locks import lock_key
from accounts.models import ApiKey, Member, Person
from accounts.selectors import (
    accounts_of,
    authenticate_key,
    bot_by_reference,
    bot_of,
    bots,
    changes,
    key_of,
    key_status,
    keys,
    member_of,
    members,
    owner_emails,
    project_by_reference,
    project_of,
    projects,
)
from accounts.services import (
    add_member,
    archive_bot,
    archive_project,
    bump_version,
    create_account,
    create_bot,
    create_key,
    create_project,
    revoke_key,
    rotate_key,
    set_bot_state,
    touch_key,
    update_bot,
    update_project,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ALICE = Actor("person", "per_x", "alice@x.org")

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return create_account(slug="acme", owner_email="alice@x.org", now=NOW)


@pytest.fixture
def rival():
    return create_account(slug="rival", owner_email="charlie@x.org", now=NOW)


def _bot(account, **options):
    return create_bot(account=account, name="Bot", actor=ALICE, now=NOW, **options)


def _key(account, **options):
    options = {"name": "k", "scopes": ["decide"], "actor": ALICE, "now": NOW} | options
    return create_key(account=account, **options)


def _project(account, **options):
    options = {"name": "P", "actor": ALICE, "now": NOW} | options
    return create_project(account=account, **options)


def test_an_account_is_made_once(acme):
    again = create_account(
        slug="acme", owner_email="ALICE@x.org", now=LATER, password="other"
    )

    assert again.id == acme.id
    assert Person.objects.count() == 1
    alice = Person.objects.get()
    assert not alice.has_usable_password()
    assert owner_emails(acme) == ["alice@x.org"]
    assert [each.slug for each in accounts_of(alice)] == ["acme"]
    assert changes(acme).filter(action="account.created").count() == 1


def test_an_owner_keeps_the_password_they_have(acme):
    bob = Person.objects.create_user("bob@x.org", "first-password")

    create_account(slug="b", owner_email="bob@x.org", now=NOW, password="second-one")
    bob.refresh_from_db()
    assert bob.check_password("first-password")


def test_the_last_owner_stays_one(acme):
    alice = Person.objects.get()
    with pytest.raises(Conflict):
        add_member(account=acme, person=alice, role="viewer", actor=SYSTEM, now=NOW)

    bob = Person.objects.create_user("bob@x.org")
    add_member(account=acme, person=bob, role="owner", actor=SYSTEM, now=NOW)
    add_member(account=acme, person=alice, role="viewer", actor=SYSTEM, now=NOW)
    member = member_of(account=acme, person=alice)
    assert member is not None
    assert member.role == Member.Role.VIEWER
    assert members(acme).count() == 2


def test_every_edit_moves_the_version_and_leaves_a_record(acme):
    def version():
        acme.refresh_from_db()
        return acme.version

    project = _project(acme)
    bot = _bot(acme)
    key, _ = _key(acme)
    edits = [
        (
            "project.updated",
            lambda: update_project(
                project=project, changes={"name": "Q"}, actor=ALICE, now=LATER
            ),
        ),
        (
            "bot.updated",
            lambda: update_bot(bot=bot, changes={"name": "C"}, actor=ALICE, now=LATER),
        ),
        (
            "bot.disabled",
            lambda: set_bot_state(
                bot=bot, state="disabled", reason="r", actor=ALICE, now=LATER
            ),
        ),
        ("key.rotated", lambda: rotate_key(key=key, actor=ALICE, now=LATER)),
        ("key.revoked", lambda: revoke_key(key=key, actor=ALICE, now=LATER)),
        ("bot.archived", lambda: archive_bot(bot=bot, actor=ALICE, now=LATER)),
        (
            "project.archived",
            lambda: archive_project(project=project, actor=ALICE, now=LATER),
        ),
    ]
    for action, edit in edits:
        before = version()
        edit()
        assert version() > before
        record = changes(acme).filter(action=action).get()
        assert (record.actor_kind, record.actor_label) == ("person", "alice@x.org")
        assert record.created_at == LATER


def test_an_edit_holds_the_accounts_lock_to_its_end(acme):
    with transaction.atomic(), connection.cursor() as cursor:
        bump_version(account_id=acme.id)
        cursor.execute(
            "SELECT (classid::bigint << 32) | objid::bigint, mode FROM pg_locks"
            " WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        found = cursor.fetchall()

    expected = lock_key(acme.id) & 0xFFFF_FFFF_FFFF_FFFF
    assert [(key & 0xFFFF_FFFF_FFFF_FFFF, mode) for key, mode in found] == [
        (expected, "ExclusiveLock")
    ]


def test_a_version_of_nothing_is_not_found(acme):
    acme_id = acme.id
    acme.delete()
    with pytest.raises(NotFound):
        bump_version(account_id=acme_id)


def test_a_change_that_changes_nothing_is_no_revision(acme):
    bot = _bot(acme)
    same = update_bot(bot=bot, changes={"name": "Bot"}, actor=ALICE, now=LATER)

    assert same.revision == 1
    assert not changes(acme).filter(action="bot.updated").exists()


def test_a_stale_revision_changes_nothing(acme):
    bot = _bot(acme)
    update_bot(
        bot=bot, changes={"name": "B"}, actor=ALICE, now=NOW, expected_revision=1
    )
    for edit in (
        lambda: update_bot(
            bot=bot, changes={"name": "C"}, actor=ALICE, now=NOW, expected_revision=1
        ),
        lambda: archive_bot(bot=bot, actor=ALICE, now=NOW, expected_revision=1),
    ):
        with pytest.raises(StaleRevision):
            edit()
    bot.refresh_from_db()
    assert (bot.name, bot.revision, bot.archived_at) == ("B", 2, None)


def test_what_is_archived_takes_no_more_edits(acme):
    bot, project = _bot(acme), _project(acme)
    archive_bot(bot=bot, actor=ALICE, now=NOW)
    archive_project(project=project, actor=ALICE, now=NOW)

    with pytest.raises(AlreadyArchived):
        archive_bot(bot=bot, actor=ALICE, now=NOW)
    with pytest.raises(AlreadyArchived):
        update_project(project=project, changes={"name": "x"}, actor=ALICE, now=NOW)
    with pytest.raises(NotFound):
        bot_of(acme, bot.public_id)
    with pytest.raises(NotFound):
        project_of(acme, project.public_id)
    assert bots(acme).count() == 0
    assert bots(acme, include_archived=True).count() == 1


def test_archiving_revokes_the_keys_that_are_bound(acme):
    bot, project = _bot(acme), _project(acme)
    of_bot, _ = _key(acme, bot=bot)
    of_project, _ = _key(acme, project=project)
    free, _ = _key(acme)

    archive_bot(bot=bot, actor=ALICE, now=LATER)
    archive_project(project=project, actor=ALICE, now=LATER)
    revoked = {key.id: key.revoked_at for key in ApiKey.objects.all()}
    assert revoked == {of_bot.id: LATER, of_project.id: LATER, free.id: None}


def test_a_project_with_bots_is_not_archived(acme):
    project = _project(acme)
    _bot(acme, project=project)
    with pytest.raises(Conflict):
        archive_project(project=project, actor=ALICE, now=NOW)


def test_an_external_id_is_one_within_its_account(acme, rival):
    bot = _bot(acme, external_id="x")
    _bot(rival, external_id="x")
    with pytest.raises(DuplicateExternalId):
        _bot(acme, external_id="x")
    with pytest.raises(DuplicateExternalId):
        update_bot(bot=_bot(acme), changes={"external_id": "x"}, actor=ALICE, now=NOW)
    assert bot_by_reference(acme, "x").id == bot.id
    archive_bot(bot=bot, actor=ALICE, now=NOW)
    assert _bot(acme, external_id="x").id != bot.id


def test_the_database_itself_refuses_another_accounts_row(acme, rival):
    foreign = _project(rival)
    _bot(acme, project=foreign)
    with pytest.raises(IntegrityError), transaction.atomic():
        connection.check_constraints()
    transaction.set_rollback(True)


def test_what_is_foreign_is_not_found(acme, rival):
    bot, project = _bot(rival, external_id="b"), _project(rival, external_id="p")
    key, _ = _key(rival)
    for read in (
        lambda: bot_of(acme, bot.public_id),
        lambda: bot_by_reference(acme, bot.public_id),
        lambda: bot_by_reference(acme, "b"),
        lambda: bot_by_reference(acme, "a\x00b"),
        lambda: project_of(acme, project.public_id),
        lambda: project_by_reference(acme, "p"),
        lambda: key_of(acme, key.public_id),
        lambda: key_of(acme, bot.public_id),
    ):
        with pytest.raises(NotFound):
            read()
    assert not projects(acme)
    assert not keys(acme)


def test_a_projects_callers_see_its_rows_alone(acme):
    project, other = _project(acme), _project(acme)
    own, foreign = _bot(acme, project=project), _bot(acme, project=other)
    _bot(acme)

    assert [each.id for each in bots(acme, project=project)] == [own.id]
    assert [each.id for each in projects(acme, project=project)] == [project.id]
    with pytest.raises(NotFound):
        bot_of(acme, foreign.public_id, project=project)


def test_a_key_opens_until_it_ends(acme):
    key, text = _key(acme, expires_at=LATER)

    assert authenticate_key(text, NOW).id == key.id
    assert text not in str(ApiKey.objects.values_list())
    almost = LATER - timedelta(microseconds=1)
    assert authenticate_key(text, almost).account == acme
    assert key_status(key, almost) == "active"
    with pytest.raises(InvalidKey):
        authenticate_key(text, LATER)
    assert key_status(key, LATER) == "expired"
    for wrong in ("", "x", text[:-1], text[:-1] + "!", text + "a", "phk_live_" * 5):
        with pytest.raises(InvalidKey):
            authenticate_key(wrong, NOW)


def test_a_revoked_key_opens_nothing(acme):
    key, text = _key(acme)
    revoked = revoke_key(key=key, actor=ALICE, now=NOW, reason="leak")
    again = revoke_key(key=key, actor=ALICE, now=LATER)

    assert key_status(revoked, NOW) == "revoked"
    assert again.revoked_at == NOW
    assert changes(acme).filter(action="key.revoked").count() == 1
    with pytest.raises(InvalidKey):
        authenticate_key(text, NOW)
    with pytest.raises(Conflict):
        rotate_key(key=key, actor=ALICE, now=NOW)


def test_rotation_keeps_what_a_key_may_do_and_how_long_it_lives(acme):
    bot = _bot(acme)
    key, text = _key(
        acme, bot=bot, scopes=["gateway", "decide"], expires_at=NOW + timedelta(days=9)
    )

    new, new_text = rotate_key(key=key, overlap_seconds=60, actor=ALICE, now=LATER)
    assert (new.bot, new.scopes, new.replaces) == (bot, ["decide", "gateway"], key)
    assert new.expires_at == LATER + timedelta(days=9)
    assert authenticate_key(new_text, LATER).id == new.id
    assert authenticate_key(text, LATER + timedelta(seconds=59)).id == key.id
    with pytest.raises(InvalidKey):
        authenticate_key(text, LATER + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"scopes": ["fly"]}, "/scopes"),
        ({"scopes": []}, "/scopes"),
        ({"expires_at": NOW}, "/expires_at"),
    ],
)
def test_a_key_that_cannot_be_is_refused(acme, options, pointer):
    with pytest.raises(InvalidBody) as refused:
        _key(acme, **options)
    assert [each["pointer"] for each in refused.value.errors] == [pointer]
    assert not keys(acme)


def test_a_keys_use_is_noted_once_a_minute_without_a_version(acme):
    key, _ = _key(acme)
    acme.refresh_from_db()
    version = acme.version

    for seconds, noted in ((0, 0), (59, 0), (61, 61)):
        touch_key(key=key, now=NOW + timedelta(seconds=seconds))
        key.refresh_from_db()
        assert key.last_used_at == NOW + timedelta(seconds=noted)
    acme.refresh_from_db()
    assert acme.version == version
