"""Two ledgers on one database, for the tests of what happens between them.

Each `AsyncLedger` has a rulebook and a connection of its own, as in two processes.
"""

import asyncio

import psycopg
import pytest
from django.db import connections

from api.lane import lane_conninfo
from tests.usage.pair import Caller, Clock, in_thread
from usage import metrics
from usage.async_ledger import AsyncLedger


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def pair(clock):
    ledgers = [
        AsyncLedger(
            conninfo=lane_conninfo(), clock=clock, batch_max=256, queue_max=4096
        )
        for _ in range(2)
    ]
    tasks = [asyncio.create_task(ledger.serve()) for ledger in ledgers]
    yield ledgers
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await in_thread(connections.close_all)()


@pytest.fixture
async def beside():
    async with await psycopg.AsyncConnection.connect(
        lane_conninfo(), autocommit=True
    ) as database:
        yield database


@pytest.fixture
def retries():
    """How often a batch ran into a deadlock during the test."""
    before = metrics.RETRIES.collect()[0].samples[0].value

    def since():
        return metrics.RETRIES.collect()[0].samples[0].value - before

    return since


@pytest.fixture
def callers(house, pair):
    return [Caller(house, ledger) for ledger in pair]
