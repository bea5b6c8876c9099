"""What waits for a person, and what is told when it waits too long."""

from datetime import timedelta

import pytest

from alerts.models import Alert, Delivery
from policies.models import Policy
from retention.models import PruneRun
from retention.services import prune_due
from tests.retention.house import DAY, House
from usage.models import Conversation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house():
    return House()


@pytest.mark.parametrize(
    ("due", "young", "state"),
    [(1, 4, "completed"), (2, 7, "waiting"), (1, 0, "waiting")],
)
def test_a_new_policy_that_takes_over_a_fifth_waits(house, due, young, state):
    house.young(young)
    for _ in range(due):
        house.conversation(31)

    run = house.prune(house.policy())

    assert run.state == state
    assert Conversation.objects.count() == young + (due if state == "waiting" else 0)


def test_a_waiting_run_is_one_receipt_and_one_alert(house):
    house.conversation(31)
    policy = house.policy()

    first = house.prune(policy)
    second = house.prune(policy, now=house.now + timedelta(minutes=1))

    assert first.id == second.id
    assert PruneRun.objects.count() == 1
    assert Alert.objects.get().kind == "retention_paused"
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("mode", ["off", "shadow", "archived", "edited"])
def test_what_waits_no_more_is_told_no_more(house, mode):
    house.conversation(31)
    policy = house.policy()
    prune_due(now=house.now)
    alert = Alert.objects.get(kind="retention_paused")
    assert alert.state == "breached"

    if mode == "edited":
        Policy.objects.update(revision=2)
    elif mode == "archived":
        Policy.objects.update(archived_at=house.now)
    else:
        Policy.objects.update(rollout_mode=mode)
    prune_due(now=house.now + timedelta(minutes=1))

    alert.refresh_from_db()
    assert alert.state == "resolved"
    again = Alert.objects.exclude(state="resolved")
    assert again.exists() is (mode == "edited")
    assert PruneRun.objects.filter(policy=policy).count() == 1 + again.count()


def test_a_person_confirms(house):
    house.conversation(31)
    policy = house.policy()
    house.prune(policy)

    run = house.prune(policy, confirmed=True, trigger="admin")

    assert (run.state, run.remaining) == ("completed", 0)
    assert (run.confirmed_by, run.confirmed_at) == ("admin", house.now)
    assert not Conversation.objects.exists()
    assert Alert.objects.get().state == "resolved"


def test_what_comes_of_age_later_needs_nobody(house):
    for _ in range(3):
        house.conversation(29, written=29)
    policy = house.policy()

    run = house.prune(policy, now=house.now + 1.5 * DAY)

    assert run.state == "completed"
    assert not Conversation.objects.exists()


def test_what_nobody_pruned_for_a_day_waits(house):
    for _ in range(3):
        house.conversation(29, written=29)
    policy = house.policy()

    run = house.prune(policy, now=house.now + 2.1 * DAY)

    assert (run.state, run.waiting_for) == ("waiting", "share")


def test_history_that_is_imported_later_waits(house):
    house.young(3)
    policy = house.policy()
    house.now += DAY
    house.conversation(30.5)

    run = house.prune(policy)

    assert (run.state, run.due, run.total) == ("waiting", 1, 4)


def test_a_run_that_waited_for_what_is_gone_ends(house):
    house.conversation(31)
    policy = house.policy()
    run = house.prune(policy)
    Conversation.objects.all().delete()

    assert house.prune(policy) is None
    run.refresh_from_db()
    assert run.state == "stopped"


def test_a_run_that_is_no_large_share_any_more_goes_on(house):
    house.conversation(31)
    policy = house.policy()
    waiting = house.prune(policy)
    house.young()

    run = house.prune(policy)

    assert (run.id, run.state) == (waiting.id, "completed")
    assert run.confirmed_at is None


# --- Overdue ----------------------------------------------------------------------


def test_a_day_overdue_is_told_once_and_resolved_when_it_is_gone(house):
    house.conversation(31)
    policy = house.policy()

    def kinds():
        found = Alert.objects.exclude(state="resolved").order_by("kind")
        return list(found.values_list("kind", flat=True))

    house.prune(policy, now=house.now + timedelta(hours=23))
    assert kinds() == ["retention_paused"]
    house.prune(policy, now=house.now + timedelta(hours=24))
    house.prune(policy, now=house.now + timedelta(hours=50))
    assert kinds() == ["retention_overdue", "retention_paused"]

    house.prune(policy, now=house.now + timedelta(hours=51), confirmed=True)
    assert kinds() == []
