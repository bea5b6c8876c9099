"""What Prometheus is told of the gateway; never a text."""

import pytest
from asgiref.sync import sync_to_async
from prometheus_client import REGISTRY

from accounts.actors import SYSTEM
from policies.rules import parse
from policies.services import create_policy
from tests.gateway.house import chat

pytestmark = pytest.mark.django_db(transaction=True)
CHAT = "/chat/completions"
in_thread = sync_to_async(thread_sensitive=True)


@pytest.fixture
def told():
    """Return how much a figure grew since the test began."""

    def read(name, **labels):
        return REGISTRY.get_sample_value(f"policyhub_gateway_{name}", labels) or 0

    began = {sample.name: {} for m in REGISTRY.collect() for sample in m.samples}
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            began[sample.name][tuple(sorted(sample.labels.items()))] = sample.value

    def grown(name, **labels):
        before = began.get(f"policyhub_gateway_{name}", {})
        return read(name, **labels) - before.get(tuple(sorted(labels.items())), 0)

    return grown


async def test_calls_are_counted_by_route_and_outcome(client, alice, told):
    await in_thread(alice.policy)(threshold=60)
    for _ in range(3):
        await client.post(CHAT, json=chat("one two three four five six"))
    await client.post(CHAT, json=chat("one two three four five six"))
    await client.post(CHAT, json={"model": "echo"})
    await client.get("/nothing")
    await client.post(CHAT, json=chat(), headers={"authorization": "Bearer phk_live_x"})

    chats = {"route": "chat/completions"}
    assert told("requests_total", outcome="ok", **chats) == 3
    assert told("requests_total", outcome="rate_limit_exceeded", **chats) == 1
    assert told("requests_total", outcome="400", **chats) == 1
    assert told("requests_total", outcome="invalid_api_key", **chats) == 1
    assert told("requests_total", route="other", outcome="unknown_url") == 1
    assert told("upstream_seconds_count") == 3


async def test_streams_upstreams_and_failures_are_counted(client, told):
    await client.post(CHAT, json=chat("one two", stream=True))
    await client.post(CHAT, json=chat("one two", "echo-cut", stream=True))
    await client.post(CHAT, json=chat("one two", "echo-500"))

    chats = {"route": "chat/completions"}
    assert told("requests_total", outcome="ok", **chats) == 1
    assert told("requests_total", outcome="upstream_error", **chats) == 2
    assert told("first_chunk_seconds_count") == 2
    assert told("upstream_failures_total", kind="refused") == 1
    assert told("open_streams") == 0


async def test_redactions_are_counted_by_direction_and_category(client, alice, told):
    content = {"direction": "both", "categories": ["email"], "action": "redact"}
    content["denylist"] = ["bluebird"]
    document = {"type": "content", "name": "No addresses", "content": content}
    await in_thread(create_policy)(
        account=alice.account, document=parse(document), actor=SYSTEM, now=alice.now
    )
    text = "write to a@example.com or b@example.com about Bluebird"

    await client.post(CHAT, json=chat(text))

    assert told("redactions_total", direction="request", category="email") == 2
    assert told("redactions_total", direction="request", category="denylist") == 1
