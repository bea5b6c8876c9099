"""The load: wrk for as fast as it goes, and a steady rate from the due moment."""

import asyncio
import gc
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass
class Result:
    """One run: requests a second, milliseconds."""

    rate: float
    p50: float
    p99: float
    errors: int = 0


def median(results: Sequence[Result]) -> Result:
    return Result(
        statistics.median(r.rate for r in results),
        statistics.median(r.p50 for r in results),
        statistics.median(r.p99 for r in results),
        sum(r.errors for r in results),
    )


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


def wrk(url: str, script: str, *arguments: object, connections: int, seconds: int):
    """Run wrk once, keep-alive, on one thread."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    argv += ["-s", str(HERE / script), url, "--", *map(str, arguments)]
    ran = subprocess.run(argv, check=True, capture_output=True, text=True)
    found = json.loads(ran.stdout.rpartition("RESULT ")[2])
    rate = found["requests"] / found["seconds"]
    return Result(rate, found["p50"], found["p99"], found["errors"])


class Connections:
    """Keep-alive connections that are opened as they are needed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.idle: list = []

    async def ask(self, head: bytes, body: bytes) -> int:
        """Send one request; return its status."""
        if self.idle:
            reader, writer = self.idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        lower = answer.lower()
        length = lower.partition(b"content-length:")[2].partition(b"\r\n")[0]
        if length:
            await reader.readexactly(int(length))
            self.idle.append((reader, writer))
        else:
            writer.close()
        return int(answer.split(b" ", 2)[1])

    def close(self) -> None:
        for _, writer in self.idle:
            writer.close()


def requests_of(path: Path) -> list[tuple[bytes, bytes]]:
    """The lines of a requests file as heads and bodies."""
    found = []
    for line in path.read_text(encoding="ascii").splitlines():
        key, _, body = line.split("\t")
        head = (
            "POST /api/v1/authorize HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        found.append((head.encode(), body.encode()))
    return found


def steady(
    port: int, path: Path, *, rate: int, seconds: float, slow: int = 0
) -> Result:
    """A steady rate; each answer is timed from the moment its call was due.

    With `slow`, as many clients ask for the slow page all the while.
    """
    with _uncollected():
        return asyncio.run(_steady(port, path, rate, seconds, slow))


async def _steady(
    port: int, path: Path, rate: int, seconds: float, slow: int
) -> Result:
    requests = requests_of(path)
    connections = Connections(port)
    times: list[float] = []
    errors = 0

    async def one(number: int, due: float) -> None:
        nonlocal errors
        head, body = requests[number % len(requests)]
        try:
            status = await connections.ask(head, body)
        except (OSError, asyncio.IncompleteReadError):
            status = 0
        times.append((time.perf_counter() - due) * 1000)
        errors += status != 200

    async with _slow_clients(port, slow):
        start = time.perf_counter() + 0.2
        tasks = []
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(number, due)))
        await asyncio.gather(*tasks)
    connections.close()
    times.sort()
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    return Result(rate, p50, p99, errors)


@contextmanager
def _uncollected():
    """Collect no garbage meanwhile: all of Django is here, and would take 40 to 80 ms.

    Twenty calls would be sent late, and be the 99th percentile of a short run.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@asynccontextmanager
async def _slow_clients(port: int, count: int):
    head = b"GET /bench/slow HTTP/1.1\r\nHost: localhost\r\n\r\n"

    async def client() -> None:
        connections = Connections(port)
        while True:
            if await connections.ask(head, b"") != 200:
                raise RuntimeError("the slow page is not there")

    clients = [asyncio.create_task(client()) for _ in range(count)]
    if clients:
        await asyncio.sleep(2)
    try:
        yield
    finally:
        for task in clients:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
