"""CONTRACT C5–C9, sentence by sentence: revokes, stacking, rollout, status."""

import pytest

from accounts.actors import SYSTEM
from accounts.models import ApiKey
from accounts.services import create_key, set_bot_state
from alerts.models import Delivery
from audit.models import DecisionRecord
from policies.matching import Caller, in_rollout
from policies.models import Block
from policies.selectors import bot_pause
from policies.services import restore_bot
from tests.usage.contract import (
    ROLLING,
    ContractHouse,
    counters,
    last_event,
)
from usage.entries import CallerKey, CallIn, EventIn
from usage.ledger import authorize, record_events
from usage.models import Counter
from usage.resets import reset_policy
from usage.selectors import statuses

pytestmark = pytest.mark.django_db

UNTIL_END = {"block": {"duration_seconds": None}}
TELL = {"email": {"to": ["ops@example.com"]}}


@pytest.fixture
def house():
    return ContractHouse()


def key_of(house, **bound):
    key, _ = create_key(
        account=house.account,
        name="",
        scopes=["*"],
        actor=SYSTEM,
        now=house.now,
        **bound,
    )
    project = bound.get("project")
    bot = bound.get("bot")
    return CallerKey(
        key.id,
        key.public_id,
        house.account.id,
        project.id if project else None,
        bot.id if bot else None,
    )


# C5


def test_c5_a_revoke_takes_the_bot_that_crossed_and_its_keys_at_once(house):
    other = house.add_bot("other")
    bound, free = key_of(house, bot=house.bot), key_of(house)
    call = CallIn(bot=house.bot.public_id)
    ask = {"account": house.account, "now": house.now}
    house.policy(threshold=10, actions={"revoke": {}})
    assert authorize(call=call, key=bound, **ask).body["allowed"] is True
    house.send(tokens=4, bot=other)
    house.send(tokens=6)

    assert authorize(call=call, key=free, **ask).body["reason_code"] == "revoked"
    with pytest.raises(Exception, match="key") as raised:
        authorize(call=call, key=bound, **ask)
    assert raised.value.status == 401
    event = EventIn(bot=house.bot.public_id, tokens=5)
    (result,) = record_events(events=[event], key=bound, **ask)
    assert result.error.status == 401
    assert house.ask(bot=other)["reason_code"] == "limit_exceeded"
    assert ApiKey.objects.filter(revoked_at=None).count() == 1


def test_c5_only_a_person_restores_and_keys_stay_revoked(house):
    bound = key_of(house, bot=house.bot)
    house.policy(threshold=10, actions={"revoke": {}})
    house.send(tokens=10)
    house.later(days=40)
    assert house.ask()["reason_code"] == "revoked"
    restore_bot(bot=house.bot, reason="", actor=SYSTEM, now=house.now)

    assert house.ask()["allowed"] is True
    assert ApiKey.objects.get(id=bound.id).revoked_at is not None


def test_c5_a_later_entry_of_the_batch_that_revokes_is_refused(house):
    from usage.entries import Item
    from usage.ledger import run

    house.policy(threshold=10, actions={"revoke": {}, **UNTIL_END})
    bot = house.bot.public_id
    requests = [CallIn(bot=bot), EventIn(bot=bot, tokens=10), CallIn(bot=bot)]
    (outcome,) = run([Item(house.account.id, requests)], now=house.now)
    first, _, last = outcome.answers

    assert first.body["allowed"] is True
    assert last.body["reason_code"] == "revoked"


# C6


def test_c6_the_most_severe_enforced_outcome_wins(house):
    throttle = house.policy(threshold=5)
    exceeded = house.policy(threshold=6, actions=UNTIL_END)
    warned = house.policy(threshold=4, actions={"warn": {}})
    shadow = house.policy(threshold=1, rollout_mode="shadow", actions={"revoke": {}})

    house.send(tokens=4)
    found = house.ask(tokens=0)
    assert (found["reason_code"], found["policy_id"]) == ("warned", warned.public_id)
    assert found["enforced"] is True
    found = house.ask(tokens=3)
    assert found["reason_code"] == "throttled"
    assert found["policy_id"] == throttle.public_id
    house.send(tokens=2)
    found = house.ask()
    assert (found["reason_code"], found["policy_id"]) == ("blocked", exceeded.public_id)
    set_bot_state(
        bot=house.bot, state="disabled", reason="", actor=SYSTEM, now=house.now
    )
    assert house.ask()["reason_code"] == "bot_disabled"
    listed = [reading["policy_id"] for reading in found["policies"]]
    policies = [throttle, exceeded, warned, shadow]
    assert listed == sorted(policy.public_id for policy in policies)


def test_c6_ties_go_to_the_smallest_policy_id(house):
    policies = []
    for _ in range(4):
        policies.append(house.policy(threshold=5).public_id)
        house.later(seconds=1)
    house.send(tokens=5)

    assert house.ask()["policy_id"] == min(policies)


def test_c6_twenty_policies_on_one_call_are_all_evaluated(house):
    for index in range(20):
        house.policy(threshold=100 + index, actions={"throttle": {}, **TELL})
    granted = house.hold(tokens=100)
    assert [r["held"] for r in granted["policies"]] == [100] * 20
    refused = house.hold(tokens=5)
    exceeded = [r["exceeded"] for r in refused["policies"]]

    assert sorted(exceeded) == [False] * 15 + [True] * 5
    assert Delivery.objects.count() == 5
    house.send(tokens=100, reservation=granted["reservation"]["id"])
    assert counters() == [(100, 0)] * 20


# C7


def test_c7_off_neither_counts_nor_is_listed(house):
    policy = house.policy(threshold=10, rollout_mode="off")
    house.send(tokens=50)

    assert house.ask()["policies"] == []
    assert counters() == []
    status = statuses(account=house.account, policies=[policy], now=house.now)
    assert status == {policy.public_id: "disabled"}


def test_c7_shadow_is_audited_and_stops_nobody(house):
    actions = {**UNTIL_END, "revoke": {}, **TELL}
    policy = house.policy(threshold=10, rollout_mode="shadow", actions=actions)
    house.send(tokens=10)
    answer = house.hold(tokens=1)

    assert (answer["allowed"], answer["decision"]) == (True, "deny")
    assert (answer["enforced"], answer["reason_code"]) == (False, "warned")
    assert (answer["rollout_mode"], answer["policy_id"]) == ("shadow", policy.public_id)
    record = DecisionRecord.objects.get()
    assert (record.allowed, record.decision, record.enforced) == (True, "deny", False)
    assert set(Block.objects.values_list("enforced", flat=True)) == {False}
    house.bot.refresh_from_db()
    assert house.bot.state == "active"
    assert bot_pause(house.account, house.bot, house.now) is None
    assert not Delivery.objects.exists()


def test_c7_notify_in_shadow_tells(house):
    house.policy(
        threshold=10, rollout_mode="shadow", actions=TELL, notify_in_shadow=True
    )
    house.send(tokens=10)

    assert Delivery.objects.count() == 1


def test_c7_from_enforce_to_shadow_nobody_is_paused_and_back(house):
    policy = house.policy(threshold=10, actions=UNTIL_END)
    house.send(tokens=10)
    house.patch(policy, rollout_mode="shadow")
    assert house.ask()["allowed"] is True
    assert bot_pause(house.account, house.bot, house.now) is None
    house.patch(policy, rollout_mode="enforce")
    assert house.ask()["reason_code"] == "blocked"
    assert bot_pause(house.account, house.bot, house.now) is not None


def test_c7_a_share_of_callers_is_bound_by_their_user(house):
    policy = house.policy(threshold=10, actions=UNTIL_END, rollout_percent=50)
    house.send(tokens=10)
    bot = house.bot.public_id
    users = [f"u-{n}" for n in range(30)]

    bound = [
        in_rollout(policy.public_id, Caller(None, bot, user, None), 50)
        for user in users
    ]
    allowed = [house.ask(user=user)["allowed"] for user in users]
    assert allowed == [not user for user in bound]
    assert 5 < sum(bound) < 25
    house.patch(policy, rollout_percent=100)
    assert not any(house.ask(user=user)["allowed"] for user in users)


def test_c7_a_revoke_takes_only_bots_in_the_share(house):
    policy = house.policy(
        threshold=10, actions={"revoke": {}}, rollout_percent=50, group_by=["bot"]
    )
    bots = [house.add_bot(f"b-{n}") for n in range(12)]
    for bot in bots:
        house.send(bot=bot, tokens=10)
    revoked = []
    for bot in bots:
        bot.refresh_from_db()
        revoked.append(bot.state == "revoked")

    wanted = [
        in_rollout(policy.public_id, Caller(None, b.public_id, None, None), 50)
        for b in bots
    ]
    assert revoked == wanted


# C8


def test_c8_status_is_triggered_by_any_subject_and_ends_by_a_reset(house):
    policy = house.policy(threshold=10, group_by=["user"])
    house.send(tokens=10, user="u-1")
    house.send(tokens=1, user="u-2")

    def status():
        found = statuses(account=house.account, policies=[policy], now=house.now)
        return found[policy.public_id]

    assert status() == "triggered"
    reset_policy(policy=policy, period="all", actor=SYSTEM, now=house.now)
    assert status() == "active"


def test_c8_a_rolling_limit_is_active_again_when_enough_has_left(house):
    policy = house.policy(threshold=10, window=ROLLING)
    house.send(tokens=10)
    house.later(minutes=62)

    found = statuses(account=house.account, policies=[policy], now=house.now)
    assert found == {policy.public_id: "active"}


# C9, in one process; two of them are in test_two_ledgers


def test_c9_a_bot_made_after_it_was_asked_for_is_found(house):
    from accounts.errors import NotFound

    call = CallIn(bot="later")
    with pytest.raises(NotFound):
        authorize(account=house.account, call=call, now=house.now)
    house.add_bot("later", external_id="later")

    assert authorize(account=house.account, call=call, now=house.now).body["allowed"]


def test_c9_a_policy_applies_to_the_next_call(house):
    assert house.ask(tokens=11)["allowed"] is True
    policy = house.policy(threshold=10)
    assert house.ask(tokens=11)["allowed"] is False
    house.threshold(policy, 11)
    assert house.ask(tokens=11)["allowed"] is True


# G7 and G2, where the ledger decides them


def test_g7_a_project_key_frees_only_its_own_projects_reservations(house):
    from accounts.errors import NotFound
    from accounts.services import create_project
    from usage.ledger import release

    mine, theirs = (
        create_project(account=house.account, name=name, actor=SYSTEM, now=house.now)
        for name in ("P", "Q")
    )
    bots = [house.add_bot(p.name, project=p) for p in (mine, theirs)]
    own, foreign = (house.held(bot=bot) for bot in bots)
    release_as = {"account": house.account, "now": house.now}
    key = key_of(house, project=mine)
    bound = key_of(house, bot=bots[0])
    for caller in (key, bound):
        with pytest.raises(NotFound):
            release(reservation_id=foreign, key=caller, **release_as)
        answer = release(reservation_id=own, key=caller, **release_as)
        assert answer.body["state"] == "released"


def test_g7_a_project_keys_answer_hides_the_figures_of_a_shared_policy(house):
    from accounts.services import create_project

    project = create_project(
        account=house.account, name="P", actor=SYSTEM, now=house.now
    )
    bot = house.add_bot("mine", project=project)
    house.policy(threshold=1234, name="Shared")
    house.send(bot=bot, tokens=1233)
    key = key_of(house, project=project)
    call = CallIn(bot=bot.public_id, estimate={"tokens": 99})
    answer = authorize(account=house.account, call=call, now=house.now, key=key).body

    assert answer["reason_code"] == "throttled"
    assert "1,233" not in answer["message"]
    (reading,) = answer["policies"]
    assert (reading["exceeded"], reading["resets_at"]) == (True, "2026-03-05T00:00:00Z")
    assert [reading[n] for n in ("used", "held", "remaining")] == [None] * 3


def test_g_the_decision_names_whom_it_is_about(house):
    from accounts.services import create_project

    project = create_project(
        account=house.account, name="P", actor=SYSTEM, now=house.now
    )
    key = key_of(house, project=project)
    call = CallIn(bot=house.bot.public_id, user="u-1", model="m", reserve=True)
    body = authorize(account=house.account, call=call, now=house.now, key=key).body

    assert body["policy_target"] == house.bot.public_id
    assert body["policy_user"] == "u-1"
    # The bot has no project of its own: the key's.
    assert body["policy_project_id"] == project.public_id
    assert body["reservation"]["expires_at"] == "2026-03-04T12:10:00Z"
    record = DecisionRecord.objects.get()
    assert record.policy_project_id == project.public_id
    house.send(reservation=body["reservation"]["id"])
    assert last_event().user == "u-1"


def test_counters_of_a_batch_are_each_written_once(house):
    house.policy(threshold=1000, group_by=["user"])
    house.send_all(*({"tokens": 1, "user": f"u-{n % 3}"} for n in range(30)))

    assert counters() == [(10, 0)] * 3
    assert Counter.objects.count() == 3
