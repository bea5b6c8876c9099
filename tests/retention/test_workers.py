"""A run at full speed takes its batches on several connections at once."""

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from threading import Thread, current_thread

import pytest
from django.db import DatabaseError, connection, transaction

from retention import batches, receipts
from retention.models import PruneRun
from retention.pace import FULL
from retention.services import prune_due
from tests.retention.house import House, left, texts
from usage.models import Conversation, Message

pytestmark = pytest.mark.django_db(transaction=True)

FAST = replace(FULL, most=4, workers=3)


@pytest.fixture
def house():
    return House()


@pytest.fixture
def seen(monkeypatch):
    """The names of the threads that took a batch."""
    names, prune = set(), batches._prune_batch

    def prune_batch(*given):
        names.add(current_thread().name)
        return prune(*given)

    monkeypatch.setattr("retention.batches._prune_batch", prune_batch)
    return names


def fill(house, count: int, *, messages: int = 0) -> set:
    return {house.conversation(31, messages=messages).id for _ in range(count)}


def whole(house, policy, **how):
    given = {"budget_rows": None, "budget_seconds": None, "confirmed": True}
    return house.prune(policy, **given, batch=FAST.most, manner=FAST, **how)


def digest_of(keys) -> str:
    total = sum(int.from_bytes(sha256(key.bytes).digest(), "big") for key in keys)
    return f"{total % 2**256:064x}"


def test_the_receipt_is_that_of_one_worker(house, seen):
    due, young = fill(house, 60, messages=2), house.conversation(1).id
    run = whole(house, house.policy())

    run.refresh_from_db()
    assert run.deleted == {"usage_conversation": 60, "usage_message": 120}
    assert (run.state, run.remaining, run.skipped) == ("completed", 0, {})
    assert run.digest == digest_of(due)
    assert left(Conversation) == {young}
    assert seen
    assert all(name.startswith("prune") for name in seen)


def test_whole_runs_at_once_share_the_work_and_count_each_row_once(house):
    due = fill(house, 80, messages=1)
    house.policy()
    results = []

    def prune():
        try:
            results.append(
                prune_due(
                    now=house.now, to_the_end=True, account=house.account, manner=FAST
                )
            )
        finally:
            connection.close()

    threads = [Thread(target=prune) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(results) == 2
    assert not Conversation.objects.exists()
    runs = list(PruneRun.objects.exclude(deleted={}))
    assert sum(run.deleted["usage_conversation"] for run in runs) == 80
    assert sum(run.deleted["usage_message"] for run in runs) == 80
    added = sum(int(run.digest, 16) for run in runs) % 2**256
    assert f"{added:064x}" == digest_of(due)


def test_messages_of_one_conversation_go_whoever_has_them(house):
    house.account.stores_text = True
    house.account.save()
    for _ in range(3):
        house.conversation(31, messages=30)
    run = whole(house, house.policy(target="message_text"))

    assert texts() == 0
    assert run.deleted == {"usage_message.text": 90}
    assert (run.state, run.skipped) == ("completed", {})


def test_one_worker_that_fails_ends_the_run_with_a_true_receipt(house, monkeypatch):
    fill(house, 60, messages=1)
    policy, note, calls = house.policy(), receipts.note, []

    def fail_once(*given, **more):
        calls.append(1)
        if len(calls) == 4:
            raise DatabaseError("gone")
        return note(*given, **more)

    monkeypatch.setattr("retention.receipts.note", fail_once)
    run = whole(house, policy)

    run.refresh_from_db()
    gone = 60 - Conversation.objects.count()
    assert run.state == "failed"
    assert run.deleted["usage_conversation"] == gone == 60 - Message.objects.count()
    assert gone < 60

    again = whole(house, policy)
    assert (again.id, again.state) == (run.id, "completed")
    assert again.deleted == {"usage_conversation": 60, "usage_message": 60}


def test_workers_together_keep_to_the_budget(house):
    fill(house, 60)
    policy = house.policy()
    run = house.prune(policy, budget_rows=17, batch=4, manner=FAST, confirmed=True)

    assert run.deleted["usage_conversation"] == 17
    assert (run.state, run.remaining) == ("paused", 43)


def test_inside_a_transaction_there_is_one_worker(house, seen):
    with transaction.atomic():
        fill(house, 20)
        run = whole(house, house.policy())

    assert run.deleted == {"usage_conversation": 20, "usage_message": 0}
    assert seen == {current_thread().name}


def test_what_came_while_the_run_went_on_is_for_the_next(house):
    fill(house, 12)
    policy = house.policy()
    run = whole(house, policy)
    house.now += timedelta(minutes=1)
    fill(house, 5)

    assert run.state == "completed"
    assert whole(house, policy).deleted["usage_conversation"] == 5
