"""A usage event or a release that is sent again does nothing twice (CONTRACT G5)."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils.timezone import now as utc_now
from starlette.applications import Starlette

from accounts.models import ApiKey
from accounts.services import revoke_key
from api import lane
from tests.api.lane_caller import DirectTransport
from tests.api.test_lane import AUTHORIZE, USAGE, Caller, House, new_key
from usage import upkeep
from usage.models import FirstAnswer, Reservation, UsageEvent

pytestmark = pytest.mark.django_db(transaction=True)
in_thread = sync_to_async(thread_sensitive=True)
ONCE = {"Idempotency-Key": "k-1"}


@pytest.fixture
def alice():
    return House("alice", now=utc_now())


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


async def test_an_event_without_an_id_counts_once(caller, alice):
    event = {"bot": alice.bot.public_id, "tokens": 5}
    first = await caller.post(USAGE, event, headers=ONCE)
    again = await caller.post(USAGE, event, headers=ONCE)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert await UsageEvent.objects.acount() == 1


async def test_a_batch_is_replayed_with_its_errors(caller, alice):
    bot = alice.bot.public_id
    batch = {"events": [{"bot": bot, "tokens": 5}, {"bot": "?"}, {"bot": bot, "x": 1}]}
    first = await caller.post(USAGE, batch, headers=ONCE)
    again = await caller.post(USAGE, batch, headers=ONCE)

    statuses = [row["status"] for row in first.json()["data"]]
    assert statuses == ["recorded", "error", "error"]
    assert again.content == first.content
    assert await UsageEvent.objects.acount() == 1


async def test_another_body_is_refused(caller, alice):
    event = {"bot": alice.bot.public_id, "tokens": 5}
    await caller.post(USAGE, event, headers=ONCE)
    other = await caller.post(USAGE, event | {"tokens": 6}, headers=ONCE)
    many = await caller.post(USAGE, {"events": [event]}, headers=ONCE)

    for refused in (other, many):
        assert refused.status_code == 422
        assert refused.json()["code"] == "idempotency_key_reused"
    assert await UsageEvent.objects.acount() == 1


async def test_a_refusal_is_decided_anew(caller, alice):
    event = {"bot": "soon", "tokens": 5}
    refused = await caller.post(USAGE, event, headers=ONCE)
    assert refused.status_code == 404
    bot = alice.bot
    bot.external_id = "soon"
    await bot.asave()
    await in_thread(alice.policy)(threshold=100)

    assert (await caller.post(USAGE, event, headers=ONCE)).status_code == 202


async def test_two_at_once_count_once_and_one_is_in_flight(caller, alice):
    event = {"bot": alice.bot.public_id, "tokens": 5}
    answers = await asyncio.gather(
        *(caller.post(USAGE, event, headers=ONCE) for _ in range(8))
    )

    assert sorted({answer.status_code for answer in answers}) == [202, 409]
    codes = {a.json()["code"] for a in answers if a.status_code == 409}
    assert codes == {"idempotency_key_in_flight"}
    assert await UsageEvent.objects.acount() == 1
    again = await caller.post(USAGE, event, headers=ONCE)
    assert again.headers["idempotent-replayed"] == "true"


async def test_each_key_has_names_of_its_own(client, caller, alice):
    event = {"bot": alice.bot.public_id, "tokens": 5}
    call = {"bot": alice.bot.public_id, "estimate": {"tokens": 1}, "reserve": True}
    other = Caller(client, await in_thread(new_key)(alice))
    for path, body in ((USAGE, event), (AUTHORIZE, call)):
        for each in (caller, other):
            answer = await each.post(path, body, headers=ONCE)
            assert answer.status_code in (200, 202)
            assert "idempotent-replayed" not in answer.headers

    assert await UsageEvent.objects.acount() == 2
    assert await Reservation.objects.acount() == 2


async def test_a_release_is_replayed(caller, alice):
    call = {"bot": alice.bot.public_id, "estimate": {"tokens": 7}, "reserve": True}
    held = (await caller.post(AUTHORIZE, call)).json()["reservation"]["id"]
    path = f"/api/v1/reservations/{held}/release"
    first = await caller.post(path, headers=ONCE)
    again = await caller.post(path, headers=ONCE)

    assert first.json()["state"] == "released"
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    other = await caller.post(path, {}, headers=ONCE)
    assert other.json()["code"] == "idempotency_key_reused"


async def test_a_revoked_key_gets_no_replay(caller, alice):
    event = {"bot": alice.bot.public_id, "tokens": 5}
    await caller.post(USAGE, event, headers=ONCE)
    key = await ApiKey.objects.select_related("account").alatest("created_at")
    await in_thread(revoke_key)(key=key, actor=lane_actor(), now=utc_now())

    for body in (event, {"events": [{"bot": 1}]}):
        assert (await caller.post(USAGE, body, headers=ONCE)).status_code == 401


def lane_actor():
    from accounts.actors import SYSTEM

    return SYSTEM


async def test_an_answer_is_forgotten_after_a_day(caller, alice):
    event = {"bot": alice.bot.public_id, "tokens": 5}
    await caller.post(USAGE, event, headers=ONCE)
    await FirstAnswer.objects.aupdate(created_at=utc_now() - timedelta(hours=24))

    again = await caller.post(USAGE, event | {"tokens": 9}, headers=ONCE)
    assert again.status_code == 202
    assert "idempotent-replayed" not in again.headers
    assert await UsageEvent.objects.acount() == 2
    now = utc_now()
    assert await in_thread(upkeep.prune_first_answers)(now=now) == 0
    later = now + timedelta(hours=25)
    assert await in_thread(upkeep.prune_first_answers)(now=later) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é".encode()])
async def test_a_key_that_is_none_is_refused(caller, alice, key):
    event = {"bot": alice.bot.public_id, "tokens": 5}
    for path in (USAGE, AUTHORIZE):
        refused = await caller.post(path, event, headers={"Idempotency-Key": key})
        if path == USAGE:
            assert refused.status_code == 400
            assert refused.json()["code"] == "invalid_idempotency_key"
    assert await UsageEvent.objects.acount() == 0
