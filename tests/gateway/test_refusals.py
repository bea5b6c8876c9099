"""Every refusal as OpenAI's clients read it (CONTRACT H2)."""

import json

import pytest
from asgiref.sync import sync_to_async
from django.utils.timezone import now as utc_now

from accounts.actors import SYSTEM
from accounts.models import ApiKey
from accounts.services import create_project, revoke_key, set_bot_state
from audit.models import DecisionRecord
from policies.services import block_bot
from tests.gateway.house import chat, new_key
from usage.models import Reservation, UsageEvent

pytestmark = pytest.mark.django_db(transaction=True)
CHAT = "/chat/completions"
in_thread = sync_to_async(thread_sensitive=True)


def assert_error(answer, status, kind, code):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == (kind, code)
    return error


async def named(client, bot, **fields):
    headers = {"x-policy-target": bot.public_id}
    return await client.post(CHAT, json=chat(**fields), headers=headers)


@pytest.mark.parametrize(
    ("actions", "kind", "code", "retry"),
    [
        ({"throttle": {}}, "rate_limit_exceeded", "rate_limit_exceeded", None),
        (
            {"block": {"duration_seconds": 3600}},
            "insufficient_quota",
            "policy_budget_exceeded",
            "false",
        ),
    ],
)
async def test_a_spent_cap(client, alice, actions, kind, code, retry):
    policy = await in_thread(alice.policy)(threshold=1, metric="calls", actions=actions)
    assert (await named(client, alice.bot)).status_code == 200

    for _ in range(2):
        answer = await named(client, alice.bot)
        error = assert_error(answer, 429, kind, code)
        assert not any(sign.isdigit() and sign == "1" for sign in error["type"])
        assert "1 of 1" not in error["message"]
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers.get("x-should-retry") == retry
        assert answer.headers["x-policy-id"] == policy.public_id
        assert answer.headers["x-policyhub-decision"].startswith("dec_")
    assert await UsageEvent.objects.acount() == 1
    assert await DecisionRecord.objects.acount() == 3


async def test_a_persons_block_a_revoked_and_a_disabled_bot(client, alice):
    blocked, revoked, disabled = [
        await in_thread(alice.add_bot)(name) for name in ("one", "two", "three")
    ]
    now = utc_now()
    await in_thread(block_bot)(bot=blocked, actor=SYSTEM, reason="audit 42", now=now)
    for bot, state in ((revoked, "revoked"), (disabled, "disabled")):
        await in_thread(set_bot_state)(
            bot=bot, state=state, reason="", actor=SYSTEM, now=now
        )

    expected = {blocked: "blocked", revoked: "revoked", disabled: "bot_disabled"}
    for bot, code in expected.items():
        error = assert_error(await named(client, bot), 403, "permission_error", code)
        assert "42" not in error["message"]


async def test_keys(client, alice, gateway):
    bad = {"authorization": "Bearer nonsense"}
    answer = await client.post(CHAT, json=chat(), headers=bad)
    assert_error(answer, 401, "invalid_request_error", "invalid_api_key")
    assert (await client.get("/models", headers=bad)).status_code == 401
    other = await in_thread(new_key)(alice, "usage:read")
    answer = await client.post(
        CHAT, json=chat(), headers={"authorization": f"Bearer {other}"}
    )
    assert_error(answer, 403, "permission_error", "missing_scope")
    assert (await client.post(CHAT, json=chat())).status_code == 200
    for key in await in_thread(list)(ApiKey.objects.all()):
        await in_thread(revoke_key)(key=key, actor=SYSTEM, now=utc_now())
    for answer in (
        await client.post(CHAT, json=chat()),
        await client.post(CHAT, content=b"{"),
        await client.get("/models"),
    ):
        assert_error(answer, 401, "invalid_request_error", "invalid_api_key")


async def test_what_is_not_there(client):
    answer = await client.post(CHAT, json=chat(model="no-such"))
    error = assert_error(answer, 404, "invalid_request_error", "model_not_found")
    assert error["param"] == "model"
    assert (await client.get("/models/no-such")).status_code == 404
    absent = {"x-policy-target": "bot_01kjm3v5c0e8r9q2t4w6y8z0a3"}
    answer = await client.post(CHAT, json=chat(), headers=absent)
    assert_error(answer, 404, "invalid_request_error", "bot_not_found")
    answer = await client.post("/responses", json={})
    error = assert_error(answer, 404, "invalid_request_error", "unknown_url")
    assert "/v1" in error["message"]
    answer = await client.get(CHAT)
    assert_error(answer, 405, "invalid_request_error", "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    assert not await Reservation.objects.aexists()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b'{"model": NaN}', None),
        (b"[" * 100_000 + b"]" * 100_000, None),
        (json.dumps({"model": "echo"}).encode(), "messages"),
        (json.dumps(chat(model="")).encode(), "model"),
        (json.dumps(chat(model="x" * 201)).encode(), "model"),
        (json.dumps(chat(model="a\x00b")).encode(), "model"),
        (json.dumps(chat(model=7)).encode(), "model"),
        (json.dumps(chat(user="u" * 257)).encode(), "user"),
        (json.dumps(chat(user="\x00")).encode(), "user"),
        (json.dumps(chat(stream="yes")).encode(), "stream"),
        (json.dumps(chat(n=0)).encode(), "n"),
        (json.dumps(chat(n=2**60)).encode(), "n"),
        (json.dumps(chat(max_tokens=-1)).encode(), "max_tokens"),
        (json.dumps(chat(max_completion_tokens=1.5)).encode(), "max_completion_tokens"),
        (json.dumps(chat(stream_options={})).encode(), "stream_options"),
        (json.dumps(chat(messages=[])).encode(), "messages"),
        (json.dumps(chat(messages=["hi"])).encode(), "messages[0]"),
        (json.dumps(chat(messages=[{"role": "user", "content": 1}])).encode(), None),
        (b'{"model": "\\ud800", "messages": []}', None),
        (json.dumps(chat(x=json.loads("[" * 40 + "]" * 40))).encode(), None),
    ],
)
async def test_a_bad_body(client, body, param):
    answer = await client.post(CHAT, content=body)

    error = assert_error(answer, 400, "invalid_request_error", None)
    assert param is None or error["param"] == param
    assert not await Reservation.objects.aexists()


async def test_bounds(client):
    huge = await client.post(CHAT, json=chat("x" * (2 * 1024 * 1024)))
    assert_error(huge, 413, "invalid_request_error", "request_too_large")
    headers = {f"x-{number}": "y" * 1_000 for number in range(40)}
    answer = await client.post(CHAT, json=chat(), headers=headers)
    assert answer.status_code == 431
    packed = {"content-encoding": "gzip"}
    answer = await client.post(CHAT, json=chat(), headers=packed)
    assert answer.status_code == 415
    for name, value in (
        ("x-policy-user", "u" * 257),
        ("x-policy-tags", "a=" + "b" * 200),
        ("x-policy-conversation", "cnv_01kjm3v5c0e8r9q2t4w6y8z0a3"),
    ):
        answer = await client.post(CHAT, json=chat(), headers={name: value})
        assert answer.status_code == 400, name
        assert answer.json()["error"]["param"].lower() == name


async def test_a_project_decides_models(client, alice, gateway):
    from gateway.services import create_upstream

    now = utc_now()
    projects = [
        await in_thread(create_project)(
            account=alice.account, name=name, actor=SYSTEM, now=now
        )
        for name in ("one", "two")
    ]
    for project in projects:
        values = {
            "name": "U",
            "project": project,
            "base_url": "https://192.0.2.1/v1".replace("192.0.2.1", "example.com"),
            "chat_models": {f"model-{project.name}": "m", "both": "m"},
            "embedding_models": {"vectors": "v"},
        }
        await in_thread(create_upstream)(
            account=alice.account, values=values, actor=SYSTEM, now=now
        )
    key = await in_thread(new_key)(alice, project=projects[0])
    mine = {"authorization": f"Bearer {key}"}

    listed = (await client.get("/models", headers=mine)).json()["data"]
    assert [one["id"] for one in listed] == ["both", "model-one", "vectors"]
    answer = await client.post(CHAT, json=chat(model="model-two"), headers=mine)
    assert_error(answer, 403, "permission_error", "model_not_allowed")
    decision = await DecisionRecord.objects.alatest("id")
    assert (decision.reason_code, decision.allowed) == ("model_not_allowed", False)
    assert decision.policy_project_id == projects[0].public_id
    answer = await client.post(CHAT, json=chat(model="echo"), headers=mine)
    assert_error(answer, 404, "invalid_request_error", "model_not_found")
