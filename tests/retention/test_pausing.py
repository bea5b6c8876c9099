"""A person pauses one run: nothing more goes until somebody resumes it."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from accounts.actors import SYSTEM
from accounts.models import ChangeRecord
from alerts.models import Alert
from retention import receipts
from retention.erasure import erase_user
from retention.models import PruneRun
from retention.partitions import _accounts_that_keep, partitions_of
from retention.pausing import NotPausable, NotUnderWay, pause_run, resume_run
from retention.services import prune_due
from tests.retention.house import DAY, House, left, open_month
from usage.models import Conversation


@pytest.fixture
def house():
    return House()


def under_way(house, **how):
    """A run that has deleted one of three rows, and its policy."""
    house.young()
    for _ in range(3):
        house.conversation(31)
    policy = house.policy()
    return house.prune(policy, budget_rows=1, **how), policy


def put(change, run, house):
    return change(run=run, actor=SYSTEM, reason="Audit", now=house.now)


@pytest.mark.django_db
def test_nothing_goes_while_a_run_is_paused(house):
    run, policy = under_way(house)
    paused = put(pause_run, run, house)
    assert (paused.state, paused.waiting_for) == ("paused", "resume")
    assert put(pause_run, run, house).is_put_aside  # once more changes nothing

    house.prune(policy)
    house.prune(policy, confirmed=True)
    house.prune(policy, trusted=False)
    assert house.prune(policy, now=house.now + timedelta(hours=25)).id == run.id
    prune_due(now=house.now, to_the_end=True)
    run.refresh_from_db()
    assert (run.state, run.remaining, Conversation.objects.count()) == ("paused", 2, 22)
    # What has to wait is told all the same.
    assert Alert.objects.get().kind == "retention_overdue"

    resumed = put(resume_run, run, house)
    assert (resumed.state, resumed.waiting_for) == ("paused", "")
    put(resume_run, run, house)
    ended = house.prune(policy)
    assert (ended.id, ended.state) == (run.id, "completed")
    assert (ended.waiting_for, Conversation.objects.count()) == ("", 20)
    changes = ChangeRecord.objects.filter(target=run.public_id).order_by("action")
    told = [(change.action, change.reason) for change in changes]
    assert told == [("run.paused", "Audit"), ("run.resumed", "Audit")]


@pytest.mark.django_db
def test_what_cannot_be_paused(house):
    house.conversation(31, user="u-1")
    waiting = house.prune(house.policy())
    ended = erase_user(account=house.account, user="u-1", actor=SYSTEM, now=house.now)
    for change in (pause_run, resume_run):
        with pytest.raises(NotUnderWay):
            put(change, waiting, house)
        with pytest.raises(NotPausable):
            put(change, ended, house)


@pytest.mark.django_db
def test_an_edit_ends_a_paused_run_and_a_failure_does_not(house):
    run, policy = under_way(house)
    put(pause_run, run, house)
    assert not receipts.fail(run, ended=house.now)
    assert run.is_put_aside
    policy.revision += 1
    policy.save()
    assert house.prune(policy).id != run.id
    run.refresh_from_db()
    assert run.state == "stopped"


@pytest.mark.django_db(transaction=True)
def test_a_batch_under_way_is_undone_by_a_pause(house, monkeypatch):
    run, policy = under_way(house)
    before, note = left(Conversation), receipts.note

    def pause():
        put(pause_run, PruneRun.objects.get(id=run.id), house)
        connection.close()

    def noted(*arguments, **more):
        """The batch has deleted and not committed, and somebody pauses the run."""
        thread = threading.Thread(target=pause)
        thread.start()
        thread.join(20)
        return note(*arguments, **more)

    monkeypatch.setattr(receipts, "note", noted)
    again = house.prune(policy)

    assert again.is_put_aside
    assert (again.remaining, left(Conversation)) == (2, before)


@pytest.mark.django_db
def test_no_month_is_dropped_behind_a_pause(house):
    month = datetime(2033, 5, 15, tzinfo=UTC)
    open_month("usage_usageevent", month)
    (partition,) = [
        each for each in partitions_of("usage_usageevent") if "2033_05" in each.name
    ]
    later = partition.end + 999 * DAY
    assert list(_accounts_that_keep(partition, later)) == []
    house.now = later
    policy = house.policy(target="usage_events", written=month)
    job = {"account": house.account, "policy": policy, "target": "usage_events"}
    run = PruneRun.objects.create(**job, policy_revision=1, cutoff=later)
    put(pause_run, run, house)
    assert list(_accounts_that_keep(partition, later)) == [house.account.id]
