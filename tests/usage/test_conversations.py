"""Conversations that are written or imported: never counted, kept as told."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from accounts.actors import SYSTEM
from accounts.errors import DuplicateExternalId, InvalidBody, NotFound
from accounts.models import Account, ChangeRecord
from accounts.services import create_account, create_bot, create_project
from usage import conversations
from usage.conversations_seen import seen_id
from usage.models import Conversation, ConversationSeen, Message

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return create_account(slug="alice", owner_email="alice@example.com", now=NOW)


@pytest.fixture
def stranger():
    return create_account(slug="charlie", owner_email="charlie@example.com", now=NOW)


@pytest.fixture
def bot(account):
    return create_bot(account=account, name="support", actor=SYSTEM, now=NOW)


@pytest.fixture
def create(account, bot):
    def create_one(**values):
        given = {"account": account, "bot": bot, "now": NOW, **values}
        return conversations.create_conversation(**given)

    return create_one


def test_a_new_conversation_is_active_now(create):
    conversation = create(user="u-1", title="Hello", meta={"a": 1})

    conversation.refresh_from_db()
    assert conversation.started_at == conversation.last_activity_at == NOW
    assert (conversation.user, conversation.title) == ("u-1", "Hello")
    assert conversation.meta == {"a": 1}


@pytest.mark.parametrize(
    ("given", "started", "active"),
    [
        ({"started_at": NOW - DAY}, NOW - DAY, NOW - DAY),
        ({"last_activity_at": NOW - DAY}, NOW - DAY, NOW - DAY),
        (
            {"started_at": NOW - 2 * DAY, "last_activity_at": NOW - DAY},
            NOW - 2 * DAY,
            NOW - DAY,
        ),
    ],
)
def test_an_imported_one_keeps_its_times(create, given, started, active):
    conversation = create(**given)

    assert (conversation.started_at, conversation.last_activity_at) == (started, active)


def test_both_its_names_are_remembered_as_seen(account, bot, create):
    conversation = create(external_id="c-1")

    assert set(ConversationSeen.objects.values_list("id", flat=True)) == {
        seen_id(account.id, bot.id, "c-1"),
        seen_id(account.id, bot.id, conversation.public_id),
    }


def test_an_external_id_is_taken_once_for_a_bot(account, create):
    other = create_bot(account=account, name="other", actor=SYSTEM, now=NOW)
    create(external_id="c-1")

    with pytest.raises(DuplicateExternalId):
        create(external_id="c-1")
    create(external_id="c-1", bot=other)
    create()
    create()
    assert Conversation.objects.count() == 4


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"external_id": ""}, "/external_id"),
        ({"external_id": "x" * 201}, "/external_id"),
        ({"user": "a\x00b"}, "/user"),
        ({"title": "\ud800"}, "/title"),
        ({"title": "x" * 301}, "/title"),
        ({"meta": {"a": "\x00"}}, "/meta"),
        ({"meta": {"a": "x" * 20_000}}, "/meta"),
        ({"started_at": NOW + DAY, "last_activity_at": NOW + DAY}, "/started_at"),
        ({"last_activity_at": NOW + DAY}, "/last_activity_at"),
        (
            {"started_at": NOW, "last_activity_at": NOW - DAY},
            "/last_activity_at",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(create, values, pointer):
    with pytest.raises(InvalidBody) as caught:
        create(**values)

    assert pointer in [error["pointer"] for error in caught.value.errors]
    assert not Conversation.objects.exists()


def test_a_foreign_bot_looks_absent(stranger, create):
    with pytest.raises(NotFound):
        create(account=stranger)


def test_text_is_kept_only_on_purpose(account, create):
    conversation = create()
    silent = conversations.append_message(
        conversation=conversation, role="user", text="secret", tokens=3, now=NOW
    )
    Account.objects.filter(id=account.id).update(stores_text=True)
    loud = conversations.append_message(
        conversation=conversation, role="assistant", text="hi", now=NOW + DAY
    )

    assert (silent.text, silent.tokens) == (None, 3)
    assert loud.text == "hi"
    assert "secret" not in str(list(Message.objects.values()))
    assert list(conversations.messages(conversation)) == [silent, loud]


def test_a_message_is_activity_and_an_old_one_takes_none_away(create):
    conversation = create(started_at=NOW - 2 * DAY)

    def append(at):
        conversations.append_message(
            conversation=conversation, role="user", created_at=at, now=NOW
        )
        conversation.refresh_from_db()
        return conversation.last_activity_at

    assert append(NOW - DAY) == NOW - DAY
    assert append(NOW - 3 * DAY) == NOW - DAY


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"role": "robot"}, "/role"),
        ({"tokens": -1}, "/tokens"),
        ({"tokens": True}, "/tokens"),
        ({"tokens": 2**53}, "/tokens"),
        ({"text": "\x00"}, "/text"),
        ({"created_at": NOW + DAY}, "/created_at"),
    ],
)
def test_a_wrong_message_is_refused(create, values, pointer):
    given = {"conversation": create(), "role": "user", "now": NOW, **values}
    with pytest.raises(InvalidBody) as caught:
        conversations.append_message(**given)

    assert [error["pointer"] for error in caught.value.errors] == [pointer]


def test_a_deleted_conversation_takes_its_messages_and_stays_seen(create):
    conversation = create(external_id="c-1")
    conversations.append_message(conversation=conversation, role="user", now=NOW)

    conversations.delete_conversation(
        conversation=conversation, actor=SYSTEM, now=NOW, reason="asked"
    )

    assert not Message.objects.exists()
    assert not Conversation.objects.exists()
    assert ConversationSeen.objects.count() == 2
    record = ChangeRecord.objects.get(action="conversation.deleted")
    assert (record.target, record.reason) == (conversation.public_id, "asked")
    with pytest.raises(NotFound):
        conversations.append_message(conversation=conversation, role="user", now=NOW)
    with pytest.raises(NotFound):
        conversations.delete_conversation(
            conversation=conversation, actor=SYSTEM, now=NOW
        )


def test_a_stranger_finds_nothing(account, stranger, bot, create):
    conversation = create()

    assert conversations.conversation_of(account, conversation.public_id)
    for public_id in (conversation.public_id, "cnv_x"):
        with pytest.raises(NotFound):
            conversations.conversation_of(stranger, public_id)
    assert not conversations.conversations(stranger).exists()


def test_a_project_sees_its_bots_conversations(account, create):
    project = create_project(account=account, name="p", actor=SYSTEM, now=NOW)
    inside = create_bot(
        account=account, name="in", project=project, actor=SYSTEM, now=NOW
    )
    outer, inner = create(), create(bot=inside)

    assert list(conversations.conversations(account, inside)) == [inner]
    assert list(conversations.conversations(account, project=project)) == [inner]
    with pytest.raises(NotFound):
        conversations.conversation_of(account, outer.public_id, project=project)


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_one_conversation_make_one(create):
    barrier = threading.Barrier(3)
    outcomes = []

    def work():
        try:
            barrier.wait()
            outcomes.append(create(external_id="c-1"))
        except DuplicateExternalId as error:
            outcomes.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert Conversation.objects.count() == 1
    assert len([one for one in outcomes if isinstance(one, Conversation)]) == 1
    assert len(outcomes) == 3
