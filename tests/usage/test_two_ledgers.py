"""Two lane processes on the same counters: nothing is lost, doubled or overshot.

Each `AsyncLedger` has a rulebook and a connection of its own, as in two processes. What
the counters must say is worked out from the other rows by SQL of its own.
"""

import asyncio
import random

import pytest

from accounts.actors import SYSTEM
from accounts.services import create_key
from alerts.models import Alert
from policies.models import Block
from policies.services import block_bot
from tests.usage.contract import ContractHouse
from tests.usage.pair import in_thread
from usage.entries import CallerKey, CallIn, ReleaseIn
from usage.models import Counter, Reservation, UsageEvent
from usage.resets import reset_policy

pytestmark = pytest.mark.django_db(transaction=True)

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


@pytest.fixture
def house():
    return ContractHouse()


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
        ended = False
        while not ended:
            # Looked at once more when all is over.
            ended = not running
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
