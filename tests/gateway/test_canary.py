"""No prompt and no answer is in a table, a log line or an error, whatever fails."""

import json
import logging

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.utils.timezone import now as utc_now

from accounts.actors import SYSTEM
from policies.rules import parse
from policies.services import create_policy
from tests.gateway.house import chat
from tests.gateway.test_connections import add_upstreams
from usage.models import UsageEvent

pytestmark = pytest.mark.django_db(transaction=True)
CHAT = "/chat/completions"
CANARY = "canary7f3a9"
TEXT = f"Write to {CANARY}@example.com about {CANARY} and {CANARY}."
SCRIPTS = (
    "echo",
    "echo-tool",
    "echo-slow-5",
    "echo-drip-1",
    "echo-cut",
    "echo-cut-utf8",
    "echo-no-usage",
    "echo-zero-usage",
    "echo-429",
    "echo-500",
    "echo-500-after-headers",
    "echo-giant-line",
    "echo-wrong-type",
    "no-such-model",
)
BAD = (
    TEXT.encode(),
    json.dumps(TEXT).encode(),
    json.dumps({"model": "echo", "messages": TEXT}).encode(),
    json.dumps({"model": "echo", "messages": [TEXT]}).encode(),
    json.dumps({"model": "echo", "messages": [{"role": TEXT}]}).encode(),
    json.dumps({"model": "echo", "messages": [{"content": TEXT}]}).encode(),
    json.dumps(chat(TEXT, stream=TEXT)).encode(),
    json.dumps(chat(TEXT, n=TEXT)).encode(),
    json.dumps(chat(TEXT, max_tokens=TEXT)).encode(),
    json.dumps(chat(TEXT, stream_options=TEXT)).encode(),
    json.dumps(chat(TEXT))[:-9].encode(),
    json.dumps(chat(TEXT)).encode("utf-16"),
    b'{"model": "echo", "messages": [{"role": "user", "content": "\\ud800 %b"}]}'
    % TEXT.encode(),
)


@sync_to_async
def everything_stored():
    found = []
    with connection.cursor() as cursor:
        tables = [t for t in connection.introspection.table_names() if "_p2" not in t]
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" AS t')
            found += [f"{table}: {row[0]}" for row in cursor.fetchall()]
    return found


@sync_to_async
def write_policy(house, action, direction):
    document = {
        "type": "content",
        "name": f"{action} {direction}",
        "content": {
            "direction": direction,
            "categories": ["email"],
            "action": action,
        },
    }
    return create_policy(
        account=house.account, document=parse(document), actor=SYSTEM, now=utc_now()
    )


async def test_it_is_nowhere(client, alice, gateway, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    tools = [{"type": "function", "function": {"name": "f"}}]
    refused = []

    async def ask(**more):
        answer = await client.post(CHAT, **more)
        if answer.status_code != 200:
            refused.append(answer.text)

    for model in SCRIPTS:
        for stream in (False, True):
            await ask(json=chat(TEXT, model, stream=stream, tools=tools))
    for body in BAD:
        await ask(content=body)
    await ask(json=chat(TEXT), headers={"authorization": "Bearer wrong"})
    await ask(json=chat(TEXT), headers={"x-policy-target": "nobody"})
    refused.append((await client.post("/nothing", json=chat(TEXT))).text)

    def fail(*args):
        raise ValueError(TEXT)

    with monkeypatch.context() as patched:
        patched.setattr("gateway.protocol.usage_in", fail)
        for stream in (False, True):
            await ask(json=chat(TEXT, stream=stream))
    await sync_to_async(alice.policy)(threshold=1, metric="calls")
    await ask(json=chat(TEXT))
    for action, direction in (
        ("warn", "both"),
        ("redact", "response"),
        ("deny", "response"),
        ("deny", "request"),
    ):
        await write_policy(alice, action, direction)
        for stream in (False, True):
            await ask(json=chat(TEXT, stream=stream))
    await add_upstreams(alice, "https://upstream.invalid/v1")
    await ask(json=chat(TEXT, "any"))

    assert len(refused) > 30
    assert await UsageEvent.objects.aexists()
    assert not [text for text in refused if CANARY in text]
    assert not [row for row in await everything_stored() if CANARY in row]
    assert CANARY not in caplog.text
    out, err = capfd.readouterr()
    assert CANARY not in out + err
