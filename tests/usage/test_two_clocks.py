"""Two lane processes whose windows close, whose clocks differ, whose locks cross."""

import asyncio
import random
from datetime import timedelta

import pytest
from django.db import connections

from api.lane import lane_conninfo
from tests.usage.contract import ContractHouse
from tests.usage.house import NOON
from tests.usage.pair import Caller, in_thread
from usage.async_ledger import AsyncLedger
from usage.entries import EventIn, Item, ReleaseIn
from usage.models import Conversation, Counter

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house():
    return ContractHouse()


async def test_a_settle_waits_for_who_closes_its_fixed_window(
    callers, house, clock, beside
):
    """The row that keeps the old window appears while the settle waits for its head."""
    window = {"kind": "fixed", "seconds": 60}
    await in_thread(house.policy)(threshold=100, window=window)
    reservations = [await callers[0].hold(9, ttl_seconds=9_000) for _ in range(2)]
    clock.now += timedelta(hours=1)
    async with beside.transaction():
        await beside.execute("SELECT 1 FROM usage_counter FOR UPDATE")
        closing = asyncio.create_task(callers[0].send(tokens=1))
        await asyncio.sleep(0.15)
        first, second = reservations
        waiting = [
            asyncio.create_task(callers[1].send(tokens=5, reservation=first)),
            asyncio.create_task(callers[1].put(ReleaseIn(second))),
        ]
        await asyncio.sleep(0.15)
    for answered in await asyncio.gather(closing, *waiting):
        assert answered.error is None

    rows = Counter.objects.order_by("window_start").values_list("used", "held")
    assert [row async for row in rows] == [(5, 0), (1, 0)]


async def test_a_clock_that_is_behind_counts_in_the_window_that_is_open(house, clock):
    window = {"kind": "fixed", "seconds": 3600}
    await in_thread(house.policy)(threshold=100, window=window)
    ledgers = [
        AsyncLedger(conninfo=lane_conninfo(), clock=read, batch_max=9, queue_max=9)
        for read in (clock, clock.behind(milliseconds=20))
    ]
    tasks = [asyncio.create_task(ledger.serve()) for ledger in ledgers]
    for ledger in ledgers:
        await Caller(house, ledger).send(tokens=4)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await in_thread(connections.close_all)()

    counter = await Counter.objects.aget()
    assert (counter.used, counter.window_start) == (8, NOON)


async def test_late_events_and_settles_of_one_closed_window_do_not_deadlock(
    callers, house, clock, beside, retries
):
    window = {"kind": "fixed", "seconds": 60}
    policies = [{"threshold": 9_000, "window": window, "group_by": ["user"]}] * 3
    for fields in policies:
        await in_thread(house.policy)(**fields)
    users = [f"u-{n}" for n in range(12)]
    held = [
        (user, await callers[n % 2].hold(9, user=user, ttl_seconds=9_000))
        for user in users
        for n in range(4)
    ]
    late = clock.now + timedelta(seconds=1)
    clock.now += timedelta(hours=1)
    await asyncio.gather(*(callers[0].send(tokens=1, user=user) for user in users))
    random.Random(3).shuffle(held)

    async def act(n, user, reservation):
        caller = callers[n % 2]
        await caller.send(tokens=1, user=user, occurred_at=late)
        await caller.send(tokens=9, reservation=reservation)

    await asyncio.gather(*(act(n, *one) for n, one in enumerate(held)))

    assert retries() == 0
    closed = Counter.objects.filter(is_head=False).values_list("used", "held")
    assert [row async for row in closed] == [(40, 0)] * 36


async def test_conversations_touched_in_any_order_do_not_deadlock(
    callers, house, clock, retries
):
    names = [f"c-{n}" for n in range(12)]
    bot = house.bot.public_id
    await callers[0].ledger.submit(
        Item(house.account.id, [EventIn(bot=bot, conversation=name) for name in names])
    )
    for turn in range(25):
        clock.now += timedelta(seconds=1)
        orders = [names[turn % 12 :] + names[: turn % 12], names[::-1]]
        await asyncio.gather(
            *(
                caller.ledger.submit(
                    Item(
                        house.account.id,
                        [EventIn(bot=bot, conversation=name) for name in order],
                    )
                )
                for caller, order in zip(callers, orders, strict=True)
            )
        )

    assert retries() == 0
    newest = Conversation.objects.values_list("last_activity_at", flat=True)
    assert {moment async for moment in newest} == {clock.now}
