"""The lane's server beside clients that are slow or rude."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from api.hot import Reply
from policyhub import lane_server


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def calls():
    """Plain calls that were taken: their bodies, and how to answer them."""
    return []


@pytest.fixture
def protocols():
    """The server's ends of the connections."""
    return []


@pytest.fixture
async def port(calls, protocols):
    def direct(headers, body, send):
        if b"no" in body:
            return False
        calls.append((dict(headers), body, send))
        return True

    config = uvicorn.Config(app, http=lane_server.BoundedHttp, lifespan="off")
    config.load()
    state = ServerState()
    lifespan = {"direct": {b"/plain": direct}}

    def made():
        protocols.append(lane_server.BoundedHttp(config, state, lifespan))
        return protocols[-1]

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def post(body, *headers, path=b"/plain"):
    size = b"content-length: %d" % len(body)
    head = b"\r\n".join([b"POST %b HTTP/1.1" % path, b"Host: x", size, *headers])
    return head + b"\r\n\r\n" + body


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def said(port, *parts, pause=0.0):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(pause)
    try:
        async with asyncio.timeout(60):
            return await reader.readline()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_a_head_that_is_too_large(port):
    head = b"GET / HTTP/1.1\r\nhost: x\r\nx-long: "
    assert b" 204 " in await said(port, head + b"y" * 1_000 + b"\r\n\r\n")
    assert b" 431 " in await said(port, head, *[b"y" * 10_000] * 8, pause=0.01)


async def test_a_head_that_takes_too_long(port, monkeypatch):
    monkeypatch.setattr(lane_server, "HEAD_SECONDS", 0.2)
    assert await said(port) == b""
    assert await said(port, b"GET / HTTP/1.1\r\n") == b""
    monkeypatch.setattr(lane_server, "HEAD_SECONDS", 30)
    slow = (b"GET / HTTP/1.1\r\n", b"host: x\r\n", b"\r\n")
    assert b" 204 " in await said(port, *slow, pause=0.02)


async def test_a_plain_call_is_answered_directly(port, calls):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(2):
        for part in (
            post(b"hello", b"X-Name: Y")[:30],
            post(b"hello", b"X-Name: Y")[30:],
        ):
            writer.write(part)
            await asyncio.sleep(0.01)
        await until(lambda: calls)
        headers, body, send = calls.pop()
        assert (headers[b"x-name"], body) == (b"Y", b"hello")
        send(Reply(b"%d" % number, told=((b"x-more", b"z"),)))
        told = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        assert told[0] == b"HTTP/1.1 200 OK"
        assert {b"content-length: 1", b"x-more: z", b"cache-control: no-store"} < {
            *told
        }
        assert await reader.readexactly(1) == b"%d" % number
    writer.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(b"no, thank you"),
        post(b"x" * 40_000 + b"no"),
        post(b"hello", path=b"/plain?a=b"),
        post(b"hello", path=b"/other"),
        post(b"hello").replace(b"POST", b"PUT"),
        post(b"hello").replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(b"hello", b"Connection: close"),
    ],
)
async def test_what_is_not_plain_goes_by_asgi(port, calls, request_bytes):
    assert b" 204 " in await said(port, request_bytes)
    assert not calls


async def test_a_body_that_is_awaited_goes_by_asgi(port, calls):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(b"hello", b"Expect: 100-continue"))
    assert b" 204 " in await reader.readline()
    assert not calls
    writer.close()


async def test_pipelined_calls_are_answered_in_their_order(port, calls):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(b"first") + post(b"second") + post(b"third", path=b"/other"))
    await until(lambda: calls)
    await asyncio.sleep(0.02)
    assert len(calls) == 1
    calls.pop()[2](Reply(b"1", 202))
    assert b" 202 " in await reader.readline()
    # Those behind it wait for their turn by ASGI.
    rest = b""
    while rest.count(b" 204 ") < 2:
        rest += await asyncio.wait_for(reader.read(4096), 60)
    writer.write(post(b"fourth"))
    await until(lambda: calls)
    calls.pop()[2](Reply(b"4"))
    assert b" 200 " in await reader.readline()
    writer.close()


async def test_a_client_that_goes_before_its_answer(port, calls):
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(b"hello"))
    await until(lambda: calls)
    writer.close()
    await asyncio.sleep(0.05)
    calls.pop()[2](Reply(b"too late"))
    assert b" 204 " in await said(port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")


async def test_a_call_in_flight_is_answered_before_the_server_ends(
    port, calls, protocols
):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(b"hello"))
    await until(lambda: calls)
    (protocol,) = protocols
    protocol.shutdown()
    calls.pop()[2](Reply(b"done"))
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.endswith(b"done")
    assert b"connection: close" in answer
    writer.close()


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not(
    port, calls, protocols
):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await until(lambda: protocols)
    (protocol,) = protocols
    protocol.timeout_keep_alive = 0.5
    for under_way in (0, 0.7):
        writer.write(post(b"hello"))
        await until(lambda: calls)
        await asyncio.sleep(under_way)
        calls.pop()[2](Reply(b""))
        assert b" 200 " in (await reader.readuntil(b"\r\n\r\n"))
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
