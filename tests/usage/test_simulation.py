"""A simulation decides what the ledger decided, and says what a draft would have."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import ids
from audit.models import DecisionRecord
from policies.rules import parse
from policies.selectors import policies
from tests.usage.contract import FIXED, LIFETIME, ROLLING, state_of
from tests.usage.house import DAY, NOON, House
from usage import simulation_history
from usage.models import Adjustment, Counter, HourlyRollup, Reservation, UsageEvent
from usage.simulating import simulate

HOUR = {"kind": "calendar", "unit": "hour", "timezone": "UTC"}
BLOCK = {"block": {"duration_seconds": 900}, "email": {}}


def draft(threshold=1000, metric="tokens", window=None, **fields):
    limit = {"metric": metric, "threshold": threshold, "window": window or DAY}
    given = {"type": "usage", "name": "Draft", "limits": [limit]}
    return parse({**given, "actions": {"throttle": {}}, **fields})


def tried(house, document, policy=None, **fields):
    return simulate(
        account=house.account,
        document=document,
        now=house.now + timedelta(seconds=1),
        others=list(policies(house.account)),
        policy=policy,
        **fields,
    )


# The property: what was live is what is simulated.

AMOUNT = st.integers(1, 60)
WHO = st.tuples(st.sampled_from([0, 1]), st.sampled_from(["u-1", None]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), WHO, AMOUNT),
        st.tuples(st.just("hold"), WHO, AMOUNT, st.sampled_from([30, 600, 5_000])),
        st.tuples(st.just("send"), WHO, AMOUNT),
        st.tuples(st.just("late"), WHO, AMOUNT, st.integers(1, 200)),
        st.tuples(st.just("settle"), st.integers(0, 5), AMOUNT),
        st.tuples(st.just("release"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 90)),
    ),
    min_size=8,
    max_size=40,
)
POLICIES = st.fixed_dictionaries(
    {
        "threshold": st.integers(1, 150),
        "window": st.sampled_from([DAY, HOUR, FIXED, ROLLING, LIFETIME]),
        "metric": st.sampled_from(["tokens", "calls", "cost"]),
        "actions": st.sampled_from([{"throttle": {}}, BLOCK, {"warn": {}}]),
        "group_by": st.sampled_from([[], ["bot"], ["user"]]),
        "scope": st.sampled_from([{}, {"user": "u-1"}]),
    }
)


class Storm:
    """Does the steps to the real ledger."""

    def __init__(self, house):
        self.house = house
        self.bots = [house.bot, house.add_bot("other")]
        self.held = []

    def do(self, kind, *told):
        self.house.later(seconds=7)
        getattr(self, kind)(*told)

    def _call(self, who, amount):
        bot, user = who
        said = {"tokens": amount, "cost": amount * 10_000}
        return {"bot": self.bots[bot], "user": user} | said

    def ask(self, who, amount):
        self.house.ask(**self._call(who, amount))

    def hold(self, who, amount, ttl):
        answer = self.house.hold(**self._call(who, amount), ttl_seconds=ttl)
        if answer["reservation"]:
            self.held.append((answer["reservation"]["id"], self.bots[who[0]]))

    def send(self, who, amount):
        self.house.send(**self._call(who, amount))

    def late(self, who, amount, minutes):
        at = self.house.now - timedelta(minutes=minutes)
        self.house.send(**self._call(who, amount), occurred_at=at)

    def settle(self, index, amount):
        if self.held:
            name, bot = self.held[index % len(self.held)]
            self.house.send(
                bot=bot, reservation=name, tokens=amount, cost=amount * 10_000
            )

    def release(self, index):
        if self.held:
            self.house.release(self.held[index % len(self.held)][0])

    def wait(self, minutes):
        self.house.later(minutes=minutes)


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(policy=POLICIES, steps=STEPS)
def test_what_was_live_is_decided_again_as_it_was(transactional_db, policy, steps):
    house = House(slug=f"alice-{ids.new_id(NOON).hex}")
    threshold = policy.pop("threshold")
    if policy["metric"] == "cost":
        threshold = f"{threshold / 100:.2f}"
    live = house.policy(threshold=threshold, **policy)
    storm = Storm(house)
    for step in steps:
        storm.do(*step)
    made = DecisionRecord.objects.filter(account=house.account)
    made = {row.public_id: row.allowed for row in made}

    found = tried(house, live.document, policy=live, keep_decisions=True)
    assert found.source == "events"
    assert not found.truncated
    assert found.active is None
    # Calls that no policy is about are not simulated; they were all allowed.
    assert {**dict.fromkeys(made, True), **found.draft.decided} == made


# By table.


@pytest.fixture
def house(db):
    return House()


def test_it_says_how_often_when_first_and_whom(house):
    other = house.add_bot("other")
    for n in range(6):
        house.now = NOON + timedelta(hours=n)
        house.send(tokens=400, cost=1000, user="u-1")
        house.send(tokens=1, user="u-2", bot=other)
    found = tried(house, draft(threshold=1000, actions=BLOCK)).draft

    assert found.fired == 1
    assert found.fires[0].at == NOON + timedelta(hours=2)
    # 400, 400, then 400 do not fit into 199; what happened is counted all the same.
    assert found.first_refused_at == NOON + timedelta(hours=2)
    assert (found.calls.calls, found.calls.tokens) == (12, 2406)
    assert (found.refused.calls, found.refused.tokens) == (8, 1604)
    assert found.refused.cost == 4000
    assert found.by_bot[house.bot.public_id].calls == 4
    assert found.by_user["u-2"].calls == 4


def test_what_a_refused_reservation_led_to_is_left_out(house):
    for _ in range(5):
        house.later(minutes=1)
        name = house.hold(tokens=400)["reservation"]["id"]
        house.later(minutes=1)
        house.send(tokens=300, reservation=name)
    found = tried(house, draft(threshold=1000)).draft

    # 300, 600 and 900: the fourth needs 400, of which 100 are left.
    assert (found.refused.calls, found.fired) == (2, 0)
    assert tried(house, draft(threshold=999)).draft.refused.calls == 3


def test_a_bot_is_judged_by_its_decisions_from_the_first_one_on(house):
    for _ in range(4):
        house.later(minutes=1)
        house.send(tokens=400)
    house.later(minutes=1)
    house.ask(tokens=5)
    house.later(minutes=1)
    house.send(tokens=400)
    found = tried(house, draft(threshold=1000)).draft

    # Two events do not fit, and the call is refused; what is sent later never asked.
    assert (found.calls.calls, found.refused.calls) == (5, 3)
    assert found.refused.tokens == 805


def test_a_warning_refuses_nothing(house):
    for _ in range(4):
        house.later(minutes=1)
        house.send(tokens=400)
    found = tried(house, draft(threshold=1000, actions={"warn": {}})).draft

    assert (found.fired, found.refused.calls, found.warned) == (1, 0, 2)


def test_a_draft_is_put_beside_what_is_in_force(house):
    live = house.policy(threshold=10_000)
    for _ in range(4):
        house.later(minutes=1)
        house.send(tokens=400)
    found = tried(house, draft(threshold=1000), policy=live)

    assert (found.draft.refused.calls, found.active.refused.calls) == (2, 0)
    assert found.tighter == ()


def test_only_enforced_limits_on_the_same_calls_are_tighter(house):
    wide = house.policy(threshold=900)
    house.policy(threshold=100_000)
    house.policy(threshold=1, metric="calls")
    house.policy(threshold=1, rollout_mode="shadow")
    house.policy(threshold=1, actions={"warn": {}})
    house.policy(threshold=1, scope={"user": "u-9"})
    house.policy(threshold=1, group_by=["user"])
    found = tried(house, draft(threshold=1000, scope={"bot": house.bot.public_id}))

    assert [each.policy.id for each in found.tighter] == [wide.id]


def test_nothing_is_changed(house):
    live = house.policy(threshold=500, actions=BLOCK)
    house.hold(tokens=100)
    house.later(minutes=1)
    house.send(tokens=450)
    models = (Counter, Reservation, UsageEvent, DecisionRecord, Adjustment)
    before = [list(model.objects.order_by("id").values()) for model in models]
    tried(house, live.document, policy=live)

    assert [list(m.objects.order_by("id").values()) for m in models] == before


def test_windows_are_full_when_the_days_begin(house):
    month = {"kind": "calendar", "unit": "month", "timezone": "UTC"}
    house.send(tokens=900)
    house.later(days=10)
    house.send(tokens=200)
    found = tried(house, draft(threshold=1000, window=month), days=5).draft

    assert (found.calls.calls, found.refused.calls, found.fired) == (1, 1, 1)


def test_imports_are_replayed_when_they_occurred(house):
    for day in range(1, 4):
        at = NOON - timedelta(days=day)
        house.send(tokens=600, occurred_at=at)
        house.send(tokens=600, occurred_at=at + timedelta(minutes=1))
    found = tried(house, draft(threshold=1000)).draft

    assert (found.fired, found.refused.calls) == (3, 3)
    assert found.fires[0].at == NOON - timedelta(days=3) + timedelta(minutes=1)


def test_a_lot_is_replayed_from_rollups(house, monkeypatch):
    monkeypatch.setattr(simulation_history, "MOST", 60)
    for _ in range(70):
        house.later(seconds=1)
        house.send(tokens=1)
    HourlyRollup.objects.bulk_create(
        HourlyRollup(
            id=ids.new_id(NOON),
            account=house.account,
            bot=house.bot,
            hour=NOON.replace(minute=0) - timedelta(hours=hour),
            events=10,
            calls=10,
            tokens=1000,
            cost=50,
            user="u-1",
        )
        for hour in range(1, 6)
    )
    found = tried(house, draft(threshold=4000))

    assert (found.source, found.truncated) == ("rollups", False)
    assert (found.draft.calls.calls, found.draft.calls.tokens) == (50, 5000)
    assert found.draft.fired == 1
    assert found.draft.refused.calls == 10
    for hour in range(6, 90):
        row = HourlyRollup.objects.first()
        row.id, row.hour = ids.new_id(NOON), NOON - timedelta(hours=hour)
        row.save(force_insert=True)
    cut = tried(house, draft(threshold=4000))
    assert cut.truncated
    assert cut.since > house.now - timedelta(days=4)


def test_time_is_bounded(house, monkeypatch):
    for _ in range(3):
        house.later(minutes=1)
        house.send(tokens=400)
    monkeypatch.setattr("usage.simulating._SECONDS", -1)
    found = tried(house, draft())

    assert found.truncated
    assert found.draft.calls.calls == 0


def test_a_settled_hold_is_as_it_was(house):
    house.policy(threshold=10_000)
    name = house.hold(tokens=400, ttl_seconds=60)["reservation"]["id"]
    house.later(minutes=5)
    house.send(tokens=500, reservation=name)

    assert state_of(name) == "expired"
    assert tried(house, draft(threshold=500)).draft.fired == 1
