"""The gateway beside its upstream: what the cell `gateway` measures.

The echo runs in a process of its own, so both ways cross a socket. Each round goes
through all subjects in turn: the upstream asked directly, the governed call without
and with a content policy that redacts.
"""

import asyncio
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import stage as stages
from tests.bench.rig import Rig, say

PATH = "/v1/chat/completions"
WORDS = "one two three four five six seven eight nine ten"
CHUNKS = 20
STREAM_TEXT = " ".join(["word"] * CHUNKS)
CONNECTIONS = (1, 16, 64)
IDLE = 1_000
PLENTY = 10**13
DAY = {"kind": "calendar", "unit": "day", "timezone": "UTC"}
POLICIES = (
    ("Calls of all", "calls", [], {"block": {"duration_seconds": 3600}}),
    ("Tokens of a bot", "tokens", ["bot"], {"throttle": {}}),
)
REDACTING = {
    "type": "content",
    "name": "No cards, no addresses",
    "content": {
        "direction": "response",
        "categories": ["card", "email"],
        "action": "redact",
    },
}


@dataclass
class Found:
    """Milliseconds to a stream's first event (p50, p99), KB of an idle one."""

    first_bytes: dict[str, tuple[float, float]] = field(default_factory=dict)
    idle_kb: float = 0.0


@dataclass
class Subject:
    """What is loaded: a server and a key."""

    name: str
    server: stages.Server
    key: str


def echo(stage: stages.Stage) -> stages.Server:
    """The echo under the lane's own server."""
    port = stage.upstream_port
    argv = [sys.executable, "-m", "uvicorn", "gateway.echo_server:app"]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop"]
    argv += ["--http", "httptools", "--no-access-log", "--log-level", "warning"]
    argv += ["--timeout-keep-alive", "60", "--backlog", "4096"]
    return stage.serve("echo", argv, port, "/v1/echo/counted")


def furnish(slug: str, upstream: str, *, redacts: bool) -> str:
    """Make an account whose calls go to the echo; return a key of it."""
    from django.utils import timezone

    from accounts.actors import SYSTEM
    from accounts.models import Account
    from accounts.services import create_account, create_bot, create_key
    from gateway.services import create_upstream
    from policies.rules import parse
    from policies.services import create_policy

    now = timezone.now()
    account = create_account(slug=slug, owner_email="alice@example.com", now=now)
    Account.objects.filter(id=account.id).update(plan="enterprise")
    bot = create_bot(account=account, name="Bot", actor=SYSTEM, now=now)
    values = {"name": "Echo", "base_url": upstream, "idle_seconds": 600}
    create_upstream(account=account, values=values, actor=SYSTEM, now=now)
    documents = [_document(*policy) for policy in POLICIES]
    for document in [*documents, *([REDACTING] if redacts else [])]:
        create_policy(account=account, document=parse(document), actor=SYSTEM, now=now)
    _, text = create_key(
        account=account, name="", scopes=["gateway"], bot=bot, actor=SYSTEM, now=now
    )
    return text


def _document(name, metric, group_by, actions) -> dict:
    return {
        "type": "usage",
        "name": name,
        "group_by": group_by,
        "limits": [{"metric": metric, "threshold": PLENTY, "window": DAY}],
        "actions": actions,
    }


def measure(rig: Rig) -> Found:
    """Load everything; what wrk found is in the rig, by `kind subject`."""
    server = echo(rig.stage)
    url = server.url("/v1")
    lane = rig.lane("gateway", GATEWAY_REQUESTS_PER_MINUTE="enterprise=100000000")
    governed = furnish("governed", url, redacts=False)
    subjects = [
        Subject("upstream", server, governed),
        Subject("governed", lane, governed),
        Subject("redacting", lane, furnish("redacting", url, redacts=True)),
    ]
    files = _bodies(rig.stage.state)
    for number in range(rig.plan.rounds + 1):  # the first one warms up
        say(f"gateway, round {number} of {rig.plan.rounds}")
        for kind, file in files.items():
            for connections in CONNECTIONS:
                for subject in subjects:
                    rig.load(
                        f"{kind} {subject.name}",
                        subject.server.url(PATH),
                        "gateway.lua",
                        subject.key,
                        file,
                        connections=connections,
                        keep=bool(number),
                    )
    found = Found()
    for subject in subjects:
        found.first_bytes[subject.name] = asyncio.run(_first_bytes(subject, 200))
    found.idle_kb = asyncio.run(_idle(lane, governed))
    rig.stop_lane("gateway")
    rig.stage.stop(server)
    return found


def _bodies(folder: Path) -> dict[str, Path]:
    plain = {"model": "echo", "messages": [{"role": "user", "content": WORDS}]}
    streamed = {
        "model": "echo",
        "messages": [{"role": "user", "content": STREAM_TEXT}],
        "stream": True,
    }
    files = {}
    for name, body in (("plain", plain), ("stream", streamed)):
        files[name] = folder / f"gateway-{name}.json"
        files[name].write_text(json.dumps(body))
    return files


def _request(key: str, body: dict) -> bytes:
    raw = json.dumps(body).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


async def _first_bytes(subject: Subject, times: int) -> tuple[float, float]:
    """Milliseconds to the first event of a stream, one after the other: p50, p99."""
    said = {"role": "user", "content": STREAM_TEXT}
    asked = _request(subject.key, {"model": "echo", "stream": True, "messages": [said]})
    found = []
    reader, writer = await asyncio.open_connection("127.0.0.1", subject.server.port)
    for _ in range(times):
        begun = time.perf_counter()
        writer.write(asked)
        await reader.readuntil(b"data: ")
        found.append((time.perf_counter() - begun) * 1000)
        await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()
    found.sort()
    return statistics.median(found), found[int(len(found) * 0.99)]


async def _idle(lane: stages.Server, key: str) -> float:
    """Kilobytes of the lane's memory for each stream that waits for its upstream."""
    said = {"role": "user", "content": STREAM_TEXT}
    asked = _request(
        key, {"model": "echo-drip-600000", "stream": True, "messages": [said]}
    )
    before = lane.pss()
    writers = []
    for _ in range(IDLE):
        reader, writer = await asyncio.open_connection("127.0.0.1", lane.port)
        writers.append((reader, writer))
        writer.write(asked)
    await asyncio.gather(*(reader.readuntil(b"data: ") for reader, _ in writers))
    after = lane.pss()
    for _, writer in writers:
        writer.close()
    return (after - before) * 1024 / IDLE
