"""A thousand events in one call, and the two drivers side by side."""

import asyncio
import sys
import time

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from api.lane import lane_conninfo
from policies.rules import MAX_INTEGER
from tests.usage.contract import ContractHouse, counters
from tests.usage.house import NOON
from usage.async_ledger import AsyncLedger
from usage.entries import MAX_EVENTS, CallIn, EventIn, Item, ReleaseIn
from usage.ledger import run
from usage.models import Counter, UsageEvent

in_thread = sync_to_async(thread_sensitive=True)


@pytest.mark.django_db
def test_a_thousand_events_are_one_batch():
    house = ContractHouse()
    for index in range(4):
        house.policy(threshold=10_000, group_by=["user"] if index % 2 else [])
    events = [
        {"id": f"e-{n}", "tokens": n % 7, "user": f"u-{n % 50}", "conversation": "c"}
        for n in range(MAX_EVENTS)
    ]
    begun = time.perf_counter()
    results = house.send_all(*events)
    seconds = time.perf_counter() - begun
    again = house.send_all(*events)
    sys.stdout.write(f"{MAX_EVENTS / seconds:,.0f} events a second in one call\n")

    assert {result.status for result in results} == {"recorded"}
    assert {result.status for result in again} == {"duplicate"}
    assert [r.event_id for r in again] == [r.event_id for r in results]
    total = sum(n % 7 for n in range(MAX_EVENTS))
    assert sum(used for used, _ in counters()) == 4 * total
    assert UsageEvent.objects.count() == MAX_EVENTS
    sequences = UsageEvent.objects.order_by("sequence").values_list("client_id")
    assert [name for (name,) in sequences] == [e["id"] for e in events]


def script(bot):
    """Requests of every kind, each put once the one before has been answered."""
    call = {"bot": bot, "reserve": True}
    return [
        lambda seen: CallIn(bot=bot, estimate={"tokens": 11}, user="u-1"),
        lambda seen: CallIn(**call, estimate={"tokens": 30}),
        lambda seen: CallIn(**call, estimate={"tokens": 80}),
        lambda seen: CallIn(**call),
        lambda seen: EventIn(bot=bot, id="e-1", tokens=5, user="u-1"),
        lambda seen: EventIn(bot=bot, id="e-1", tokens=5, user="u-1"),
        lambda seen: EventIn(bot=bot, id="e-1", tokens=6),
        lambda seen: EventIn(bot=bot, tokens=9, reservation=seen[1]),
        lambda seen: ReleaseIn(seen[1]),
        lambda seen: ReleaseIn("res_01hzzzzzzzzzzzzzzzzzzzzzzz"),
        lambda seen: EventIn(bot="nobody", tokens=1),
        lambda seen: CallIn(bot="nobody"),
        lambda seen: EventIn(bot=bot, tokens=200, conversation="c-1"),
        lambda seen: CallIn(bot=bot, dry_run=True),
    ]


def shown(answer):
    """An answer without what differs each time: ids and the reservation's."""
    if answer.error is not None:
        return answer.error.code, answer.error.errors
    body = getattr(answer, "body", None)
    if body is None:
        return answer.status
    unlike = {"id", "reservation", "policies", "policy_id", "policy_target"}
    kept = {name: value for name, value in body.items() if name not in unlike}
    readings = [
        {name: r[name] for name in r if name != "policy_id"}
        for r in body.get("policies", ())
    ]
    return kept, readings


def reservation_of(answer):
    body = getattr(answer, "body", None) or {}
    return (body.get("reservation") or {}).get("id")


def house_of(slug):
    house = ContractHouse(slug)
    for fields in (
        {"actions": {"block": {"duration_seconds": None}}},
        {"window": {"kind": "rolling", "seconds": 600}},
        {"window": {"kind": "fixed", "seconds": 600}},
    ):
        # Policies are listed by their ids, so by their age.
        house.later(seconds=-1)
        house.policy(threshold=50, **fields)
    return house


@pytest.mark.django_db(transaction=True)
async def test_both_drivers_give_the_same_answers():
    ledger = AsyncLedger(
        conninfo=lane_conninfo(), clock=lambda: NOON, batch_max=9, queue_max=9
    )
    serving = asyncio.create_task(ledger.serve())
    found = []
    for slug in ("sync", "async"):
        house = await in_thread(house_of)(slug)
        answers, seen = [], []
        for make in script(house.bot.public_id):
            item = Item(house.account.id, [make(seen)])
            if slug == "sync":
                (outcome,) = await in_thread(run)([item], now=NOON)
            else:
                outcome = await ledger.submit(item)
            (answer,) = outcome.answers
            answers.append(shown(answer))
            seen.append(reservation_of(answer))
        rows = Counter.objects.filter(account=house.account).order_by("kind")
        found.append((answers, [row async for row in rows.values_list("kind", "used")]))
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await in_thread(connections.close_all)()

    assert found[0] == found[1]
    assert found[0][1] == [("calendar", 214), ("fixed", 214), ("rolling", 214)]


@pytest.mark.django_db(transaction=True)
async def test_absurd_amounts_do_not_stop_the_ledger():
    house = await in_thread(ContractHouse)()
    await in_thread(house.price)("m", input=10**15, output=10**15)
    await in_thread(house.policy)(threshold="1", metric="cost")
    ledger = AsyncLedger(
        conninfo=lane_conninfo(), clock=lambda: NOON, batch_max=9, queue_max=9
    )
    serving = asyncio.create_task(ledger.serve())
    bot = house.bot.public_id
    huge = EventIn(bot=bot, model="m", tokens=MAX_INTEGER)
    for _ in range(3):
        item = Item(house.account.id, [huge] * 600)
        await asyncio.gather(ledger.submit(item), return_exceptions=True)
    item = Item(house.account.id, [CallIn(bot=bot, model="m", estimate={"tokens": 1})])
    (answer,) = (await asyncio.wait_for(ledger.submit(item), 60)).answers
    costs = {event.cost async for event in UsageEvent.objects.all()}
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await in_thread(connections.close_all)()

    assert answer.body["allowed"] is False
    assert costs == {MAX_INTEGER}
