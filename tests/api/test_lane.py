"""The hot routes as an integrator meets them, on the asynchronous ledger."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from django.db import connections
from django.utils.timezone import now as utc_now
from starlette.applications import Starlette

from api import lane
from audit.models import DecisionRecord
from tests.api.lane_caller import (
    AUTHORIZE,
    USAGE,
    Caller,
    DirectTransport,
    in_thread,
    new_key,
)
from tests.usage.house import House
from usage.models import Counter, Reservation, UsageEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice():
    return House("alice", now=utc_now())


@pytest.fixture
def charlie():
    return House("charlie", now=utc_now())


@pytest.fixture
async def client():
    app = Starlette(routes=lane.routes)
    transport = DirectTransport(app)
    async with (
        lane.lifespan(app),
        httpx.AsyncClient(transport=transport, base_url="http://lane") as opened,
    ):
        yield opened
    await in_thread(connections.close_all)()


@pytest.fixture
def caller(client, alice):
    return Caller(client, new_key(alice))


async def test_a_call_is_decided_and_remembered(caller, alice):
    answer = await caller.post(
        AUTHORIZE, {"bot": alice.bot.public_id, "user": "u-1", "model": "gpt-x"}
    )

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["allowed"] is True
    assert body["policy_target"] == alice.bot.public_id
    assert body["policy_user"] == "u-1"
    assert body["reservation"] is None
    record = await DecisionRecord.objects.aget()
    assert record.public_id == body["id"]
    assert record.key_id.startswith("key_")


async def test_a_dry_run_leaves_no_trace(caller, alice):
    body = {"bot": alice.bot.public_id, "reserve": True}
    answer = await caller.post(f"{AUTHORIZE}?dry_run=1", body)

    assert answer.json()["reservation"] is None
    assert not await DecisionRecord.objects.aexists()
    assert not await Reservation.objects.aexists()


async def test_reserve_settle_and_release(caller, alice):
    await in_thread(alice.policy)(threshold=1000)
    call = {
        "bot": alice.bot.public_id,
        "estimate": {"tokens": 400},
        "reserve": True,
        "ttl_seconds": 60,
    }
    first = (await caller.post(AUTHORIZE, call)).json()["reservation"]
    second = (await caller.post(AUTHORIZE, call)).json()["reservation"]
    assert (first["state"], first["ttl_seconds"]) == ("open", 60)

    event = {"bot": alice.bot.public_id, "tokens": 300, "reservation": first["id"]}
    settled = await caller.post(USAGE, event)
    assert settled.status_code == 202
    again = await caller.post(USAGE, event)
    answers = [each.json()["data"][0] for each in (settled, again)]
    assert [each["status"] for each in answers] == ["recorded", "duplicate"]
    assert {each["id"] for each in answers} == {first["id"]}
    released = await caller.post(f"/api/v1/reservations/{second['id']}/release")
    assert released.json()["state"] == "released"
    counter = await Counter.objects.aget()
    assert (counter.used, counter.held) == (300, 0)


async def test_many_callers_at_once_never_pass_the_cap(caller, alice):
    await in_thread(alice.policy)(threshold=100)
    call = {"bot": alice.bot.public_id, "estimate": {"tokens": 7}, "reserve": True}
    answers = await asyncio.gather(*(caller.post(AUTHORIZE, call) for _ in range(64)))

    allowed = [answer.json()["allowed"] for answer in answers]
    assert sum(allowed) == 14
    assert (await Counter.objects.aget()).held == 98


async def test_an_idempotency_key_replays_a_grant(caller, alice):
    await in_thread(alice.policy)(threshold=1000)
    call = {"bot": alice.bot.public_id, "estimate": {"tokens": 7}, "reserve": True}
    key = {"Idempotency-Key": "k-1"}
    first = await caller.post(AUTHORIZE, call, headers=key)
    again = await caller.post(AUTHORIZE, call, headers=key)
    other = await caller.post(AUTHORIZE, call | {"user": "x"}, headers=key)

    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"
    assert await Reservation.objects.acount() == 1


async def test_two_at_once_with_one_idempotency_key_hold_once(caller, alice):
    await in_thread(alice.policy)(threshold=1000)
    call = {"bot": alice.bot.public_id, "estimate": {"tokens": 7}, "reserve": True}
    key = {"Idempotency-Key": "k-1"}
    answers = await asyncio.gather(
        *(caller.post(AUTHORIZE, call, headers=key) for _ in range(8))
    )

    assert len({answer.json()["reservation"]["id"] for answer in answers}) == 1
    assert (await Counter.objects.aget()).held == 7


async def test_events_each_have_a_result(caller, alice, charlie):
    bot = alice.bot.public_id
    answer = await caller.post(
        USAGE,
        {
            "events": [
                {"id": "e-1", "bot": bot, "tokens": 1},
                {"id": "e-1", "bot": bot, "tokens": 1},
                {"id": "e-1", "bot": bot, "tokens": 2},
                {"bot": charlie.bot.public_id, "tokens": 1},
                {"id": "e-5", "bot": bot, "tokens": "1"},
                {"id": 6, "bot": bot},
            ]
        },
    )

    assert answer.status_code == 202
    data = answer.json()["data"]
    assert [row["status"] for row in data] == [
        "recorded",
        "duplicate",
        "error",
        "error",
        "error",
        "error",
    ]
    assert [row["id"] for row in data] == ["e-1", "e-1", "e-1", None, "e-5", None]
    assert [row["error"] and row["error"]["code"] for row in data] == [
        None,
        None,
        "event_id_reused",
        "not_found",
        "invalid_body",
        "invalid_body",
    ]
    assert data[4]["error"]["errors"][0]["pointer"] == "/tokens"
    assert await UsageEvent.objects.acount() == 1


async def test_cloud_events_are_taken(caller, alice):
    event = {
        "specversion": "1.0",
        "id": "ce-1",
        "source": "/meter",
        "type": "usage",
        "time": (utc_now() - timedelta(minutes=1)).isoformat(),
        "traceparent": "ignored",
        "data": {"bot": alice.bot.public_id, "tokens": 5},
    }
    single = {"Content-Type": "application/cloudevents+json"}
    batch = {"Content-Type": "application/cloudevents-batch+json"}
    one = await caller.post(USAGE, event, headers=single)
    many = await caller.post(USAGE, [event, event | {"id": "ce-2"}], headers=batch)

    assert one.json()["data"][0]["status"] == "recorded"
    statuses = [row["status"] for row in many.json()["data"]]
    assert statuses == ["duplicate", "recorded"]
    strict = event | {"id": "ce-3", "data": {"bot": alice.bot.public_id, "x": 1}}
    refused = await caller.post(USAGE, strict, headers=single)
    assert refused.json()["errors"][0]["pointer"] == "/data/x"


async def test_a_cloud_event_may_come_in_headers_and_body(caller, alice):
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "ce%201",
        "ce-source": "/meter",
        "ce-type": "usage",
        "ce-traceparent": "ignored",
    }
    data = {"bot": alice.bot.public_id, "tokens": 5}
    one = await caller.post(USAGE, data, headers=headers)
    again = await caller.post(USAGE, data, headers=headers)
    whole = {"specversion": "1.0", "id": "ce 1", "source": "/meter", "type": "usage"}
    structured = await caller.post(
        USAGE,
        whole | {"data": data},
        headers={"Content-Type": "application/cloudevents+json"},
    )

    answers = [each.json()["data"][0] for each in (one, again, structured)]
    statuses = [each["status"] for each in answers]
    assert statuses == ["recorded", "duplicate", "duplicate"]
    assert {each["id"] for each in answers} == {"ce 1"}
    del headers["ce-id"]
    refused = await caller.post(USAGE, data, headers=headers)
    assert refused.json()["errors"][0]["pointer"] == "/id"
    broken = await caller.post(USAGE, headers=headers, content=b"{")
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed_json")


async def test_the_budget_says_what_is_left(caller, alice):
    policy = await in_thread(alice.policy)(threshold=1000)
    await caller.post(USAGE, {"bot": alice.bot.public_id, "tokens": 250})
    answer = await caller.get(f"/api/v1/budget?bot={alice.bot.public_id}")

    (reading,) = answer.json()["data"]
    assert reading["policy_id"] == policy.public_id
    assert (reading["used"], reading["remaining"]) == (250, 750)
    assert not await DecisionRecord.objects.aexists()


BAD_BODIES = [
    (b"", 400, "malformed_json", None),
    (b"{", 400, "malformed_json", None),
    (b"[]", 422, "invalid_body", ""),
    (b"{}", 422, "invalid_body", "/bot"),
    (b'{"bot": 1}', 422, "invalid_body", "/bot"),
    (b'{"bot": ""}', 422, "invalid_body", "/bot"),
    (b'{"bot": "b", "x": 1}', 422, "invalid_body", "/x"),
    (b'{"bot": "b\\u0000"}', 422, "invalid_body", "/bot"),
    (b'{"bot": "\\ud800"}', 400, "malformed_json", None),
    (b'{"bot": "\xff"}', 400, "malformed_json", None),
    (b'{"bot":"b","estimate":{"tokens":-1}}', 422, "invalid_body", "/estimate/tokens"),
    (b'{"bot":"b","estimate":{"tokens":1.5}}', 422, "invalid_body", "/estimate/tokens"),
    (
        b'{"bot":"b","estimate":{"tokens":true}}',
        422,
        "invalid_body",
        "/estimate/tokens",
    ),
    (b'{"bot":"b","estimate":{"cost":"x"}}', 422, "invalid_body", "/estimate/cost"),
    (
        b'{"bot":"b","estimate":{"cost":0.0000001}}',
        422,
        "invalid_body",
        "/estimate/cost",
    ),
    (b'{"bot":"b","ttl_seconds":0}', 422, "invalid_body", "/ttl_seconds"),
    (b'{"bot":"b","estimate":' + b"[" * 5000, 422, "invalid_body", "/estimate"),
]


@pytest.mark.parametrize(("raw", "status", "code", "pointer"), BAD_BODIES)
async def test_a_bad_body_is_told_where(caller, raw, status, code, pointer):
    answer = await caller.client.post(
        AUTHORIZE,
        content=raw,
        headers=caller.headers | {"Content-Type": "application/json"},
    )

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["code"] == code
    if pointer is not None:
        assert body["errors"][0]["pointer"] == pointer


async def test_foreign_and_absent_bots_look_the_same(caller, charlie):
    foreign = await caller.post(AUTHORIZE, {"bot": charlie.bot.public_id})
    absent = await caller.post(AUTHORIZE, {"bot": "bot_01hzzzzzzzzzzzzzzzzzzzzzzz"})
    single = await caller.post(USAGE, {"bot": charlie.bot.public_id, "tokens": 1})

    assert foreign.status_code == absent.status_code == single.status_code == 404
    assert foreign.content == absent.content


async def test_foreign_and_absent_reservations_look_the_same(caller, alice, charlie):
    await in_thread(charlie.policy)()
    held = await in_thread(charlie.hold)(tokens=5)
    foreign = held["reservation"]["id"]
    absent = "res_01hzzzzzzzzzzzzzzzzzzzzzzz"
    released = [
        await caller.post(f"/api/v1/reservations/{name}/release")
        for name in (foreign, absent, "nonsense")
    ]
    assert {answer.status_code for answer in released} == {404}
    assert len({answer.content for answer in released}) == 1
    settled = [
        await caller.post(
            USAGE, {"bot": alice.bot.public_id, "tokens": 1, "reservation": name}
        )
        for name in (foreign, absent)
    ]
    assert {answer.status_code for answer in settled} == {422}
    assert settled[0].content == settled[1].content
    assert settled[0].json()["errors"][0]["pointer"] == "/reservation"


async def test_plain_calls_need_no_task(caller, client, alice):
    call = {"bot": alice.bot.public_id, "reserve": True, "estimate": {"tokens": 5}}
    first = await caller.post(AUTHORIZE, call)
    again = await caller.post(AUTHORIZE, call)
    unnamed = await caller.post(
        USAGE, {"bot": "nobody"}, headers={"X-Request-Id": "r-1"}
    )
    named = {"X-Request-Id": "r-2"}
    used = {"bot": alice.bot.public_id, "tokens": 5}
    event = await caller.post(USAGE, used, headers=named)
    odd = await caller.post(AUTHORIZE, call, headers=named | {"Idempotency-Key": "k"})
    wrong = await caller.post(AUTHORIZE, {"bot": 5})

    # A key that is met first, a header that means more and a fault are not plain.
    taken = client._transport.answered
    assert taken == [False, True, True, True, False, False]
    statuses = [a.status_code for a in (first, again, unnamed, event, odd, wrong)]
    assert statuses == [200, 200, 404, 202, 200, 422]
    assert first.json().keys() == again.json().keys()
    assert unnamed.headers["x-request-id"] == "r-1"
    assert event.headers["x-request-id"] == odd.headers["x-request-id"] == "r-2"
    assert unnamed.headers["content-type"] == "application/problem+json"
