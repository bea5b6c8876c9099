"""`kill -9` in the middle of gateway calls, and thousands of idle clients.

The lane, the upstream and the database are processes of their own. After a kill nothing
stays open, and what ran is charged (CONTRACT B7, H3).
"""

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.house import ROOT, House, until
from tests.faults.wire import Wire
from tests.ports import free_port

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]

PATH = "/v1/chat/completions"
CALLS = 8  # of each kind
IDLE = 10_000 if os.environ.get("FAULTS") == "long" else 1_000
TOTAL, MARGIN = 30, 60  # seconds
PROMPT, MOST = 12, 50  # tokens
TEXT = "one two three four five six"
EXPIRE = """
import sys, django
django.setup()
from datetime import datetime
from usage.expiry import expire_reservations
print(expire_reservations(now=datetime.fromisoformat(sys.argv[1])))
"""
STATES = "SELECT state, count(*) FROM usage_reservation GROUP BY state"
COUNTERS = "SELECT metric, used, held FROM usage_counter"
EVENTS = """SELECT count(*), sum(input_tokens), sum(output_tokens), sum(calls)
FROM usage_usageevent WHERE estimated"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("gateway"))
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "gateway.echo_server:app"]
    argv += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    echo = subprocess.Popen(argv, cwd=ROOT, env=house.environment())
    origin = f"http://127.0.0.1:{port}"
    try:
        house.prepare()
        house.opened = {"POLICYHUB_PRIVATE_URLS": origin}
        module = ["-m", "tests.faults.furnish_gateway", f"{origin}/v1", str(TOTAL)]
        house.key = house.run(*module, **house.opened)
        yield house
    finally:
        echo.kill()
        echo.wait()
        house.end()


def asked(model: str, *, stream: bool) -> dict:
    said = [{"role": "user", "content": TEXT}]
    return {"model": model, "messages": said, "stream": stream, "max_tokens": MOST}


def begin(house, port: int, model: str, *, stream: bool) -> socket.socket:
    """Send a call, and do not wait for what it is answered."""
    body = json.dumps(asked(model, stream=stream)).encode()
    opened = socket.create_connection(("127.0.0.1", port), timeout=20)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += f"Authorization: Bearer {house.key}\r\nContent-Type: application/json"
    opened.sendall(f"{head}\r\n\r\n".encode() + body)
    return opened


def call(house, port: int) -> int:
    return Wire(house.key).call(port, "POST", PATH, asked("echo", stream=False))[0]


def states(house) -> dict[str, int]:
    with house.connect() as database:
        return dict(database.execute(STATES).fetchall())


def counters(house) -> dict[str, tuple[int, int]]:
    with house.connect() as database:
        rows = database.execute(COUNTERS).fetchall()
    return {metric: (used, held) for metric, used, held in rows}


def expire(house, moment) -> int:
    return int(house.run("-c", EXPIRE, moment.isoformat()))


def test_what_a_killed_lane_had_under_way_is_charged_and_nothing_stays_open(house):
    with house.connect() as database:
        database.execute("TRUNCATE usage_reservation, usage_usageevent, usage_counter")
    lane = house.lane("killed", **house.opened)
    lane.start()
    lane.wait_ready()
    assert call(house, lane.port) == 200
    plain = [
        begin(house, lane.port, "echo-slow-60000", stream=False) for _ in range(CALLS)
    ]
    streams = [
        begin(house, lane.port, "echo-drip-60000", stream=True) for _ in range(CALLS)
    ]
    for each in streams:  # these have come half-way
        until(lambda each=each: b"data: " in each.recv(65536), 60, "a stream")
    until(lambda: states(house).get("open") == 2 * CALLS, 60, "the holds")

    lane.kill()
    for each in [*plain, *streams]:
        each.close()

    # Another process goes on as if nothing had been; the holds still count.
    lane.start()
    lane.wait_ready()
    assert call(house, lane.port) == 200
    settled = 2 * (PROMPT + 6)
    held = 2 * CALLS * (PROMPT + MOST)
    assert counters(house) == {"tokens": (settled, held), "calls": (2, 2 * CALLS)}
    with house.connect() as database:
        first, last = database.execute(
            "SELECT min(expires_at), max(expires_at) FROM usage_reservation"
            " WHERE state = 'open'"
        ).fetchone()
        (longest,) = database.execute(
            "SELECT max(ttl_seconds) FROM usage_reservation"
        ).fetchone()
    assert longest == TOTAL + MARGIN

    assert expire(house, first - timedelta(seconds=1)) == 0
    # TTL + 60 s is when the sweep has come by for certain.
    assert expire(house, last + timedelta(seconds=60)) == 2 * CALLS
    assert expire(house, last + timedelta(seconds=60)) == 0

    assert states(house) == {"settled": 2, "expired": 2 * CALLS}
    used = {"tokens": (settled + held, 0), "calls": (2 + 2 * CALLS, 0)}
    assert counters(house) == used
    with house.connect() as database:
        found = database.execute(EVENTS).fetchone()
    assert found == (2 * CALLS, 2 * CALLS * PROMPT, 2 * CALLS * MOST, 2 * CALLS)


def memory_kb(process) -> int:
    status = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    return int(status.partition("\nPss:")[2].split()[0])


async def idle_connections(port: int, count: int) -> list:
    """Open connections that have asked once, as a client's pool keeps them."""
    found = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        found.append((reader, writer))
        if len(found) % 250 == 0:
            await asyncio.gather(*(_answered(each) for each, _ in found[-250:]))
    return found


async def _answered(reader: asyncio.StreamReader) -> None:
    assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")


async def test_idle_connections_hold_and_cost_little(house):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = min(IDLE, most - 1_000)
    lane = house.lane("idle", **house.opened)
    lane.start()
    lane.wait_ready()
    assert call(house, lane.port) == 200
    before = memory_kb(lane.process)

    held = await idle_connections(lane.port, count)

    each = (memory_kb(lane.process) - before) / count
    sys.stdout.write(f"{count:,} idle connections: {each:.1f} KB each\n")
    assert each < 40
    # Others are served beside them, and each of them still is.
    began = time.monotonic()
    assert await asyncio.to_thread(call, house, lane.port) == 200
    assert time.monotonic() - began < 5
    assert not any(reader.at_eof() for reader, _ in held)
    for reader, writer in held[:: count // 100]:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await _answered(reader)
    for _, writer in held:
        writer.transport.abort()
    lane.kill()
