"""Holds that go overdue while a call waits for others do not keep it waiting (B7)."""

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from api.lane import lane_conninfo
from tests.usage.house import NOON, House
from usage.async_ledger import AsyncLedger
from usage.entries import CallIn, Item
from usage.models import Reservation

pytestmark = pytest.mark.django_db(transaction=True)
in_thread = sync_to_async(thread_sensitive=True)


class Hurrying:
    """A clock on which another second has passed whenever it is read."""

    now = NOON

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


async def test_a_call_is_decided_although_a_hold_ends_every_second():
    house = await in_thread(House)()
    await in_thread(house.policy)(threshold=100)

    def fill():
        for number in range(10):
            house.hold(tokens=10, ttl_seconds=number + 1)

    await in_thread(fill)()
    ledger = AsyncLedger(
        conninfo=lane_conninfo(), clock=Hurrying(), batch_max=256, queue_max=4096
    )
    task = asyncio.create_task(ledger.serve())
    call = CallIn(bot=house.bot.public_id, estimate={"tokens": 100}, reserve=True)
    (answer,) = (await ledger.submit(Item(house.account.id, [call]))).answers
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert answer.error is None
    assert not answer.body["allowed"]
    expired = Reservation.objects.filter(state="expired")
    # Only what was overdue when the call was taken up.
    assert await in_thread(expired.count)() == 1
    await in_thread(connections.close_all)()
