"""What was let through without a database is recorded, whatever its rows are like."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from accounts import ids
from api.lane import lane_conninfo
from audit.models import DecisionRecord
from tests.usage.contract import ContractHouse
from usage.async_ledger import AsyncLedger
from usage.entries import CallIn, Item
from usage.failing_open import OpenAnswers
from usage.spool import Spool

pytestmark = pytest.mark.django_db(transaction=True)
in_thread = sync_to_async(thread_sensitive=True)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def house():
    return ContractHouse()


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@pytest.fixture
async def ledger(spool):
    ledger = AsyncLedger(
        conninfo=lane_conninfo(),
        clock=lambda: NOON,
        batch_max=9,
        queue_max=9,
        open_answers=OpenAnswers(spool),
    )
    serving = asyncio.create_task(ledger.serve())
    yield ledger
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await in_thread(connections.close_all)()


def row(account_id, **fields):
    """A decision as the spool keeps it."""
    return {
        "id": str(ids.new_id(NOON)),
        "account_id": str(account_id),
        "kind": "authorize",
        "key_id": "",
        "allowed": True,
        "decision": "allow",
        "reason_code": "fail_open",
        "message": "",
        "enforced": False,
        "rollout_mode": None,
        "policy_id": None,
        "policy_target": "bot_1",
        "policy_user": None,
        "policy_project_id": None,
        "model": None,
        "estimate": {},
        "subject": {},
        "policies": [],
        "retry_after": None,
        "reservation_id": None,
        "created_at": NOON.isoformat(),
    } | fields


async def ask(ledger, house):
    call = CallIn(bot=house.bot.public_id)
    (answer,) = (await ledger.submit(Item(house.account.id, [call]))).answers
    return answer.body["reason_code"]


async def spooled():
    rows = DecisionRecord.objects.filter(reason_code="fail_open")
    return await rows.acount()


async def test_a_row_that_cannot_be_recorded_keeps_no_other_back(house, spool, ledger):
    account = house.account.id
    bad = row(account, message="a\x00b")
    spool.append([row(account), bad, row(account), row(account)])
    assert await ask(ledger, house) == "ok"
    # The next call finds the spool empty, and the ledger alive.
    assert await ask(ledger, house) == "ok"

    assert await spooled() == 3
    assert spool.rows == 0


async def test_a_row_that_is_there_already_stays_as_it_is(house, spool, ledger):
    same = row(house.account.id)
    spool.append([same, same])
    await ask(ledger, house)
    spool.append([same])
    await ask(ledger, house)
    await ask(ledger, house)

    assert await spooled() == 1
    assert spool.rows == 0


@pytest.mark.parametrize("error", [psycopg.OperationalError, psycopg.Error, OSError])
async def test_a_replay_that_fails_is_tried_again_and_stops_nobody(
    house, spool, ledger, monkeypatch, error
):
    spool.append([row(house.account.id)])
    broken = SimpleNamespace(times=2)
    replay = OpenAnswers.replay

    async def fail_twice(self, database):
        if broken.times:
            broken.times -= 1
            raise error("the disk, or the network")
        await replay(self, database)

    monkeypatch.setattr(OpenAnswers, "replay", fail_twice)
    for _ in range(4):
        assert await ask(ledger, house) == "ok"

    assert await spooled() == 1
