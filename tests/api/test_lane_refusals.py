"""Whom and what the hot routes refuse: keys, scopes, types, sizes, parameters."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from django.db import connections
from django.utils.timezone import now as utc_now
from psycopg.conninfo import conninfo_to_dict
from starlette.applications import Starlette

from accounts.actors import SYSTEM
from accounts.services import create_key, create_project, revoke_key
from api import lane
from tests.api.lane_caller import AUTHORIZE, Caller, DirectTransport, in_thread, new_key
from tests.usage.house import House

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


async def test_a_bad_key_comes_first(client, alice):
    keyless = await client.post(AUTHORIZE, content=b"{")
    wrong = await client.post(
        AUTHORIZE, content=b"{", headers={"Authorization": "Bearer phk_live_nonsense"}
    )

    for answer in (keyless, wrong):
        assert answer.status_code == 401
        assert answer.json()["code"] == "invalid_key"
        assert "www-authenticate" in answer.headers


async def test_a_scope_is_needed_before_anything_is_looked_up(client, alice):
    reader = Caller(client, await in_thread(new_key)(alice, "policies:read"))
    answer = await reader.post(AUTHORIZE, {"bot": "nobody"})

    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_a_revoked_key_is_refused_by_the_next_call(client, alice):
    key, text = await in_thread(create_key)(
        account=alice.account, name="", scopes=["*"], actor=SYSTEM, now=utc_now()
    )
    caller = Caller(client, text)
    assert (await caller.post(AUTHORIZE, {"bot": alice.bot.public_id})).is_success
    await in_thread(revoke_key)(key=key, actor=SYSTEM, now=utc_now())

    answer = await caller.post(AUTHORIZE, {"bot": alice.bot.public_id})
    assert answer.status_code == 401
    malformed = await caller.post(AUTHORIZE, {"bot": 1})
    assert malformed.status_code == 401


async def test_an_expired_key_is_refused(client, alice):
    # A slow machine needs a longer life to make its first call in time.
    for seconds in (0.3, 3, 30):
        end = utc_now() + timedelta(seconds=seconds)
        caller = Caller(client, await in_thread(new_key)(alice, expires_at=end))
        before = await caller.post(AUTHORIZE, {"bot": alice.bot.public_id})
        if utc_now() < end:
            break
    assert before.is_success
    while utc_now() < end:
        await asyncio.sleep(0.01)

    answer = await caller.post(AUTHORIZE, {"bot": alice.bot.public_id})
    assert answer.status_code == 401


async def test_a_project_key_sees_its_bots_and_no_shared_figures(client, alice):
    project = await in_thread(create_project)(
        account=alice.account, name="P", actor=SYSTEM, now=utc_now()
    )
    other = await in_thread(create_project)(
        account=alice.account, name="Q", actor=SYSTEM, now=utc_now()
    )
    mine = await in_thread(alice.add_bot)("mine", project=project)
    theirs = await in_thread(alice.add_bot)("theirs", project=other)
    await in_thread(alice.policy)(threshold=1000)
    caller = Caller(client, await in_thread(new_key)(alice, project=project))

    hidden = await caller.post(AUTHORIZE, {"bot": theirs.public_id})
    assert hidden.status_code == 404
    seen = (await caller.post(AUTHORIZE, {"bot": mine.public_id})).json()
    assert seen["policy_project_id"] == project.public_id
    (reading,) = seen["policies"]
    assert reading["threshold"] == 1000
    assert (reading["used"], reading["held"], reading["remaining"]) == (None,) * 3


async def test_other_content_types_are_refused(caller):
    plain = await caller.client.post(
        AUTHORIZE,
        content=b"{}",
        headers=caller.headers | {"Content-Type": "text/plain"},
    )
    packed = await caller.client.post(
        AUTHORIZE, content=b"{}", headers=caller.headers | {"Content-Encoding": "gzip"}
    )

    assert plain.status_code == packed.status_code == 415


async def test_a_body_has_a_size_cap(caller):
    answer = await caller.post(AUTHORIZE, {"bot": "b" * 300_000})

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_an_unknown_parameter_is_refused(caller):
    answer = await caller.get("/api/v1/budget?bot=b&bots=c")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/bots"


async def test_metrics_are_for_this_machine_or_an_auditor(client, caller):
    local = await client.get("/metrics")
    passed_on = {"X-Forwarded-For": "203.0.113.9"}
    outside = await client.get("/metrics", headers=passed_on)
    keyed = await client.get("/metrics", headers=passed_on | caller.headers)

    assert "policyhub_ledger_batches_total" in local.text
    assert (outside.status_code, keyed.status_code) == (401, 200)


def test_the_lane_connects_as_the_database_url_says(settings, monkeypatch):
    options = {"sslmode": "require", "connect_timeout": 5, "pool": {"min_size": 1}}
    database = {"NAME": "n", "HOST": "db.example", "PORT": 5433, "OPTIONS": options}
    monkeypatch.setitem(settings.DATABASES, "default", database)
    told = conninfo_to_dict(lane.lane_conninfo())

    assert (told["dbname"], told["host"], told["port"]) == ("n", "db.example", "5433")
    assert told["sslmode"] == "require"
    assert "pool" not in told
