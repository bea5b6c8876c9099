"""Counters that have no row, though something counted in them (CONTRACT A7)."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.actors import SYSTEM
from accounts.models import ChangeRecord
from tests.usage.house import House
from usage.models import Counter, UsageEvent
from usage.reconciling import DIFFERS, FIXED, OK, UNVERIFIABLE, reconcile
from usage.resets import reset_policy

pytestmark = pytest.mark.django_db

LIFE = {"kind": "lifetime"}
FIXED_10 = {"kind": "fixed", "seconds": 10}
ROLLING = {"kind": "rolling", "seconds": 600}
KEPT = ("id", "limit_key", "metric", "kind", "is_head", "subject", "subject_key")
KEPT += ("window_start", "window_end", "used", "held", "ring", "ring_head")


@pytest.fixture
def house():
    return House()


def recount(house, *, fix=False):
    return reconcile(account=house.account, actor=SYSTEM, now=house.now, fix=fix)


def rows():
    return list(Counter.objects.order_by("id").values(*KEPT))


@pytest.mark.parametrize("window", [LIFE, ROLLING, None])
@pytest.mark.parametrize("group_by", [[], ["user"]])
def test_a_lost_counter_is_reported_and_made_again(house, window, group_by):
    house.policy(window=window, group_by=group_by)
    held = house.hold(tokens=50, user="u-1")["reservation"]["id"]
    house.hold(tokens=20, user="u-1")
    house.later(seconds=30)
    house.send(tokens=7, user="u-1")
    house.later(seconds=30)
    house.send(tokens=60, reservation=held)
    before = rows()
    Counter.objects.all().delete()

    (found,) = recount(house)
    assert (found.status, found.used, found.held) == (DIFFERS, 67, 20)
    assert found.is_lost
    assert not Counter.objects.exists()
    assert {each.status for each in recount(house, fix=True)} == {FIXED}
    assert rows() == before
    assert {each.status for each in recount(house)} == {OK}
    change = ChangeRecord.objects.get(action="counter.reconciled")
    assert {"field": "used", "before": 0, "after": 67} in change.changes
    # It counts on where it stopped.
    assert house.ask(tokens=900, user="u-1")["policies"][0]["used"] == 67
    house.send(tokens=3, user="u-1")
    assert {each.status for each in recount(house)} == {OK}


def test_what_only_a_hold_knew_of_comes_back(house):
    house.policy(window=LIFE)
    house.hold(tokens=20)
    before = rows()
    Counter.objects.all().delete()

    assert {each.status for each in recount(house, fix=True)} == {FIXED}
    assert rows() == before


def test_adjustments_of_a_lost_counter_count_too(house):
    policy = house.policy(window=LIFE)
    house.later(minutes=1)
    house.send(tokens=20)
    house.later(minutes=1)
    reset_policy(policy=policy, period="all", actor=SYSTEM, now=house.now)
    house.later(minutes=1)
    house.send(tokens=3)
    Counter.objects.all().delete()

    (found,) = recount(house, fix=True)
    assert (found.status, found.used) == (FIXED, 3)


def test_when_a_lost_fixed_window_began_nobody_knows(house):
    house.policy(window=FIXED_10)
    house.hold(tokens=5)
    house.later(seconds=3)
    house.send(tokens=7)
    Counter.objects.all().delete()

    found = recount(house, fix=True)
    assert {each.status for each in found} == {UNVERIFIABLE}
    assert sum(each.used for each in found) == 7
    assert not Counter.objects.exists()


def test_a_lost_counter_whose_events_were_pruned_is_not_made_up(house):
    house.policy(window=LIFE)
    house.send(tokens=7)
    UsageEvent.objects.all().delete()
    Counter.objects.all().delete()

    # Nothing is left that it could be known by.
    assert recount(house, fix=True) == []


def test_the_command_says_that_there_was_no_row(house):
    house.policy(window=LIFE)
    house.later(minutes=1)
    house.send(tokens=7)
    Counter.objects.all().delete()
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("reconcile_usage", stdout=out)

    assert "used 0, recounted 7" in out.getvalue()
    assert "(there was no row)" in out.getvalue()
