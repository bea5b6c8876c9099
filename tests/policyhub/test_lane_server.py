"""The lane's server beside clients that are slow or rude."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from policyhub import lane_server


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def port():
    config = uvicorn.Config(app, http=lane_server.BoundedHttp, lifespan="off")
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: lane_server.BoundedHttp(config, state, {}), "127.0.0.1", 0
    )
    yield server.sockets[0].getsockname()[1]
    server.close()


async def said(port, *parts, pause=0.0):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(pause)
    try:
        async with asyncio.timeout(5):
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
    slow = (b"GET / HTTP/1.1\r\n", b"host: x\r\n", b"\r\n")
    assert b" 204 " in await said(port, *slow, pause=0.02)
