"""A client that stalls is noticed, by one timer however much is sent."""

import asyncio

import pytest

from gateway import exchange as exchanges
from gateway.exchange import Exchange
from gateway.protocol import Refusal

SCOPE = {"type": "http", "headers": [], "path": "/v1/x", "method": "POST"}


class Client:
    """Takes what is sent, or nothing any more; sends a body, or nothing."""

    def __init__(self):
        self.takes = asyncio.Event()
        self.takes.set()
        self.sends = asyncio.Event()
        self.got = []

    async def send(self, message):
        await self.takes.wait()
        self.got.append(message)

    async def receive(self):
        await self.sends.wait()
        return {"type": "http.request", "body": b"{}", "more_body": False}

    def exchange(self):
        return Exchange(SCOPE, self.receive, self.send)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(exchanges, "SEND_SECONDS", 0.05)
    monkeypatch.setattr(exchanges, "BODY_SECONDS", 0.05)


async def test_a_client_that_takes_nothing_is_taken_for_gone():
    client = Client()
    exchange = client.exchange()
    assert await exchange.write(b"1")
    client.takes.clear()

    assert not await exchange.write(b"2")

    # The call itself goes on: it has to be settled.
    await asyncio.sleep(0.06)
    assert asyncio.current_task().cancelling() == 0
    client.takes.set()
    assert await exchange.write(b"3")
    exchange.close()


async def test_time_between_chunks_is_not_the_clients():
    client = Client()
    exchange = client.exchange()

    for _ in range(3):
        assert await exchange.write(b"x")
        await asyncio.sleep(0.06)

    exchange.close()


@pytest.mark.parametrize(("waits", "timers"), [(False, 0), (True, 1)])
async def test_a_stream_has_one_timer_if_its_client_is_slow(monkeypatch, waits, timers):
    loop, made = asyncio.get_running_loop(), []
    call_at = loop.call_at

    def counted(moment, *arguments, **options):
        made.append(moment)
        return call_at(moment, *arguments, **options)

    client = Client()
    exchange = client.exchange()
    # Else it would run out, and be set again, wherever the machine rests for a moment.
    monkeypatch.setattr(exchanges, "SEND_SECONDS", 60)
    monkeypatch.setattr(loop, "call_at", counted)
    for _ in range(100):
        if waits:
            client.takes.clear()
            loop.call_soon(client.takes.set)
        await exchange.write(b"x")
    await exchange.end()
    exchange.close()

    assert len(client.got) == 101
    assert len(made) == timers


async def test_a_body_that_never_ends_is_refused():
    client = Client()
    exchange = client.exchange()

    with pytest.raises(Refusal) as refused:
        await exchange.body()

    assert refused.value.status == 408
    client.sends.set()
    assert await exchange.body() == b"{}"
    exchange.close()


async def test_a_cancelled_call_stays_cancelled():
    client = Client()
    client.takes.clear()
    exchange = client.exchange()
    writing = asyncio.create_task(exchange.write(b"x"))
    await asyncio.sleep(0)

    writing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await writing
