"""The lane passes requests on to the pages and hides nothing on the way."""

import asyncio
import contextlib
import json
import tempfile
from pathlib import Path

import httpx
import pytest

from policyhub.forward import BODY_MAX, Pages


class Upstream:
    """An HTTP server on a unix socket whose answers the test writes by hand."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.gone = asyncio.Event()

    async def serve(self, reader, writer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            lengths = [
                int(line.split(":")[1])
                for line in head.lower().split("\r\n")
                if line.startswith("content-length:")
            ]
            self.bodies.append(await reader.readexactly(sum(lengths)))
            await self.answer(writer)
            with contextlib.suppress(ConnectionError):
                if not await reader.read(1):
                    self.gone.set()
        writer.close()


@contextlib.asynccontextmanager
async def between(answer):
    """A client of the lane's forwarding, and the upstream behind it."""
    upstream = Upstream(answer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.sock"
        server = await asyncio.start_unix_server(upstream.serve, str(path))
        pages = Pages(path)
        transport = httpx.ASGITransport(pages, client=("203.0.113.9", 5))
        async with httpx.AsyncClient(
            transport=transport, base_url="https://hub.example"
        ) as client:
            yield client, upstream, pages
        await pages.close()
        server.close()


async def plain(writer) -> None:
    writer.write(
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: X-Private\r\n"
        b"X-Private: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\n"
        b"Set-Cookie: b=2\r\nX-Kept: yes\r\n\r\nok"
    )
    await writer.drain()


async def test_path_query_method_and_body_arrive_as_they_were_sent():
    async with between(plain) as (client, upstream, _):
        answer = await client.put("/a%2Fb/%C3%A9?x=1&x=%20", content=b"body")

    assert answer.status_code == 201
    assert answer.content == b"ok"
    assert upstream.heads[0].startswith("PUT /a%2Fb/%C3%A9?x=1&x=%20 HTTP/1.1\r\n")
    assert upstream.bodies == [b"body"]


async def test_space_around_a_value_is_no_part_of_it():
    async with between(plain) as (client, upstream, _):
        answer = await client.get("/", headers={"Cookie": "a=b; \t"})

    assert answer.status_code == 201
    assert "cookie: a=b;\r\n" in upstream.heads[0].lower()


async def test_what_cannot_be_passed_on_is_the_clients_fault():
    async with between(plain) as (client, upstream, _):
        answer = await client.get("/", headers={"X-Odd": "a\x00b"})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert upstream.heads == []


async def test_no_request_meets_a_connection_that_is_closing():
    async def once(writer) -> None:
        await plain(writer)
        writer.close()

    async with between(once) as (client, upstream, _):
        answers = [await client.post("/", content=b"x") for _ in range(20)]

    assert {answer.status_code for answer in answers} == {201}
    assert upstream.bodies == [b"x"] * 20


async def test_headers_about_one_connection_stay_on_it():
    sent = {"Connection": "X-Mine", "X-Mine": "1", "TE": "trailers", "X-Other": "2"}
    async with between(plain) as (client, upstream, _):
        answer = await client.get("/", headers=sent)

    head = upstream.heads[0].lower()
    assert "x-mine" not in head
    assert "\r\nte:" not in head
    assert "x-other: 2" in head
    assert "keep-alive" not in answer.headers
    assert "x-private" not in answer.headers
    assert answer.headers["x-kept"] == "yes"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


async def test_who_asked_is_told_by_the_lane_alone():
    forged = {
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=1.2.3.4",
    }
    async with between(plain) as (client, upstream, _):
        await client.get("/", headers=forged)

    head = upstream.heads[0].lower()
    assert "x-forwarded-for: 203.0.113.9\r\n" in head
    assert "x-forwarded-proto: https\r\n" in head
    assert "x-forwarded-host: hub.example\r\n" in head
    assert "1.2.3.4" not in head
    assert "evil" not in head


async def test_pages_that_are_down_are_a_503_that_can_be_retried():
    pages = Pages(Path("/nonexistent/pages.sock"))
    transport = httpx.ASGITransport(pages)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get("/")
    await pages.close()

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert json.loads(answer.content)["code"] == "pages_unavailable"


async def down(path: str, **headers: str) -> httpx.Response:
    pages = Pages(Path("/nowhere/pages.sock"))
    transport = httpx.ASGITransport(pages)
    hub = httpx.AsyncClient(transport=transport, base_url="http://hub")
    async with hub as client:
        answer = await client.get(path, headers=headers)
    await pages.close()
    return answer


async def test_chatbotkits_clients_are_told_in_their_words():
    answer = await down("/api/v1/policy/list", Accept="application/json")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == "1"
    told = answer.json()
    assert (told["code"], told["reason"]) == (
        "SERVICE_UNAVAILABLE",
        "pages_unavailable",
    )
    assert told["message"]


async def test_a_browser_is_told_by_a_page():
    wanted = "text/html,application/xhtml+xml,*/*;q=0.8"
    answer = await down("/app/x/<b>/", Accept=wanted)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>The pages are not available.</h1>" in answer.text
    assert "<b>" not in answer.text
    assert (await down("/api/v1/bots", Accept=wanted)).json()["status"] == 503


async def test_a_body_without_end_is_refused_before_a_page_is_asked():
    async with between(plain) as (client, upstream, _):
        answer = await client.post("/", content=b"x" * (BODY_MAX + 1))

    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"
    assert upstream.heads == []


def scope() -> dict:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"host", b"x")],
        "client": ("127.0.0.1", 1),
    }


async def drive(pages: Pages, leave: asyncio.Event, sent: list) -> None:
    first = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if first:
            return first.pop()
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await pages(scope(), receive, send)


async def test_an_answer_is_passed_on_while_it_is_made():
    more = asyncio.Event()

    async def slowly(writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"5\r\nfirst\r\n")
        await writer.drain()
        await more.wait()
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")
        await writer.drain()

    async with between(slowly) as (_, _, pages):
        sent: list[dict] = []
        work = asyncio.create_task(drive(pages, asyncio.Event(), sent))
        while len(sent) < 2:
            await asyncio.sleep(0.01)
        assert sent[1]["body"] == b"first"
        more.set()
        await work

    assert b"".join(m.get("body", b"") for m in sent) == b"firstlast"
    assert (b"transfer-encoding", b"chunked") not in sent[0]["headers"]


@pytest.mark.parametrize("begun", [False, True])
async def test_when_the_client_goes_the_page_is_told(begun):
    async def never_ends(writer) -> None:
        if begun:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst")
            await writer.drain()

    async with between(never_ends) as (_, upstream, pages):
        leave = asyncio.Event()
        work = asyncio.create_task(drive(pages, leave, []))
        while not upstream.bodies:
            await asyncio.sleep(0.01)
        leave.set()
        await asyncio.wait_for(work, 60)
        await asyncio.wait_for(upstream.gone.wait(), 60)
