"""Two lane processes on the same counters: nothing is lost, doubled or overshot.

Each `AsyncLedger` has a rulebook and a connection of its own, as in two processes. What
the counters must say is worked out from the other rows by SQL of its own.
"""

import asyncio
import random
from datetime import timedelta

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from accounts.actors import SYSTEM
from accounts.services import create_key
from alerts.models import Alert
from api.lane import lane_conninfo
from policies.models import Block
from policies.services import block_bot
from tests.usage.contract import ContractHouse
from tests.usage.house import NOON
from usage import metrics
from usage.async_ledger import AsyncLedger
from usage.entries import CallerKey, CallIn, EventIn, Item, ReleaseIn
from usage.models import Conversation, Counter, Reservation, UsageEvent
from usage.resets import reset_policy

pytestmark = pytest.mark.django_db(transaction=True)
in_thread = sync_to_async(thread_sensitive=True)

# Every counter beside what its events, adjustments and open reservations amount to.
# Every event of these tests lies in the counter's one window.
LEDGER = """SELECT c.metric, c.subject_key, c.used, c.held,
(SELECT coalesce(sum((to_jsonb(e)->>c.metric)::bigint), 0) FROM usage_usageevent AS e
 WHERE c.subject_key = '' OR e."user" IS NOT DISTINCT FROM c.subject->0->>1)
+ (SELECT coalesce(sum(amount), 0) FROM usage_adjustment AS a WHERE a.counter = c.id),
(SELECT coalesce(sum((h->>'amount')::bigint), 0)
 FROM usage_reservation AS r, jsonb_array_elements(r.holds) AS h
 WHERE r.state = 'open' AND h->>'counter' = c.id::text)
FROM usage_counter AS c"""

# What B6 bounds by the threshold, at any instant: open holds, and of what was settled
# as much as its hold covered.
WITHIN = """SELECT coalesce(sum(CASE
 WHEN r.state = 'open' THEN (h->>'amount')::bigint
 WHEN r.state = 'settled'
 THEN least((h->>'amount')::bigint, (to_jsonb(e)->>(h->>'metric'))::bigint)
 ELSE 0 END), 0)
FROM usage_reservation AS r CROSS JOIN LATERAL jsonb_array_elements(r.holds) AS h
LEFT JOIN usage_usageevent AS e ON e.id = r.event_id
WHERE h->>'counter' = %s"""


class Clock:
    """A clock that stands until it is moved; `behind` is one process's own error."""

    def __init__(self):
        self.now = NOON

    def behind(self, **span):
        return lambda: self.now - timedelta(**span)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def house():
    return ContractHouse()


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


class Caller:
    """Short ways to put one request to one of the ledgers."""

    def __init__(self, house, ledger):
        self.account = house.account.id
        self.bot = house.bot.public_id
        self.ledger = ledger

    async def put(self, request, key=None):
        (answer,) = (
            await self.ledger.submit(Item(self.account, [request], key))
        ).answers
        return answer

    async def hold(self, tokens, **fields):
        call = CallIn(bot=self.bot, estimate={"tokens": tokens}, reserve=True, **fields)
        body = (await self.put(call)).body
        return body["reservation"]["id"] if body["allowed"] else None

    async def check(self, **fields):
        return (await self.put(CallIn(bot=self.bot, **fields))).body

    async def send(self, **fields):
        return await self.put(EventIn(bot=self.bot, **fields))


@pytest.fixture
def callers(house, pair):
    return [Caller(house, ledger) for ledger in pair]


async def balanced(database):
    rows = await (await database.execute(LEDGER)).fetchall()
    for metric, subject, used, held, charged, reserved in rows:
        assert (used, held) == (charged, reserved), (metric, subject)
    return len(rows)


def day(threshold, **fields):
    window = {"kind": "calendar", "unit": "day", "timezone": "UTC"}
    return {"metric": "tokens", "threshold": threshold, "window": window} | fields


def several_policies(house):
    """One day, one fixed, one rolling, one for ever; by user and by call too."""
    hot = house.policy(threshold=3_000)
    house.policy(threshold=4_000, window={"kind": "fixed", "seconds": 86_400})
    house.policy(threshold=4_000, window={"kind": "rolling", "seconds": 86_400})
    house.policy(threshold=500, window={"kind": "lifetime"}, group_by=["user"])
    house.policy(threshold=400, metric="calls", window={"kind": "lifetime"})
    return hot


async def mixed(caller, seed, rounds):
    """One client: reserves, settles, releases, sends, repeats itself."""
    chance = random.Random(seed)
    user = f"u-{seed % 7}" if seed % 3 else None
    for turn in range(rounds):
        tokens = chance.randrange(1, 40)
        kind = chance.choice(["settle", "settle", "release", "leave", "send", "check"])
        if kind == "check":
            await caller.check(user=user, estimate={"tokens": tokens})
        elif kind == "send":
            name = f"{seed}-{turn}"
            for _ in range(2):
                await caller.send(id=name, tokens=tokens // 8, user=user)
        else:
            reservation = await caller.hold(tokens, user=user)
            if reservation is None:
                continue
            if kind == "settle":
                actual = chance.choice([0, tokens // 2, tokens, tokens + 3])
                named = {"reservation": reservation}
                settles = [caller.send(tokens=actual, **named) for _ in range(2)]
                await asyncio.gather(*settles)
            elif kind == "release":
                await caller.put(ReleaseIn(reservation))


async def test_64_mixed_callers_on_two_ledgers_leave_the_books_balanced(
    callers, house, beside, retries
):
    hot = await in_thread(several_policies)(house)
    running = True
    seen = []

    async def watch():
        key = (await Counter.objects.aget(policy=hot)).id
        while running:
            row = await (await beside.execute(WITHIN, [str(key)])).fetchone()
            seen.append(row[0])
            await asyncio.sleep(0.02)

    await callers[0].hold(1)
    watching = asyncio.create_task(watch())
    await asyncio.gather(*(mixed(callers[n % 2], n, 8) for n in range(64)))
    running = False
    await watching

    assert await balanced(beside) > 8
    assert 1_000 < max(seen) <= 3_000
    assert retries() == 0
    assert not await Alert.objects.filter(late=True).aexists()


async def test_a_hot_cap_is_filled_exactly(callers, house, beside):
    await in_thread(house.policy)(threshold=1_000)
    held = await asyncio.gather(*(callers[n % 2].hold(7) for n in range(256)))

    assert sum(reservation is not None for reservation in held) == 142
    assert (await Counter.objects.aget()).held == 994
    assert await balanced(beside) == 1


async def test_edits_and_resets_lie_between_the_batches(callers, house, beside):
    policy = await in_thread(several_policies)(house)

    async def edit():
        for threshold in (2_000, 900, 3_500):
            await in_thread(house.threshold)(policy, threshold)
            await in_thread(reset_policy)(
                policy=policy, period="all", actor=SYSTEM, now=house.now
            )

    traffic = [mixed(callers[n % 2], n, 6) for n in range(32)]
    await asyncio.gather(edit(), *traffic)

    assert await balanced(beside) > 8


async def test_one_event_sent_to_both_counts_once(callers, house, beside):
    await in_thread(house.policy)()
    for turn in range(20):
        results = await asyncio.gather(
            *(callers[n % 2].send(id=f"e-{turn}", tokens=1) for n in range(6))
        )
        statuses = sorted(result.status for result in results)
        assert statuses == ["duplicate"] * 5 + ["recorded"]
        assert len({result.event_id for result in results}) == 1

    assert await UsageEvent.objects.acount() == 20
    assert await balanced(beside) == 1


async def test_one_settle_sent_to_both_counts_once(callers, house, beside):
    await in_thread(house.policy)()
    for _ in range(10):
        reservation = await callers[0].hold(5)
        await asyncio.gather(
            *(c.send(tokens=4, reservation=reservation) for c in callers),
            *(c.put(ReleaseIn(reservation)) for c in callers),
        )

    assert await balanced(beside) == 1
    counter = await Counter.objects.aget()
    assert (counter.used, counter.held) == (40, 0)


async def test_one_idempotency_key_sent_to_both_holds_once(callers, house):
    await in_thread(house.policy)()
    for turn in range(10):
        same = {"idempotency_key": f"k-{turn}", "request_digest": "d"}
        held = await asyncio.gather(*(c.hold(5, **same) for c in callers))
        assert len(set(held)) == 1

    assert await Reservation.objects.acount() == 10
    assert (await Counter.objects.aget()).held == 50


async def test_a_crossing_at_both_blocks_and_tells_once(callers, house):
    actions = {"block": {"duration_seconds": None}, "email": {}}
    await in_thread(house.policy)(threshold=50, actions=actions)
    await asyncio.gather(*(callers[n % 2].send(tokens=1) for n in range(90)))

    assert await Block.objects.acount() == 1
    assert await Alert.objects.acount() == 1
    assert {(await c.check())["reason_code"] for c in callers} == {"blocked"}


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


async def test_c9_what_is_committed_is_obeyed_by_both(callers, house):
    made, _ = await in_thread(create_key)(
        account=house.account,
        name="",
        scopes=["*"],
        bot=house.bot,
        actor=SYSTEM,
        now=house.now,
    )
    key = CallerKey(made.id, made.public_id, house.account.id, None, house.bot.id)
    call = CallIn(bot=house.bot.public_id)
    policy = await in_thread(house.policy)(threshold=10, actions={"revoke": {}})
    for caller in callers:
        assert (await caller.put(call, key)).body["allowed"] is True
    await in_thread(house.threshold)(policy, 12)
    for caller in callers:
        refused = await caller.check(estimate={"tokens": 13})
        assert refused["policies"][0]["threshold"] == 12
    await in_thread(block_bot)(bot=house.bot, reason="", actor=SYSTEM, now=house.now)
    for caller in callers:
        assert (await caller.check())["reason_code"] == "blocked"
    await callers[0].send(tokens=12)
    for caller in reversed(callers):
        assert (await caller.check())["reason_code"] == "revoked"
        assert (await caller.put(call, key)).error.status == 401
