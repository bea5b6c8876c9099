"""Pruning beside others who work on the same rows, on connections of their own."""

import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction

from accounts.errors import NotFound
from retention import receipts
from retention.models import PruneRun
from tests.retention.house import House, left
from usage.conversations import append_message
from usage.models import Conversation, Message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house():
    return House()


def in_thread(work):
    def run():
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@contextmanager
def elsewhere(work):
    """Hold a transaction open that has done `work`; it commits at the end."""
    ready, go = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            work()
            ready.set()
            go.wait(60)

    thread = in_thread(hold)
    assert ready.wait(60)
    try:
        yield
    finally:
        go.set()
        thread.join(60)


def test_a_row_that_somebody_works_on_is_left_for_the_next_run(house):
    house.young()
    row, other = house.conversation(31), house.conversation(31)
    policy = house.policy()

    def touch():
        Conversation.objects.filter(id=row.id).update(title="x")

    with elsewhere(touch):
        run = house.prune(policy)
        assert (run.deleted["usage_conversation"], run.remaining) == (1, 1)
        assert other.id not in left(Conversation)
        assert run.skipped == {"in use": 1}
    assert house.prune(policy).deleted["usage_conversation"] == 2


def test_a_conversation_that_comes_back_to_life_is_kept(house):
    house.young()
    row = house.conversation(31)
    policy = house.policy()

    def revive():
        append_message(conversation=row, role="user", now=house.now)

    with elsewhere(revive):
        run = house.prune(policy)
        assert (run.deleted, run.state) == ({}, "paused")
    run = house.prune(policy)
    assert (run.deleted, run.state) == ({}, "completed")
    assert house.prune(policy) is None
    assert row.id in left(Conversation)
    assert Message.objects.count() == 1


def test_a_message_to_a_conversation_that_is_being_deleted_finds_it_gone(house):
    house.young()
    row = house.conversation(31)
    outcome = []

    def append():
        try:
            append_message(conversation=row, role="user", now=house.now)
        except NotFound as error:
            outcome.append(error)

    with transaction.atomic():
        house.prune(house.policy())
        thread = in_thread(append)
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(60)

    assert len(outcome) == 1
    assert not Message.objects.exists()


def test_runs_at_once_share_the_work_and_count_each_row_once(house):
    for _ in range(60):
        house.conversation(31)
    policy = house.policy()

    def prune():
        for _ in range(20):
            house.prune(policy, batch=4, budget_rows=12, confirmed=True)

    threads = [in_thread(prune) for _ in range(4)]
    for thread in threads:
        thread.join(60)

    assert not Conversation.objects.exists()
    deleted = [
        run.deleted.get("usage_conversation", 0) for run in PruneRun.objects.all()
    ]
    assert sum(deleted) == 60


def test_writers_and_a_pruner_lose_nothing_young(house):
    for _ in range(40):
        house.conversation(31)
    rows = list(Conversation.objects.all())
    policy = house.policy()
    revived = []

    def revive():
        for row in rows[::2]:
            try:
                append_message(
                    conversation=row,
                    role="user",
                    now=house.now + timedelta(seconds=1),
                )
                revived.append(row.id)
            except NotFound:
                continue

    def prune():
        for _ in range(20):
            house.prune(policy, batch=3, budget_rows=3, confirmed=True)

    threads = [in_thread(revive), in_thread(prune), in_thread(prune)]
    for thread in threads:
        thread.join(60)
    house.prune(policy, confirmed=True)

    assert left(Conversation) == set(revived)
    assert Message.objects.count() == len(revived)


def test_a_run_that_ends_while_another_begins_makes_room(house, monkeypatch):
    """The other worker's run is in the way at first, and gone when it is looked at."""
    policy = house.policy()
    other = house.conversation(31)
    waiting = house.prune(policy)
    find, ended = receipts.open_run, []

    def open_run(job):
        if not ended:  # before: there is none yet
            ended.append(job)
            return None
        PruneRun.objects.filter(id=waiting.id).update(state="completed")
        return find(job)

    monkeypatch.setattr("retention.receipts.open_run", open_run)
    run = house.prune(policy, confirmed=True)

    assert run.id != waiting.id
    assert run.state == "completed"
    assert other.id not in left(Conversation)
