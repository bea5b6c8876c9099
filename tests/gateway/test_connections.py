"""Upstreams behind a socket: kept connections, failover, rude servers, secrets."""

import asyncio
import json
from time import monotonic

import pytest
from asgiref.sync import sync_to_async
from django.utils.timezone import now as utc_now

from accounts.actors import SYSTEM
from accounts.outbound import check_url
from gateway.connections import BrokeOff, NotAsked, TookTooLong
from gateway.routes import Route, Times
from gateway.services import create_upstream
from gateway.upstreams import Upstreams
from tests.gateway.house import chat, events
from usage.models import UsageEvent

CHAT = "/chat/completions"
QUICK = Times(1.0, 0.3, 0.3, 2.0)
PATIENT = Times()
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
in_thread = sync_to_async(thread_sensitive=True)


class Server:
    """Says to each request what a script tells it, on one port."""

    def __init__(self, script):
        self.script = script
        self.connections = 0
        self.requests = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    async def __aexit__(self, *error):
        self.server.close()

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split()[0])
                self.requests.append(head + await reader.readexactly(length))
                if await self.script(writer, len(self.requests)) == "close":
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def says(*parts, then=None, pause=0.0):
    async def script(writer, number):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return then

    return script


def route(server, settings, times=PATIENT):
    settings.POLICYHUB_PRIVATE_URLS = ["http://127.0.0.1:*"]
    target = check_url(server.url)
    return Route("m", target, server.url, "sk-secret", times)


async def read(upstreams, way, deadline=60.0):
    answer = await upstreams.ask(way, CHAT, b"{}", deadline=monotonic() + deadline)
    found = b""
    while part := await answer.chunk():
        found += part
    return answer, found


async def test_a_connection_is_used_again(settings):
    async with Server(says(OK + b"content-length: 2\r\n\r\n{}")) as server:
        upstreams = Upstreams()
        for _ in range(5):
            answer, found = await read(upstreams, route(server, settings))
            assert (answer.status, answer.content_type) == (200, "application/json")
            assert found == b"{}"
        assert server.connections == 1
        assert b"authorization: Bearer sk-secret\r\n" in server.requests[0]
        assert server.requests[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
        await upstreams.close()


async def test_a_connection_that_was_closed_meanwhile_is_replaced(settings):
    close = says(OK + b"content-length: 2\r\n\r\n{}", then="close")
    async with Server(close) as server:
        upstreams = Upstreams()
        for _ in range(3):
            assert (await read(upstreams, route(server, settings)))[1] == b"{}"
        assert server.connections == 3
        await upstreams.close()


@pytest.mark.parametrize(
    ("parts", "then", "error"),
    [
        ([b"nonsense\r\n\r\n"], None, BrokeOff),
        ([b""], "close", BrokeOff),
        ([OK + b"content-length: 9\r\n\r\n{}"], "close", BrokeOff),
        ([OK + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"], "close", BrokeOff),
        ([OK + b"x: " + b"y" * 100_000 + b"\r\n\r\n"], None, BrokeOff),
        ([b""], None, TookTooLong),
        ([OK + b"content-length: 9\r\n\r\n{}"], None, TookTooLong),
    ],
)
async def test_rude_servers(settings, parts, then, error):
    async with Server(says(*parts, then=then)) as server:
        upstreams = Upstreams()
        begun = monotonic()
        with pytest.raises(error):
            await read(upstreams, route(server, settings, QUICK), deadline=60)
        # Not as long as the call may take in all.
        assert monotonic() - begun < 20
        await upstreams.close()


async def test_answers_in_all_forms(settings):
    chunked = OK + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    early = b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 2\r\n\r\n{}"
    for parts, then in (
        ([chunked[i : i + 1] for i in range(len(chunked))], None),
        ([early], None),
        ([OK + b"\r\n{}"], "close"),
    ):
        async with Server(says(*parts, then=then)) as server:
            upstreams = Upstreams()
            assert (await read(upstreams, route(server, settings)))[1] == b"{}"
            await upstreams.close()


async def test_nobody_listens(settings):
    async with Server(says()) as server:
        pass
    upstreams = Upstreams()
    with pytest.raises(NotAsked):
        await read(upstreams, route(server, settings))
    await upstreams.close()


@sync_to_async
def add_upstreams(house, *urls, **fields):
    for position, url in enumerate(urls):
        values = {"name": "U", "base_url": url, "secret": "sk-secret", **fields}
        values["position"] = position
        create_upstream(
            account=house.account, values=values, actor=SYSTEM, now=utc_now()
        )


def completion(text="done"):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    body = json.dumps({"choices": [choice], "usage": usage}).encode()
    return OK + b"content-length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.django_db(transaction=True)
async def test_the_next_upstream_takes_over(client, alice, settings):
    settings.POLICYHUB_PRIVATE_URLS = ["http://127.0.0.1:*"]
    error = b'{"error": {"message": "sk-secret is bad", "code": "boom"}}'
    failing = b"HTTP/1.1 503 No\r\ncontent-length: %d\r\n\r\n%b" % (len(error), error)
    async with (
        Server(says(failing)) as broken,
        Server(says(completion())) as good,
    ):
        names = {"fast": "real-name"}
        nobody = "http://127.0.0.1:9/v1"
        await add_upstreams(alice, nobody, broken.url, good.url, chat_models=names)
        answer = await client.post(CHAT, json=chat(model="fast"))
        assert answer.status_code == 200, answer.text
        assert json.loads(good.requests[0].partition(b"\r\n\r\n")[2]) == chat(
            model="real-name"
        )
        event = await UsageEvent.objects.aget()
        assert (event.input_tokens, event.output_tokens) == (5, 7)
        assert event.model == "fast"
        stream = await client.post(CHAT, json=chat(model="fast", stream=True))
        # Its answer is no stream: nothing of it is passed on.
        assert stream.status_code == 502
        assert "sk-secret" not in stream.text
        sent = json.loads(good.requests[1].partition(b"\r\n\r\n")[2])
        assert sent["stream_options"] == {"include_usage": True}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("status", "code", "seen", "ours"),
    [
        (400, "context_length_exceeded", 400, "context_length_exceeded"),
        (400, "secret_code", 400, None),
        (401, "invalid_api_key", 502, "upstream_unusable"),
        (404, "model_not_found", 404, "model_not_found"),
        (429, "insufficient_quota", 429, "rate_limit_exceeded"),
        (500, "boom", 502, "upstream_error"),
        (302, "moved", 502, "upstream_error"),
    ],
)
async def test_what_an_upstream_says_of_a_failure_stays_here(
    client, alice, settings, status, code, seen, ours
):
    settings.POLICYHUB_PRIVATE_URLS = ["http://127.0.0.1:*"]
    error = {"error": {"message": "Bad key sk-secret", "code": code}}
    body = json.dumps(error).encode()
    head = b"HTTP/1.1 %d No\r\nretry-after: 3\r\nlocation: http://x/\r\n" % status
    whole = head + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    async with Server(says(whole)) as server:
        await add_upstreams(alice, server.url)
        answer = await client.post(CHAT, json=chat(model="any"))
    assert answer.status_code == seen, answer.text
    assert answer.json()["error"]["code"] == ours
    assert "sk-" not in answer.text
    assert answer.headers.get("retry-after") == ("3" if status == 429 else None)
    assert not await UsageEvent.objects.aexists()


@pytest.mark.django_db(transaction=True)
async def test_a_stream_in_single_bytes(client, alice, settings):
    settings.POLICYHUB_PRIVATE_URLS = ["http://127.0.0.1:*"]
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": part}}], "usage": None}
        for part in ("né", "e ", "☃")
    ]
    usage = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
    lines = [json.dumps(c, ensure_ascii=False) for c in chunks]
    lines += [json.dumps({"choices": [], "usage": usage}), "[DONE]"]
    text = ": hello\r\n\r\n" + "".join(f"data: {line}\r\n\r\n" for line in lines)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n"
    raw = text.encode()
    parts = [raw[i : i + 1] for i in range(len(raw))]
    async with Server(says(head, *parts, then="close")) as server:
        await add_upstreams(alice, server.url)
        answer = await client.post(CHAT, json=chat(model="any", stream=True))
    *found, end = events(answer.text)
    assert end == "[DONE]"
    assert [c["choices"][0]["delta"]["content"] for c in found] == ["né", "e ", "☃"]
    event = await UsageEvent.objects.aget()
    assert (event.input_tokens, event.output_tokens, event.estimated) == (3, 0, False)
