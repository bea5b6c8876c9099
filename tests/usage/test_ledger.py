"""The ledger's promises, one by one, on the real database."""

import pytest

from accounts.errors import EstimateRequired, NotFound
from alerts.models import Alert, Delivery
from audit.models import DecisionRecord
from policies.models import Block
from tests.usage.house import House
from usage.models import Counter, EventId, Reservation, UsageEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def house():
    return House()


def test_a_call_under_no_policy_passes(house):
    answer = house.ask()

    assert answer["allowed"] is True
    assert answer["reason_code"] == "ok"
    assert answer["policies"] == []


def test_exactly_the_remainder_passes_and_one_more_does_not(house):
    house.policy(threshold=1000)
    house.send(tokens=600)

    assert house.ask(tokens=400)["allowed"] is True
    refused = house.ask(tokens=401)
    assert refused["allowed"] is False
    assert refused["reason_code"] == "throttled"
    assert refused["retry_after"] == 12 * 3600


def test_an_exhausted_limit_refuses_an_unknown_cost(house):
    house.policy(threshold=1000)
    house.send(tokens=1000)

    assert house.ask()["allowed"] is False


def test_usage_is_counted_past_the_cap(house):
    house.policy(threshold=1000)
    house.send(tokens=900)
    house.send(tokens=900)

    assert Counter.objects.get().used == 1800


def test_a_decision_is_remembered_and_a_dry_run_is_not(house):
    house.policy()
    house.ask(tokens=10)
    house.ask(tokens=10, dry_run=True)

    record = DecisionRecord.objects.get()
    assert record.account_id == house.account.id
    assert record.estimate["tokens"] == 10
    assert record.sequence > 0


def test_a_pure_check_makes_no_counter(house):
    house.policy()
    house.ask(tokens=10)

    assert not Counter.objects.exists()


def test_a_hold_is_taken_settled_and_charged(house):
    house.policy(threshold=1000)
    granted = house.hold(tokens=400)

    assert granted["reservation"]["state"] == "open"
    assert granted["policies"][0]["held"] == 400
    assert granted["policies"][0]["remaining"] == 600
    result = house.send(tokens=300, reservation=granted["reservation"]["id"])
    assert result.status == "recorded"
    counter = Counter.objects.get()
    assert (counter.used, counter.held) == (300, 0)
    assert Reservation.objects.get().state == "settled"


def test_holds_never_pass_the_cap(house):
    house.policy(threshold=1000)
    granted = [house.hold(tokens=400)["allowed"] for _ in range(3)]

    assert granted == [True, True, False]


def test_what_a_settle_adds_above_its_hold_is_an_overrun(house):
    house.policy(threshold=1000)
    reservation = house.hold(tokens=400)["reservation"]["id"]
    house.send(tokens=1200, reservation=reservation)

    assert Counter.objects.get().used == 1200
    assert UsageEvent.objects.get().overrun is True
    assert house.ask(tokens=1)["allowed"] is False


def test_releasing_frees_a_hold_and_twice_says_so(house):
    house.policy(threshold=1000)
    reservation = house.hold(tokens=1000)["reservation"]["id"]

    assert house.release(reservation)["state"] == "released"
    assert house.release(reservation)["state"] == "released"
    assert Counter.objects.get().held == 0
    assert house.ask(tokens=1000)["allowed"] is True


def test_an_expired_hold_is_free_without_any_sweep(house):
    house.policy(threshold=1000)
    house.hold(tokens=1000, ttl_seconds=1)
    assert house.hold(tokens=1)["allowed"] is False
    house.later(seconds=2)

    assert house.hold(tokens=1000)["allowed"] is True
    assert Counter.objects.get().held == 1000


def test_a_settle_after_expiry_is_counted_in_full(house):
    house.policy(threshold=1000)
    reservation = house.hold(tokens=500, ttl_seconds=1)["reservation"]["id"]
    house.later(seconds=2)
    house.send(tokens=200, reservation=reservation)

    counter = Counter.objects.get()
    assert (counter.used, counter.held) == (200, 0)
    assert UsageEvent.objects.get().overrun is True
    assert Reservation.objects.get().state == "expired"


def test_a_second_settle_is_the_first_or_an_ordinary_event(house):
    house.policy(threshold=1000)
    reservation = house.hold(tokens=500)["reservation"]["id"]
    house.send(tokens=200, reservation=reservation)

    assert house.send(tokens=200, reservation=reservation).status == "duplicate"
    again = house.send(id="other", tokens=50, reservation=reservation)
    assert again.status == "recorded"
    assert Counter.objects.get().used == 250


def test_an_estimate_is_needed_where_a_cap_holds(house):
    house.policy(threshold=1000)

    with pytest.raises(EstimateRequired) as raised:
        house.hold()
    assert raised.value.errors[0]["pointer"] == "/estimate/tokens"


def test_a_default_hold_stands_in_for_an_estimate(house):
    house.policy(threshold=1000, default_hold={"tokens": 300})
    granted = house.hold()

    assert granted["policies"][0]["held"] == 300


def test_an_unknown_bot_is_not_found(house):
    stranger = House("charlie")

    with pytest.raises(NotFound) as foreign:
        house.ask(bot=stranger.bot)
    assert foreign.value.status == 404
    result = house.send(bot=stranger.bot, tokens=1)
    assert (result.status, result.error.code) == ("error", "not_found")


def test_an_event_is_applied_once(house):
    house.policy()
    first = house.send(id="e-1", tokens=10)
    second = house.send(id="e-1", tokens=10)

    assert (first.status, second.status) == ("recorded", "duplicate")
    assert first.event_id == second.event_id
    assert Counter.objects.get().used == 10
    assert UsageEvent.objects.count() == 1


def test_a_reused_event_id_is_a_conflict(house):
    house.send(id="e-1", tokens=10)
    result = house.send(id="e-1", tokens=11)

    assert (result.status, result.error.status) == ("error", 409)


def test_a_failed_event_leaves_its_id_free(house):
    house.policy()
    reservation = house.hold(tokens=5, user="u-1")["reservation"]["id"]
    wrong = house.send(id="e-1", tokens=5, user="u-2", reservation=reservation)

    assert wrong.error.code == "reservation_mismatch"
    assert not EventId.objects.exists()
    right = house.send(id="e-1", tokens=5, user="u-1", reservation=reservation)
    assert right.status == "recorded"


def test_an_event_far_in_the_future_is_refused(house):
    from datetime import timedelta

    result = house.send(tokens=1, occurred_at=house.now + timedelta(minutes=6))

    assert result.error.status == 422


def test_crossing_blocks_once_and_writes_one_mail(house):
    house.policy(
        threshold=1000, actions={"block": {"duration_seconds": 3600}, "email": {}}
    )
    house.send(tokens=999)
    assert not Block.objects.exists()
    house.send(tokens=1)
    house.send(tokens=500)

    block = Block.objects.get()
    assert block.kind == "policy"
    # The day ends later than the hour: a block never ends into an instant re-trip.
    assert block.ends_at.isoformat() == "2026-03-05T00:00:00+00:00"
    alert = Alert.objects.get()
    assert (alert.step, alert.state) == (100, "breached")
    delivery = Delivery.objects.get()
    assert (delivery.channel, delivery.recipient) == ("email", "")
    refused = house.ask()
    assert refused["reason_code"] == "blocked"
    assert refused["retry_after"] == 12 * 3600


def test_steps_warn_before_the_cap(house):
    house.policy(threshold=1000, alert_steps=[50, 80, 100])
    house.send(tokens=850)

    assert sorted(Alert.objects.values_list("step", "state")) == [
        (50, "warning"),
        (80, "warning"),
    ]


def test_revoking_stops_the_bot_and_is_seen_at_once(house):
    house.policy(threshold=10, actions={"revoke": {}})
    house.send(tokens=10)

    assert house.ask()["reason_code"] == "revoked"
    house.bot.refresh_from_db()
    assert house.bot.state == "revoked"


def test_shadow_counts_and_never_refuses(house):
    house.policy(
        threshold=10,
        rollout_mode="shadow",
        actions={"block": {"duration_seconds": 60}, "email": {}},
    )
    house.send(tokens=20)
    answer = house.ask()

    assert answer["allowed"] is True
    assert (answer["decision"], answer["enforced"]) == ("deny", False)
    assert Block.objects.get().enforced is False
    assert not Delivery.objects.exists()


def test_each_user_has_a_counter_of_its_own(house):
    house.policy(threshold=10, group_by=["user"])
    house.send(tokens=10, user="u-1")

    assert house.ask(user="u-1")["allowed"] is False
    assert house.ask(user="u-2")["allowed"] is True
    assert house.ask()["allowed"] is True
    house.send(tokens=10)
    assert house.ask()["allowed"] is False


def test_a_window_starts_anew(house):
    house.policy(threshold=10)
    house.send(tokens=10)
    assert house.ask()["allowed"] is False
    house.later(hours=12)

    assert house.ask()["allowed"] is True


def test_a_late_event_counts_in_its_window_and_never_blocks(house):
    from datetime import timedelta

    house.policy(threshold=10, actions={"block": {"duration_seconds": None}})
    house.send(tokens=20, occurred_at=house.now - timedelta(days=1))

    assert house.ask(tokens=5)["allowed"] is True
    assert not Block.objects.exists()
    assert Alert.objects.get().late is True


def test_a_fixed_window_opens_with_its_first_event(house):
    house.policy(threshold=10, window={"kind": "fixed", "seconds": 3600})
    house.send(tokens=6)
    house.later(minutes=59)
    house.send(tokens=4)
    refused = house.ask()
    assert (refused["allowed"], refused["retry_after"]) == (False, 60)
    house.later(minutes=1)

    assert house.ask(tokens=10)["allowed"] is True
    house.send(tokens=1)
    assert sorted(Counter.objects.values_list("is_head", "used")) == [
        (False, 10),
        (True, 1),
    ]


def test_a_late_event_finds_its_fixed_window(house):
    from datetime import timedelta

    house.policy(threshold=10, window={"kind": "fixed", "seconds": 3600})
    house.send(tokens=6)
    first = house.now
    house.later(hours=2)
    house.send(tokens=1)
    house.send(tokens=2, occurred_at=first + timedelta(minutes=30))
    house.send(tokens=3, occurred_at=first - timedelta(minutes=30))

    found = Counter.objects.order_by("window_start").values_list("used", flat=True)
    assert list(found) == [3, 8, 1]


def test_a_hold_stays_on_the_fixed_window_it_was_made_in(house):
    house.policy(threshold=10, window={"kind": "fixed", "seconds": 3600})
    reservation = house.hold(tokens=4, ttl_seconds=86_400)["reservation"]["id"]
    house.later(hours=2)
    house.send(tokens=1)
    house.send(tokens=3, reservation=reservation)

    found = Counter.objects.order_by("window_start")
    assert [(c.used, c.held) for c in found] == [(3, 0), (1, 0)]


def test_a_rolling_window_lets_go_of_what_is_old(house):
    house.policy(threshold=10, window={"kind": "rolling", "seconds": 3600})
    house.send(tokens=10)
    refused = house.ask()
    assert refused["allowed"] is False
    house.later(seconds=refused["retry_after"] - 1)
    assert house.ask()["allowed"] is False
    house.later(seconds=1)

    assert house.ask(tokens=10)["allowed"] is True


def test_a_conversation_counts_once(house):
    house.policy(threshold=2, metric="conversations")
    house.send(conversation="c-1", tokens=1)
    house.send(conversation="c-1", tokens=1)
    house.send(conversation="c-2", tokens=1)

    assert Counter.objects.get().used == 2
    assert house.ask(conversation="c-3")["allowed"] is False


def test_cost_comes_from_the_price_list(house):
    house.policy(threshold="0.01", metric="cost")
    house.send(model="gpt-4o", input_tokens=1000, output_tokens=100)

    assert UsageEvent.objects.get().cost == 3500
    assert Counter.objects.get().used == 3500


def test_a_model_without_a_price_is_refused_where_cost_is_capped(house):
    house.policy(threshold="0.01", metric="cost")

    assert house.ask(model="nobody-1", tokens=5)["reason_code"] == "unpriced_model"


def test_the_first_refusal_of_a_reserving_call_tells_people(house):
    house.policy(threshold=1001, actions={"throttle": {}, "email": {}})
    house.send(tokens=1000)
    assert not Alert.objects.exists()
    house.ask(tokens=10)
    assert not Alert.objects.exists()
    house.hold(tokens=10)
    house.hold(tokens=10)

    assert Delivery.objects.count() == 1


def test_an_edit_is_seen_by_the_next_call(house):
    from accounts.actors import SYSTEM
    from accounts.services import set_bot_state

    assert house.ask()["allowed"] is True
    set_bot_state(
        bot=house.bot, state="disabled", reason="", actor=SYSTEM, now=house.now
    )

    assert house.ask()["reason_code"] == "bot_disabled"
