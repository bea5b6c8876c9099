"""The event loop's ledger when the database is gone, hangs, or is lost in COMMIT."""

import asyncio
from datetime import datetime

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils.timezone import now as utc_now

from accounts.actors import SYSTEM
from accounts.errors import Overloaded, Unavailable
from accounts.ids import new_id
from accounts.services import create_key
from api.lane import lane_conninfo
from audit.models import DecisionRecord
from tests.usage.door import Door
from tests.usage.house import House
from usage import metrics
from usage.async_ledger import AsyncLedger
from usage.batch import Decided
from usage.entries import CallerKey, CallIn, EventIn, Item
from usage.failing_open import OpenAnswers
from usage.models import Counter, Reservation, UsageEvent
from usage.spool import Spool

pytestmark = pytest.mark.django_db(transaction=True)
in_thread = sync_to_async(thread_sensitive=True)


@pytest.fixture
def house():
    return House("alice", now=utc_now())


@pytest.fixture
def key(house):
    made, _ = create_key(
        account=house.account, name="", scopes=["*"], actor=SYSTEM, now=utc_now()
    )
    return CallerKey(made.id, made.public_id, house.account.id)


@pytest.fixture
async def door(tmp_path_factory):
    folder = tmp_path_factory.mktemp("door")
    opened = Door(lane_conninfo(), folder)
    await opened.open()
    yield opened
    await opened.close()
    await in_thread(connections.close_all)()


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool", most=5)


@pytest.fixture
async def ledger(door, spool):
    made = AsyncLedger(
        conninfo=door.conninfo,
        clock=utc_now,
        batch_max=256,
        queue_max=100,
        open_answers=OpenAnswers(spool),
    )
    task = asyncio.create_task(made.serve())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def ask(house, key, **fields):
    return Item(house.account.id, [CallIn(bot=house.bot.public_id, **fields)], key)


def worked_out_ahead():
    return metrics.AHEAD._value.get()


async def two_at_a_held_commit(ledger, door, house, key):
    """One call is committed and has not heard of it; the next is worked out."""
    door.held_commit, before = asyncio.Event(), worked_out_ahead()
    first = asyncio.ensure_future(ledger.submit(ask(house, key)))
    while ledger._flight is None:
        await asyncio.sleep(0)
    second = asyncio.ensure_future(ledger.submit(ask(house, key)))
    while worked_out_ahead() == before:
        await asyncio.sleep(0.01)
    return first, second


async def body_of(ledger, item):
    (answer,) = (await ledger.submit(item)).answers
    assert answer.error is None
    return answer.body


async def test_without_a_database_a_call_is_told_so_at_once(ledger, door, house, key):
    await ledger.submit(ask(house, key))
    await in_thread(house.policy)()
    await ledger.submit(ask(house, key))
    await door.shut()
    with pytest.raises(Unavailable) as raised:
        await ledger.submit(ask(house, key))

    assert raised.value.retry_after == 1
    await door.open()
    assert (await body_of(ledger, ask(house, key)))["allowed"] is True


async def test_a_database_that_hangs_is_given_up(ledger, door, house, key):
    await in_thread(house.policy)()
    await ledger.submit(ask(house, key))
    door.hang()
    waiting = [ledger.submit(ask(house, key)) for _ in range(20)]
    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(answer, Unavailable) for answer in answers)
    door.mode = "open"
    assert (await body_of(ledger, ask(house, key)))["allowed"] is True


async def test_a_commit_that_nobody_heard_of_stands(ledger, door, house, key):
    await in_thread(house.policy)()
    call = {"reserve": True, "estimate": {"tokens": 7}}
    await ledger.submit(ask(house, key, **call))
    door.cut_commit = True
    body = await body_of(ledger, ask(house, key, **call))

    assert door.cut_commit is False
    assert body["reservation"]["state"] == "open"
    assert await Reservation.objects.acount() == 2
    assert (await Counter.objects.aget()).held == 14


async def test_an_event_whose_commit_was_lost_counts_once(ledger, door, house, key):
    await in_thread(house.policy)()
    event = EventIn(bot=house.bot.public_id, id="e-1", tokens=5)
    await ledger.submit(ask(house, key))
    door.cut_commit = True
    (first,) = (await ledger.submit(Item(house.account.id, [event], key))).answers
    (again,) = (await ledger.submit(Item(house.account.id, [event], key))).answers

    assert (first.status, again.status) == ("recorded", "duplicate")
    assert (await Counter.objects.aget()).used == 5
    assert await UsageEvent.objects.acount() == 1


async def test_an_open_policy_lets_calls_pass_and_records_them_later(
    ledger, door, spool, house, key
):
    await in_thread(house.policy)(fail_mode="open")
    await ledger.submit(ask(house, key))
    await door.shut()
    body = await body_of(ledger, ask(house, key, user="u-1"))
    reserving = await body_of(ledger, ask(house, key, reserve=True))

    assert (body["allowed"], body["reason_code"]) == (True, "fail_open")
    assert reserving["reservation"] is None
    assert spool.rows == 2
    assert not await DecisionRecord.objects.filter(reason_code="fail_open").aexists()
    await door.open()
    await ledger.submit(ask(house, key))
    await ledger.submit(ask(house, key))
    recorded = DecisionRecord.objects.filter(reason_code="fail_open")
    assert {record.public_id async for record in recorded} == {
        body["id"],
        reserving["id"],
    }
    assert spool.rows == 0


async def test_a_closed_policy_beside_it_refuses(ledger, door, house, key):
    await in_thread(house.policy)(fail_mode="open")
    await in_thread(house.policy)(fail_mode="closed")
    await ledger.submit(ask(house, key))
    await door.shut()

    with pytest.raises(Unavailable):
        await ledger.submit(ask(house, key))


async def test_a_block_that_is_known_refuses(ledger, door, house, key):
    await in_thread(house.policy)(
        fail_mode="open", threshold=5, actions={"block": {"duration_seconds": None}}
    )
    event = EventIn(bot=house.bot.public_id, tokens=5)
    await ledger.submit(Item(house.account.id, [event], key))
    await door.shut()

    with pytest.raises(Unavailable):
        await ledger.submit(ask(house, key))


async def test_an_unknown_caller_never_passes(ledger, door, house, key):
    await in_thread(house.policy)(fail_mode="open")
    await door.shut()

    with pytest.raises(Unavailable):
        await ledger.submit(ask(house, key))


async def test_a_full_spool_refuses(ledger, door, spool, house, key):
    await in_thread(house.policy)(fail_mode="open")
    await ledger.submit(ask(house, key))
    await door.shut()
    for _ in range(5):
        await ledger.submit(ask(house, key))

    with pytest.raises(Unavailable):
        await ledger.submit(ask(house, key))
    assert spool.rows == 5


async def test_what_a_dead_process_spooled_is_recorded(ledger, tmp_path, house, key):
    folder = tmp_path / "spool"
    (folder / "dead.jsonl").write_bytes(b'{"cut": "sho')
    left = Spool(folder)

    assert left.rows == 0
    assert list(left.drain()) == [[]]
    assert not list(folder.iterdir())


async def test_a_full_queue_refuses_at_once(door, house, key):
    made = AsyncLedger(conninfo=door.conninfo, clock=utc_now, batch_max=1, queue_max=1)
    waiting = asyncio.ensure_future(made.submit(ask(house, key)))
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await made.submit(ask(house, key))
    waiting.cancel()


async def test_what_was_worked_out_ahead_sees_an_edit_since(door, house, key):
    moment = utc_now()
    made = AsyncLedger(
        conninfo=door.conninfo, clock=lambda: moment, batch_max=9, queue_max=9
    )
    task = asyncio.create_task(made.serve())
    await made.submit(ask(house, key))
    first, second = await two_at_a_held_commit(made, door, house, key)
    restarts = metrics.RESTARTS._value.get()
    await in_thread(house.policy)(threshold=0)
    door.held_commit.set()
    bodies = [(await answer).answers[0].body for answer in (first, second)]

    assert [body["allowed"] for body in bodies] == [True, False]
    assert metrics.RESTARTS._value.get() == restarts + 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_waited_too_long_is_worked_out_again(ledger, door, house, key):
    await ledger.submit(ask(house, key))
    first, second = await two_at_a_held_commit(ledger, door, house, key)
    since = utc_now()
    await asyncio.sleep(0.05)
    door.held_commit.set()
    await first
    body = (await second).answers[0].body

    assert datetime.fromisoformat(body["created_at"]) > since


async def test_who_waits_behind_a_commit_that_hangs_is_told(ledger, door, house, key):
    await in_thread(house.policy)()
    await ledger.submit(ask(house, key))
    waiting = await two_at_a_held_commit(ledger, door, house, key)
    door.hang()
    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(answer, Unavailable) for answer in answers)
    door.mode = "open"
    door.held_commit.set()
    assert (await body_of(ledger, ask(house, key)))["allowed"] is True


async def test_a_bad_entry_that_was_worked_out_ahead_fails_alone(
    ledger, door, house, key
):
    await ledger.submit(ask(house, key))
    first, second = await two_at_a_held_commit(ledger, door, house, key)
    event = EventIn(bot=house.bot.public_id, tokens="many")
    bad = asyncio.ensure_future(ledger.submit(Item(house.account.id, [event], key)))
    good = asyncio.ensure_future(ledger.submit(ask(house, key)))
    await asyncio.sleep(0)
    door.held_commit.set()
    answers = await asyncio.gather(first, second, bad, good, return_exceptions=True)

    assert isinstance(answers.pop(2), Unavailable)
    assert all(answer.answers[0].body["allowed"] for answer in answers)


async def test_a_worker_that_breaks_is_replaced(door, house, key, caplog):
    await in_thread(house.policy)()
    is_broken = False

    def clock():
        if is_broken:
            raise RuntimeError("no clock")
        return utc_now()

    made = AsyncLedger(conninfo=door.conninfo, clock=clock, batch_max=9, queue_max=9)
    task = asyncio.create_task(made.serve())
    await made.submit(ask(house, key))
    waiting = await two_at_a_held_commit(made, door, house, key)
    is_broken = True
    door.held_commit.set()
    first, second = await asyncio.gather(*waiting, return_exceptions=True)
    is_broken = False

    assert first.answers[0].body["allowed"] is True
    assert isinstance(second, Unavailable)
    assert "the ledger's worker broke" in caplog.text
    assert (await body_of(made, ask(house, key)))["allowed"] is True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_bad_entry_fails_neither_its_neighbours_nor_the_loop(
    ledger, house, key, caplog
):
    event = EventIn(bot=house.bot.public_id, tokens="many")
    bad = Item(house.account.id, [event], key)
    good = [ask(house, key) for _ in range(5)]
    answers = await asyncio.gather(
        *(ledger.submit(item) for item in [*good[:2], bad, *good[2:]]),
        return_exceptions=True,
    )

    assert isinstance(answers.pop(2), Unavailable)
    assert all(answer.answers[0].body["allowed"] for answer in answers)
    assert "an entry failed its batch" in caplog.text
    assert (await body_of(ledger, ask(house, key)))["allowed"] is True


async def test_another_transactions_commit_is_not_ours(ledger, house, key):
    await ledger.submit(ask(house, key))
    decision = await DecisionRecord.objects.aget()

    @in_thread
    def committed_since():
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text")
            return cursor.fetchone()[0]

    transaction = await committed_since()
    ours = Decided([], transaction, ("decisions", decision.id))
    never_written = Decided([], transaction, ("decisions", new_id(utc_now())))

    assert await ledger._committed(ours) is True
    assert await ledger._committed(never_written) is False
