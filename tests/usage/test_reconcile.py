"""Counters are recounted, and only what is proven is repaired (CONTRACT A7)."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.actors import SYSTEM
from accounts.models import ChangeRecord
from policies.selectors import rule_of
from tests.usage.house import House
from usage.edits import patch_policy
from usage.models import Adjustment, Counter, HourlyRollup, Reservation, UsageEvent
from usage.reconciling import DIFFERS, FIXED, OK, UNVERIFIABLE, reconcile
from usage.resets import reset_policy

pytestmark = pytest.mark.django_db

LIFE = {"kind": "lifetime"}
FIXED_10 = {"kind": "fixed", "seconds": 10}
ROLLING = {"kind": "rolling", "seconds": 600}


@pytest.fixture
def house():
    return House()


def recount(house, *, fix=False):
    return reconcile(account=house.account, actor=SYSTEM, now=house.now, fix=fix)


def rolled_up(house):
    """What the rollups know of by now; their own job needs committed rows."""
    for event in UsageEvent.objects.all():
        HourlyRollup.objects.create(
            id=event.id,
            account=house.account,
            bot=house.bot,
            hour=event.occurred_at.replace(minute=0, second=0, microsecond=0),
            events=1,
        )


def statuses(house, **options):
    return {found.status for found in recount(house, **options)}


def switch(house, policy, mode):
    return patch_policy(
        policy=policy,
        patch={"rollout_mode": mode},
        actor=SYSTEM,
        now=house.now,
        expected_revision=None,
    )


def live_a_little(house):
    """Settle, release, overrun, expire and leave open, over several windows."""
    for _ in range(5):
        house.send(tokens=7, user="u-1")
        first = house.hold(tokens=50, user="u-1")["reservation"]["id"]
        second = house.hold(tokens=40)["reservation"]["id"]
        third = house.hold(tokens=30)["reservation"]["id"]
        house.later(seconds=6)
        house.send(tokens=60, reservation=first)
        house.release(second)
        house.send(tokens=5, reservation=second)
        house.later(seconds=6)
        house.send(tokens=10, reservation=third)
    house.send(tokens=3, occurred_at=house.now - timedelta(days=1))
    house.send(tokens=4, occurred_at=house.now - timedelta(seconds=25))
    house.hold(tokens=11)
    house.hold(tokens=12, ttl_seconds=1)
    Reservation.objects.filter(ttl_seconds=1).update(dispatched=True)
    house.later(seconds=5)
    house.release(Reservation.objects.get(ttl_seconds=1).public_id)


@pytest.mark.parametrize("window", [LIFE, FIXED_10, ROLLING, None])
@pytest.mark.parametrize("group_by", [[], ["user"]])
def test_what_the_ledger_counts_is_recounted(house, window, group_by):
    house.policy(threshold=100_000, window=window, group_by=group_by)
    live_a_little(house)
    found = recount(house)
    assert found
    assert {each.status for each in found} == {OK}
    assert any(each.used for each in found)
    assert any(each.held for each in found)


def test_a_clock_a_little_behind_counts_in_the_open_window(house):
    """Two lanes read their clocks before they wait for each other."""
    house.policy(threshold=1_000, window=FIXED_10)
    house.later(minutes=1)
    house.send(tokens=1)
    house.later(seconds=-1)
    house.send(tokens=2)
    (found,) = recount(house)
    assert (found.status, found.used) == (OK, 3)
    house.later(seconds=11.5)
    house.send(tokens=4)
    house.later(seconds=-1)  # the first window holds this moment, and is over
    house.send(tokens=8)
    assert {found.used for found in recount(house)} == {3, 12}
    assert statuses(house) == {OK}
    Counter.objects.filter(used=3).update(used=5)
    Counter.objects.filter(used=12).update(used=10)
    assert statuses(house, fix=True) == {UNVERIFIABLE}


def test_a_window_that_a_late_event_made_since_proves_nothing(house):
    """It may begin before the one in which somebody with a slow clock has counted."""
    house.policy(threshold=1_000, window=FIXED_10)
    house.later(minutes=1)
    opened = house.now
    house.send(tokens=1)
    house.later(seconds=-1)
    house.send(tokens=2)
    house.later(seconds=20)
    house.send(tokens=4, occurred_at=opened - timedelta(seconds=0.5))
    kept = sorted(Counter.objects.values_list("used", flat=True))
    assert kept == [3, 4]
    assert DIFFERS not in statuses(house)
    statuses(house, fix=True)
    assert sorted(Counter.objects.values_list("used", flat=True)) == kept


def test_resets_are_part_of_the_count(house):
    policies = [
        house.policy(threshold=100_000, window=window)
        for window in (LIFE, FIXED_10, ROLLING, None)
    ]
    house.send(tokens=70)
    house.later(minutes=1)
    for policy in policies:
        reset_policy(policy=policy, period="all", actor=SYSTEM, now=house.now)
    house.later(minutes=1)
    house.send(tokens=5)
    assert Adjustment.objects.count() == 3  # the fixed window was over
    assert statuses(house) == {OK}


def test_a_policy_that_was_off_counted_nothing_meanwhile(house):
    policy = house.policy(window=LIFE)
    house.send(tokens=10)
    house.later(minutes=1)
    policy = switch(house, policy, "off")
    house.later(minutes=1)
    house.send(tokens=100)
    house.later(minutes=1)
    switch(house, policy, "enforce")
    house.later(minutes=1)
    house.send(tokens=1)
    (found,) = recount(house)
    assert (found.status, found.used) == (OK, 11)


def test_a_settle_charges_what_it_held_though_the_policy_is_off(house):
    policy = house.policy(window=LIFE)
    held = house.hold(tokens=30)["reservation"]["id"]
    house.later(minutes=1)
    switch(house, policy, "off")
    house.later(minutes=1)
    house.send(tokens=20, reservation=held)
    (found,) = recount(house)
    assert (found.status, found.used, found.held) == (OK, 20, 0)


@pytest.mark.parametrize("window", [LIFE, FIXED_10, ROLLING, None])
def test_a_proven_difference_is_repaired(house, window):
    policy = house.policy(window=window)
    house.later(minutes=1)
    house.send(tokens=10)
    house.hold(tokens=5)
    Counter.objects.update(used=900, held=77)
    assert statuses(house) == {DIFFERS}
    assert statuses(house, fix=True) == {FIXED}
    counter = Counter.objects.get()
    assert (counter.used, counter.held) == (10, 5)
    assert counter.ring is None or sum(counter.ring) == 10
    change = ChangeRecord.objects.get(action="counter.reconciled")
    assert change.target == policy.public_id
    assert statuses(house) == {OK}
    # The ledger goes on from what was repaired.
    (reading,) = house.ask()["policies"]
    assert (reading["used"], reading["held"]) == (10, 5)


def test_what_was_pruned_is_never_changed(house):
    house.policy(window=LIFE)
    house.send(tokens=10)
    house.later(hours=5)
    house.send(tokens=1)
    rolled_up(house)
    UsageEvent.objects.filter(tokens=10).delete()
    assert statuses(house, fix=True) == {UNVERIFIABLE}
    assert Counter.objects.get().used == 11


def test_pruning_does_not_make_other_windows_uncertain(house):
    """Events of an hour that lies before the window cannot have counted in it."""
    house.policy(window={"kind": "calendar", "unit": "hour", "timezone": "UTC"})
    house.later(minutes=1)
    house.send(tokens=10)
    house.later(hours=5)
    house.send(tokens=1)
    rolled_up(house)
    UsageEvent.objects.filter(tokens=10).delete()
    Counter.objects.filter(used=1).update(used=2)
    found = recount(house, fix=True)
    assert {each.status for each in found} == {UNVERIFIABLE, FIXED}
    assert sorted(Counter.objects.values_list("used", flat=True)) == [1, 10]


def test_an_event_at_the_moment_of_an_edit_proves_nothing(house):
    policy = house.policy(window=LIFE)
    house.later(minutes=5)
    house.send(tokens=10)
    switch(house, policy, "off")
    Counter.objects.update(used=3)
    assert statuses(house, fix=True) == {UNVERIFIABLE}


def test_the_command_reports_and_says_so_by_its_status(house):
    house.policy(window=LIFE)
    house.later(minutes=1)
    house.send(tokens=10)
    Counter.objects.update(used=9)
    out = StringIO()
    with pytest.raises(CommandError, match="--fix"):
        call_command("reconcile_usage", "--account", "alice", stdout=out)
    assert "used 9, recounted 10" in out.getvalue()
    call_command("reconcile_usage", "--fix", stdout=out)
    assert "1 fixed" in out.getvalue()
    out = StringIO()
    call_command("reconcile_usage", "--all", stdout=out)
    assert "1 ok, 0 fixed, 0 unverifiable, 0 differs" in out.getvalue()
    with pytest.raises(CommandError, match="no account"):
        call_command("reconcile_usage", "--account", "nobody")


def test_another_limit_of_the_policy_is_counted_for_itself(house):
    policy = house.policy(window=LIFE)
    house.send(tokens=10)
    house.later(minutes=1)
    limits = [
        {"metric": "tokens", "threshold": 100, "window": LIFE},
        {"metric": "calls", "threshold": 100, "window": FIXED_10},
    ]
    edited = patch_policy(
        policy=policy,
        patch={"limits": limits},
        actor=SYSTEM,
        now=house.now,
        expected_revision=None,
    )
    house.later(minutes=1)
    house.send(tokens=3)
    keys = [limit.key for limit in rule_of(edited).limits]
    found = {each.counter.limit_key: each for each in recount(house)}
    assert {found[key].status for key in keys} == {OK}
    assert [found[key].used for key in keys] == [13, 1]
