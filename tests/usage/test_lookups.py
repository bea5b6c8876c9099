"""Reads beside the ledger when the database is gone, or hangs (C10)."""

import asyncio
import time

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from accounts.errors import Unavailable
from api.lane import lane_conninfo
from tests.usage.door import Door
from usage.lookups import Lookups

pytestmark = pytest.mark.django_db(transaction=True)
# What hangs would hang for ever; that it is a second is measured in `tests/faults`.
SOON = 10


@pytest.fixture
async def door(tmp_path_factory):
    opened = Door(lane_conninfo(), tmp_path_factory.mktemp("door"))
    await opened.open()
    yield opened
    await opened.close()
    await sync_to_async(connections.close_all, thread_sensitive=True)()


@pytest.fixture
async def lookups(door):
    made = Lookups(door.conninfo)
    yield made
    await made.close()


async def one(lookups, number):
    return await lookups.rows("SELECT %s::int", (number,))


async def test_reads_share_a_connection_one_after_another(lookups):
    found = await asyncio.gather(*(one(lookups, n) for n in range(20)))

    assert found == [[(n,)] for n in range(20)]
    assert await lookups.rows("SELECT 1", (), wanted=False) == []


@pytest.mark.parametrize("is_met", [True, False])
async def test_a_database_that_hangs_is_given_up(lookups, door, is_met):
    if is_met:
        await one(lookups, 1)
    door.hang()
    begun = time.monotonic()
    reads = [one(lookups, n) for n in range(20)]
    answers = await asyncio.gather(*reads, return_exceptions=True)

    assert time.monotonic() - begun < SOON
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert {answer.retry_after for answer in answers} == {1}
    door.mode = "open"
    assert await one(lookups, 2) == [(2,)]


async def test_a_database_that_is_gone_is_found_again(lookups, door):
    await one(lookups, 1)
    await door.shut()
    with pytest.raises(Unavailable):
        await one(lookups, 2)

    await door.open()
    assert await one(lookups, 3) == [(3,)]


async def test_a_slow_read_is_waited_for(lookups):
    assert await lookups.rows("SELECT 5 FROM pg_sleep(0.6)", ()) == [(5,)]


async def test_who_goes_away_disturbs_nobody(lookups):
    leaving = asyncio.ensure_future(lookups.rows("SELECT 1 FROM pg_sleep(30)", ()))
    await asyncio.sleep(0.05)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving

    assert await one(lookups, 2) == [(2,)]
