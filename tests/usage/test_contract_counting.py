"""CONTRACT A1–A4, sentence by sentence: what counts, and for how much."""

import pytest

from accounts.actors import SYSTEM
from accounts.errors import InvalidBody
from tests.usage.contract import ContractHouse, counters, last_event
from usage.conversations import create_conversation, delete_conversation
from usage.models import Conversation, UsageEvent

pytestmark = pytest.mark.django_db

EVERY_METRIC = [
    "tokens",
    "input_tokens",
    "output_tokens",
    "messages",
    "conversations",
    "calls",
    "cost",
]


@pytest.fixture
def house():
    return ContractHouse()


@pytest.mark.parametrize("metric", EVERY_METRIC)
def test_a1_each_metric_counts_what_the_event_says_of_it(house, metric):
    threshold = "1000" if metric == "cost" else 1000
    house.policy(metric=metric, threshold=threshold)
    house.send(
        input_tokens=30,
        output_tokens=12,
        messages=4,
        conversations=2,
        calls=3,
        cost=1_500_000,
    )

    amounts = {"tokens": 42, "input_tokens": 30, "output_tokens": 12, "messages": 4}
    amounts |= {"conversations": 2, "calls": 3, "cost": 1_500_000}
    assert counters() == [(amounts[metric], 0)]
    assert getattr(last_event(), metric) == amounts[metric]


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        ({"tokens": 10, "input_tokens": 4}, (10, 4, 6)),
        ({"tokens": 10, "output_tokens": 4}, (10, 6, 4)),
        ({"input_tokens": 4}, (4, 4, 0)),
        ({"tokens": 10}, (10, 0, 0)),
    ],
)
def test_a1_tokens_are_input_and_output(house, said, whole):
    house.send(**said)

    event = last_event()
    assert (event.tokens, event.input_tokens, event.output_tokens) == whole


def test_a1_tokens_that_do_not_add_up_are_refused(house):
    result = house.send(tokens=10, input_tokens=4, output_tokens=4)

    assert result.error.status == 422
    assert result.error.errors[0]["pointer"] == "/tokens"
    assert house.send(tokens=3, input_tokens=4).error.status == 422


def test_a1_an_estimate_that_does_not_add_up_is_refused_too(house):
    with pytest.raises(InvalidBody) as raised:
        house.ask(tokens=10, input_tokens=8, output_tokens=8)

    assert raised.value.errors[0]["pointer"] == "/estimate/tokens"


def test_a1_a_priced_cost_is_rounded_up_for_each_event(house):
    house.price("tiny", total=1)
    house.policy(metric="cost", threshold="1")
    for _ in range(3):
        house.send(model="tiny", tokens=1)

    assert counters() == [(3, 0)]


def test_a1_cost_is_shown_as_decimal_dollars(house):
    house.policy(metric="cost", threshold="12.5")
    house.send(cost=10_000_001)
    (reading,) = house.ask()["policies"]

    shown = [reading[name] for name in ("threshold", "used", "held", "remaining")]
    assert shown == ["12.5", "10.000001", "0", "2.499999"]


def test_a2_an_event_is_one_call_unless_it_says_otherwise(house):
    house.policy(metric="calls")
    house.send()
    house.send(calls=0)
    house.send(calls=5)

    assert counters() == [(6, 0)]
    first = UsageEvent.objects.order_by("sequence").first()
    assert (first.tokens, first.messages, first.conversations) == (0, 0, 0)
    assert first.cost is None


def test_a2_an_estimate_is_one_call_and_no_message(house):
    house.policy(metric="calls", threshold=1)
    house.policy(metric="messages", threshold=1)

    by_metric = {r["metric"]: r for r in house.hold()["policies"]}
    assert by_metric["calls"]["held"] == 1
    assert by_metric["messages"]["held"] == 0


def test_a2_an_estimate_counts_a_conversation_only_if_it_is_new(house):
    house.policy(metric="conversations", threshold=1)
    assert house.ask(conversation="c-1")["allowed"] is True
    house.send(conversation="c-1")

    house.patch(house.account.policies.get(), limits=[_conversations(2)])
    known, new = house.hold(conversation="c-1"), house.hold(conversation="c-2")
    assert known["policies"][0]["held"] == 0
    assert new["policies"][0]["held"] == 1
    assert house.hold()["policies"][0]["held"] == 1


def _conversations(threshold):
    window = {"kind": "calendar", "unit": "day", "timezone": "UTC"}
    return {"metric": "conversations", "threshold": threshold, "window": window}


def test_a2_a_call_decided_before_the_event_that_names_it_meets_a_new_one(house):
    from usage.entries import CallIn, EventIn, Item
    from usage.ledger import run

    house.policy(metric="conversations", threshold=5)
    bot = house.bot.public_id
    call = CallIn(bot=bot, conversation="c-1", reserve=True)
    event = EventIn(bot=bot, conversation="c-1")
    (outcome,) = run([Item(house.account.id, [call, event, call])], now=house.now)

    held = [answer.body["policies"][0]["held"] for answer in outcome.answers[::2]]
    assert held == [1, 1]


def test_a3_the_events_own_cost_comes_first(house):
    house.send(model="gpt-4o", tokens=1000, cost=7)

    assert last_event().cost == 7


def test_a3_the_accounts_price_overrides_the_library(house):
    house.price("gpt-4o", input=1_000_000, output=2_000_000)
    house.send(model="gpt-4o", input_tokens=10, output_tokens=10)

    assert last_event().cost == 30


def test_a3_a_pattern_prices_what_no_row_names(house):
    house.price("mine-*", total=1_000_000)
    house.price("mine-large*", total=5_000_000)
    house.send(model="mine-large-2", tokens=10)
    assert last_event().cost == 50
    house.send(model="mine-small", tokens=10)
    assert last_event().cost == 10


def test_a3_bare_tokens_cost_the_dearer_of_the_two(house):
    house.price("m", input=1_000_000, output=3_000_000)
    house.price("n", input=9_000_000, output=3_000_000)
    house.send(model="m", tokens=10)
    assert last_event().cost == 30
    house.send(model="n", tokens=10)
    assert last_event().cost == 90


def test_a3_what_an_estimate_leaves_of_its_tokens_is_priced_too(house):
    house.price("m", input=1_000_000, output=3_000_000)
    house.policy(metric="cost", threshold="1")

    granted = house.hold(model="m", estimate={"tokens": 100, "input_tokens": 10})
    assert granted["policies"][0]["held"] == "0.00028"


@pytest.mark.parametrize(("mode", "allowed"), [("deny", False), ("allow", True)])
def test_a3_a_model_without_a_price_follows_the_policy(house, mode, allowed):
    house.policy(metric="cost", threshold="1", on_unpriced=mode)

    answer = house.hold(model="nobody-1", tokens=5)
    assert answer["allowed"] is allowed
    assert answer["reason_code"] == ("ok" if allowed else "unpriced_model")


def test_a3_a_price_is_asked_for_only_where_cost_is_capped(house):
    house.policy(metric="tokens")
    assert house.hold(model="nobody-1", tokens=5)["allowed"] is True
    house.send(model="nobody-1", tokens=5)

    assert last_event().cost is None


def test_a3_an_unpriced_model_may_be_estimated_in_dollars(house):
    house.policy(metric="cost", threshold="1")

    answer = house.hold(model="nobody-1", cost=400_000)
    assert answer["policies"][0]["held"] == "0.4"


def test_a4_a_conversation_counts_once_for_each_bot(house):
    house.policy(metric="conversations")
    other = house.add_bot("other")
    for bot in (house.bot, house.bot, other):
        house.send(bot=bot, conversation="c-1")

    assert counters() == [(2, 0)]
    assert Conversation.objects.count() == 2


def test_a4_the_first_event_creates_the_row_and_its_public_id_is_the_same_one(house):
    house.policy(metric="conversations")
    house.send(conversation="c-1", user="u-1")
    row = Conversation.objects.get()
    assert (row.external_id, row.user, row.bot_id) == ("c-1", "u-1", house.bot.id)
    house.later(minutes=5)
    house.send(conversation=row.public_id)

    assert counters() == [(1, 0)]
    assert last_event().conversation_id == row.id
    row.refresh_from_db()
    assert row.last_activity_at == house.now


def test_a4_a_conversation_that_was_deleted_does_not_count_again(house):
    house.policy(metric="conversations")
    house.send(conversation="c-1")
    delete_conversation(
        conversation=Conversation.objects.get(), actor=SYSTEM, now=house.now
    )
    house.send(conversation="c-1")

    assert counters() == [(1, 0)]
    assert Conversation.objects.get().external_id == "c-1"
    assert house.hold(conversation="c-1")["policies"][0]["held"] == 0


def test_a4_an_imported_conversation_never_counts(house):
    house.policy(metric="conversations")
    imported = [
        create_conversation(
            account=house.account, bot=house.bot, external_id=name, now=house.now
        )
        for name in ("c-1", None)
    ]
    house.send(conversation="c-1")
    for row in imported:
        house.send(conversation=row.public_id)

    assert counters() == []


def test_a4_another_bots_or_an_absent_conversation_is_an_unknown_reference(house):
    other = house.add_bot("other")
    house.send(bot=other, conversation="c-1")
    foreign = Conversation.objects.get().public_id
    results = [
        house.send(conversation=name)
        for name in (foreign, "cnv_01hzzzzzzzzzzzzzzzzzzzzzzz")
    ]

    for result in results:
        assert result.error.code == "unknown_reference"
        assert result.error.errors[0]["pointer"] == "/conversation"


def test_a4_a_failed_event_does_not_use_a_conversation_up(house):
    house.policy(metric="conversations")
    house.send(id="e-1")
    assert house.send(id="e-1", conversation="c-1").error.status == 409
    reservation = house.held(user="u-1")
    wrong = house.send(user="u-2", reservation=reservation, conversation="c-2")
    assert wrong.error.status == 422
    house.send(conversation="c-1")
    house.send(conversation="c-2")

    assert counters() == [(2, 0)]
