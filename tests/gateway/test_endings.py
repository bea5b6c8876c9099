"""However a call ends, it is charged what the upstream counted (CONTRACT H3)."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async

from tests.gateway.house import chat, events, new_key
from usage.models import Counter, Reservation, UsageEvent

pytestmark = pytest.mark.django_db(transaction=True)
CHAT = "/chat/completions"
TEXT = "one two three four five six"
PROMPT = 12
in_thread = sync_to_async(thread_sensitive=True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "taken", "estimated"),
    [
        ("echo", (PROMPT, 6), False),
        ("echo-no-usage", (PROMPT, 6), True),
        ("echo-zero-usage", (0, 0), False),
        ("echo-slow-10", (PROMPT, 6), False),
        ("echo-429", None, None),
        ("echo-500", None, None),
        ("echo-wrong-type", None, None),
    ],
)
async def test_what_is_charged(client, alice, model, stream, taken, estimated):
    await in_thread(alice.policy)(threshold=10**6)

    answer = await client.post(CHAT, json=chat(TEXT, model, stream=stream))

    held = await Reservation.objects.aget()
    counter = await Counter.objects.aget()
    assert counter.held == 0
    if taken is None:
        assert answer.status_code in (429, 502)
        assert held.state == "released"
        assert counter.used == 0
        assert not await UsageEvent.objects.aexists()
        assert "told" not in answer.text
        return
    assert answer.status_code == 200
    event = await UsageEvent.objects.aget()
    assert (event.input_tokens, event.output_tokens) == taken
    assert (event.calls, event.messages, event.estimated) == (1, 1, estimated)
    assert held.state == "settled"
    assert counter.used == sum(taken)


@pytest.mark.parametrize(
    "model", ["echo-cut", "echo-cut-utf8", "echo-500-after-headers"]
)
async def test_a_stream_that_breaks_is_charged_what_came(client, model):
    answer = await client.post(CHAT, json=chat(TEXT, model, stream=True))

    assert answer.status_code == 200
    *chunks, end = events(answer.text)
    assert end["error"]["code"] == "upstream_error"
    assert "told" not in answer.text
    said = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert said == "one two three"
    event = await UsageEvent.objects.aget()
    assert (event.input_tokens, event.output_tokens) == (PROMPT, 3)
    assert event.estimated


async def test_usage_is_told_to_whom_it_is_told(client):
    wanted = {"stream_options": {"include_usage": True}}
    answer = await client.post(CHAT, json=chat(TEXT, stream=True, **wanted))
    *chunks, last, _ = events(answer.text)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == PROMPT + 6
    answer = await client.post(
        CHAT, json=chat(TEXT, "echo-no-usage", stream=True, **wanted)
    )
    *_, last, end = events(answer.text)
    assert last["usage"]["completion_tokens"] == 6
    assert end == "[DONE]"


async def test_who_it_is_for(client, alice):
    headers = {
        "x-policy-target": alice.bot.public_id,
        "x-policy-user": "Zoë".encode(),
        "x-policy-conversation": "chat-1",
        "x-policy-tags": "team=blue, env=test",
    }
    for _ in range(2):
        await client.post(CHAT, json=chat(), headers=headers)
    await client.post(CHAT, json=chat(user="u-2"), headers=headers)

    from audit.models import DecisionRecord

    found = [event async for event in UsageEvent.objects.order_by("sequence")]
    assert [event.user for event in found] == ["Zoë", "Zoë", "u-2"]
    assert [event.conversations for event in found] == [1, 0, 0]
    assert {event.bot_id for event in found} == {alice.bot.id}
    decision = await DecisionRecord.objects.afirst()
    assert decision.subject["tags"] == {"team": "blue", "env": "test"}


async def test_a_small_remainder_still_serves_a_call(client, alice):
    await in_thread(alice.policy)(threshold=60)

    codes = [(await client.post(CHAT, json=chat(TEXT))).status_code for _ in range(4)]

    assert codes == [200, 200, 200, 429]
    counter = await Counter.objects.aget()
    assert counter.used == 3 * (PROMPT + 6)


async def test_max_tokens_is_held_wholly(client, alice):
    await in_thread(alice.policy)(threshold=60)

    assert (await client.post(CHAT, json=chat(max_tokens=100))).status_code == 429
    assert (await client.post(CHAT, json=chat(max_tokens=20))).status_code == 200
    answer = await client.post(CHAT, json=chat(TEXT, max_tokens=2))
    assert answer.json()["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("text", "heard_out"), [(TEXT, 60), (" ".join(["word"] * 400), 0.3)]
)
async def test_a_client_that_goes_is_charged_what_the_upstream_counted(
    gateway, alice, monkeypatch, text, heard_out
):
    """A short rest is heard out; a long one is cut and counted."""
    monkeypatch.setattr("gateway.relay.DRAIN_SECONDS", heard_out)
    key = await in_thread(new_key)(alice)
    counted = []

    from gateway import echo

    inner = echo.answer

    def watched(path, raw):
        answer = inner(path, raw)
        counted.append(answer.counted)
        return answer

    monkeypatch.setattr("gateway.echo.answer", watched)
    await leave_after(gateway, key, chat(text, "echo-drip-10", stream=True), 3)

    event = await UsageEvent.objects.aget()
    (upstream,) = counted
    assert event.input_tokens == upstream.input_tokens
    allowed = max(1, upstream.output_tokens * 0.01)
    assert abs(event.output_tokens - upstream.output_tokens) <= allowed
    assert event.estimated is (text != TEXT)
    assert (await Reservation.objects.aget()).state == "settled"


async def leave_after(gateway, key, body, chunks):
    """Call as a client that closes its connection after some chunks."""
    raw = json.dumps(body).encode()
    gone = asyncio.Event()
    seen = 0
    asked = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive():
        if asked:
            return asked.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        nonlocal seen
        seen += message["type"] == "http.response.body"
        if seen >= chunks:
            gone.set()

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {key}".encode())],
    }
    await gateway(scope, receive, send)


async def test_a_stalled_upstream_is_given_up(client, gateway, monkeypatch):
    from gateway import routes

    quick = routes.Times(5.0, 1.0, 1.0, 60.0)
    inner = routes.AccountRoutes.routes

    def impatient(self, *asked):
        return [routes.Route(one.model, times=quick) for one in inner(self, *asked)]

    monkeypatch.setattr(routes.AccountRoutes, "routes", impatient)
    answer = await client.post(CHAT, json=chat(TEXT, "echo-stall", stream=True))
    assert events(answer.text)[-1]["error"]["code"] == "upstream_timeout"
    answer = await client.post(CHAT, json=chat(TEXT, "echo-slow-2000"))
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "upstream_timeout"
    found = [event async for event in UsageEvent.objects.order_by("sequence")]
    assert [(e.output_tokens, e.estimated) for e in found] == [(3, True), (0, True)]


async def test_embeddings(client):
    body = {"model": "echo-embedding", "input": ["one two", "three"]}
    answer = await client.post("/embeddings", json=body)

    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 2
    event = await UsageEvent.objects.aget()
    assert (event.input_tokens, event.output_tokens) == (3, 0)
    assert (event.calls, event.messages) == (1, 0)


async def test_models_list_those_for_chats_first(client):
    listed = (await client.get("/models")).json()

    assert listed["object"] == "list"
    ids = [one["id"] for one in listed["data"]]
    assert ids[0] == "echo"
    assert ids[-1] == "echo-embedding"
    one = (await client.get("/models/echo")).json()
    assert (one["id"], one["object"]) == ("echo", "model")


async def test_how_often_a_key_may_ask(client, gateway, monkeypatch):
    gateway._minutes._limits = {"standard": 3}

    answers = [await client.get("/models") for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    left = [a.headers["x-ratelimit-remaining-requests"] for a in answers]
    assert left == ["2", "1", "0", "0", "0"]
    last = answers[-1]
    assert last.headers["x-ratelimit-limit-requests"] == "3"
    assert 0 < int(last.headers["retry-after"]) <= 60
    assert last.json()["error"]["code"] == "rate_limit_exceeded"
    assert "x-should-retry" not in last.headers
