"""CONTRACT A5–A7, sentence by sentence: once, whenever it happened, and adjusted."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from accounts.actors import SYSTEM
from accounts.services import archive_bot, create_account
from alerts.models import Alert
from policies.models import Block
from tests.usage.contract import FIXED, ROLLING, ContractHouse, counters
from usage.models import Adjustment, Counter, EventId, Reservation, UsageEvent
from usage.resets import reset_policy

pytestmark = pytest.mark.django_db


@pytest.fixture
def house():
    return ContractHouse()


def test_a5_the_same_id_of_another_source_or_account_is_another_event(house):
    neighbour = ContractHouse("neighbour")
    first = house.send(id="e-1", tokens=1)
    cloud = house.send(id="e-1", tokens=1, source="/meter")
    foreign = neighbour.send(id="e-1", tokens=1)

    assert {r.status for r in (first, cloud, foreign)} == {"recorded"}
    assert UsageEvent.objects.count() == 3
    assert EventId.objects.get(id__isnull=False, source="/meter").client_id == "e-1"


def test_a5_a_duplicate_answers_what_was_answered_first_and_moves_nothing(house):
    house.policy(threshold=10, actions={"block": {"duration_seconds": None}})
    first = house.send(id="e-1", tokens=10, user="u")
    for _ in range(2):
        again = house.send(id="e-1", tokens=10, user="u")
        assert (again.status, again.event_id) == ("duplicate", first.event_id)

    assert counters() == [(10, 0)]
    assert Block.objects.count() == 1


def test_a5_a_duplicate_of_a_settle_is_known_by_the_events_own_id(house):
    house.policy()
    reservation = house.held(tokens=50)
    first = house.send(id="e-1", tokens=5, reservation=reservation)
    again = house.send(id="e-1", tokens=5, reservation=reservation)

    assert (first.status, again.status) == ("recorded", "duplicate")
    assert counters() == [(5, 0)]


def test_a5_a_retry_is_a_duplicate_though_its_bot_was_archived_meanwhile(house):
    house.policy()
    first = house.send(id="e-1", tokens=5)
    plain = house.send(tokens=5)
    archive_bot(bot=house.bot, actor=SYSTEM, now=house.now)
    again = house.send(id="e-1", tokens=5)
    other = house.send(id="e-1", tokens=6)
    new = house.send(id="e-2", tokens=5)
    nameless = house.send(tokens=5)

    assert plain.status == "recorded"
    assert (again.status, again.event_id) == ("duplicate", first.event_id)
    assert (other.error.status, other.error.code) == (409, "event_id_reused")
    assert [new.error.status, nameless.error.status] == [404, 404]
    assert counters() == [(10, 0)]
    # What failed has not used its id up.
    assert not EventId.objects.filter(client_id="e-2").exists()


def test_a5_a_retry_is_a_duplicate_though_its_reservation_is_gone(house):
    reservation = house.held(tokens=5)
    first = house.send(tokens=5, reservation=reservation)
    Reservation.objects.all().delete()
    again = house.send(tokens=5, reservation=reservation)
    other = house.send(id="e-9", tokens=5, reservation=reservation)

    assert (again.status, again.event_id) == ("duplicate", first.event_id)
    assert (other.error.status, other.error.code) == (422, "unknown_reference")


def test_a5_one_batch_with_one_id_many_times_counts_it_once(house):
    house.policy()
    same = {"id": "e-1", "tokens": 1}
    results = house.send_all(same, same, same | {"tokens": 2}, same)

    assert [r.status for r in results] == [
        "recorded",
        "duplicate",
        "error",
        "duplicate",
    ]
    assert counters() == [(1, 0)]


def test_a5_an_id_whose_events_all_failed_is_free(house):
    reservation = house.held(user="u-1")
    wrong = {"id": "e-1", "user": "u-2", "reservation": reservation}
    results = house.send_all(wrong, wrong, wrong)
    assert {r.status for r in results} == {"error"}
    assert not EventId.objects.exists()

    assert house.send(id="e-1", tokens=9).status == "recorded"


def test_a5_a_later_event_of_the_batch_may_take_the_id_of_one_that_failed(house):
    house.policy()
    reservation = house.held(tokens=1, user="u-1")
    wrong = {"id": "e-1", "user": "u-2", "reservation": reservation}
    good = {"id": "e-1", "tokens": 4}
    results = house.send_all(wrong, good, good)

    assert [r.status for r in results] == ["error", "recorded", "duplicate"]
    assert counters() == [(4, 1)]
    assert house.send(**good).event_id == results[1].event_id


def test_a6_sixty_days_ago_is_accepted_and_five_minutes_ahead_too(house):
    house.policy()
    assert house.send(occurred_at=house.now - timedelta(days=60)).status == "recorded"
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert house.send(occurred_at=epoch).status == "recorded"
    ahead = house.send(occurred_at=house.now + timedelta(minutes=5))
    assert ahead.status == "recorded"
    over = house.send(occurred_at=house.now + timedelta(minutes=5, microseconds=1))

    assert (over.error.status, over.error.errors[0]["pointer"]) == (422, "/occurred_at")


@pytest.mark.parametrize("window", [None, FIXED])
def test_a6_a_late_event_alerts_once_marked_late_and_never_blocks_or_revokes(
    house, window
):
    actions = {"block": {"duration_seconds": 3600}, "revoke": {}, "email": {}}
    house.policy(threshold=10, actions=actions, window=window)
    house.send(tokens=1)
    yesterday = house.now - timedelta(days=1)
    for _ in range(3):
        house.send(tokens=20, occurred_at=yesterday)

    alert = Alert.objects.get()
    assert (alert.late, alert.step, alert.deliveries.count()) == (True, 100, 1)
    assert alert.resets_at <= house.now
    assert not Block.objects.exists()
    assert counters() == [(60, 0), (1, 0)]
    assert house.ask(tokens=9)["allowed"] is True


def test_a6_a_late_alert_does_not_stand_in_for_todays(house):
    house.policy(threshold=10, actions={"block": {"duration_seconds": 60}})
    house.send(tokens=20, occurred_at=house.now - timedelta(days=1))
    house.send(tokens=20)

    assert sorted(Alert.objects.values_list("late", flat=True)) == [False, True]
    assert Block.objects.count() == 1


def test_a6_a_rolling_window_takes_a_late_event_into_its_own_time(house):
    house.policy(threshold=100, window=ROLLING)
    house.send(tokens=30, occurred_at=house.now - timedelta(minutes=50))
    house.send(tokens=40, occurred_at=house.now - timedelta(hours=3))
    assert house.ask(tokens=70)["allowed"] is True
    assert house.ask(tokens=71)["allowed"] is False
    house.later(minutes=12)

    assert house.ask(tokens=100)["allowed"] is True


def test_a6_a_moment_means_the_same_in_every_zone(house):
    """A fixed window opened by an event that tells its time in another zone."""
    from usage.entries import CallIn, EventIn, Item
    from usage.ledger import run

    house.policy(threshold=100, window=FIXED)
    bot = house.bot.public_id
    elsewhere = house.now.astimezone(timezone(timedelta(hours=2)))
    event = EventIn(bot=bot, tokens=1, occurred_at=elsewhere)
    call = CallIn(bot=bot, estimate={"tokens": 5}, reserve=True, ttl_seconds=9000)
    (outcome,) = run([Item(house.account.id, [event, call])], now=house.now)
    reservation = outcome.answers[1].body["reservation"]["id"]
    house.later(minutes=61)
    house.send(tokens=1)
    house.send(tokens=4, reservation=reservation)

    assert counters() == [(5, 0), (1, 0)]


def test_a7_a_reset_writes_what_it_took_away(house):
    policy = house.policy()
    house.send(tokens=70)
    house.send(tokens=7)
    reset_policy(policy=policy, period="all", actor=SYSTEM, now=house.now, reason="so")
    house.send(tokens=5)

    adjustment = Adjustment.objects.get()
    assert (adjustment.amount, adjustment.kind, adjustment.reason) == (
        -77,
        "reset",
        "so",
    )
    recorded = sum(UsageEvent.objects.values_list("tokens", flat=True))
    assert Counter.objects.get().used == recorded + adjustment.amount


def test_accounts_never_mix(house):
    house.policy(threshold=10)
    create_account(slug="charlie", owner_email="charlie@example.com", now=house.now)
    neighbour = ContractHouse("charlie")
    neighbour.send(tokens=100)

    assert house.ask(tokens=10)["allowed"] is True
    assert neighbour.ask(tokens=10)["policies"] == []
