"""Content policies on calls through the gateway, whole and streamed (H4)."""

import json

import pytest
from asgiref.sync import sync_to_async
from django.utils.timezone import now as utc_now

from accounts.actors import SYSTEM
from audit.models import DecisionRecord
from policies.rules import parse
from policies.services import create_policy, replace_policy
from tests.gateway.house import chat, events
from usage.models import Reservation, UsageEvent

pytestmark = pytest.mark.django_db(transaction=True)
CHAT = "/chat/completions"
CARD = "4111 1111 1111 1111"


def document(action="redact", *, direction="both", **options):
    lists = {
        name: options.pop(name, []) for name in ("allowlist", "denylist", "categories")
    }
    content = {"direction": direction, "action": action, **lists}
    return parse({"type": "content", "name": "Rule", "content": content, **options})


@sync_to_async
def govern(alice, *args, **options):
    return create_policy(
        account=alice.account,
        document=document(*args, **options),
        actor=SYSTEM,
        now=utc_now(),
    )


@sync_to_async
def traces():
    return (
        list(DecisionRecord.objects.order_by("id")),
        list(UsageEvent.objects.all()),
        list(Reservation.objects.all()),
    )


def said(chunks, index):
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in chunk.get("choices", ())
        if choice["index"] == index
    )


async def test_an_answer_is_redacted_whole_and_streamed(client, alice):
    policy = await govern(alice, direction="response", categories=["card", "email"])
    text = f"pay {CARD} and mail bob@example.com now"
    clean = "pay [redacted:card] and mail [redacted:email] now"
    answer = await client.post(CHAT, json=chat(text))
    assert answer.json()["choices"][0]["message"]["content"] == clean
    answer = await client.post(CHAT, json=chat(text, stream=True, n=2))
    assert "4111" not in answer.text
    assert "bob@" not in answer.text
    *chunks, end = events(answer.text)
    assert end == "[DONE]"
    assert said(chunks, 0) == said(chunks, 1) == clean
    decisions, _, _ = await traces()
    assert {each.reason_code for each in decisions} == {"redacted"}
    assert decisions[0].triggered_categories == ["card", "email"]
    assert decisions[0].policy_id == policy.public_id
    assert decisions[0].decision == "allow"


async def test_a_prompt_is_redacted_before_it_leaves(client, alice):
    await govern(alice, direction="request", categories=["card"])
    answer = await client.post(CHAT, json=chat(f"my card is {CARD}!"))
    echoed = answer.json()["choices"][0]["message"]["content"]
    assert echoed == "my card is [redacted:card]!"
    [decision], [event], _ = await traces()
    assert decision.reason_code == "redacted"
    assert CARD not in json.dumps(event.__dict__, default=str)


async def test_a_denied_prompt_never_reaches_an_upstream(client, alice):
    await govern(alice, "deny", direction="request", denylist=["Project Falcon"])
    answer = await client.post(CHAT, json=chat("tell me of project\u200b falcon"))
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "denylist"
    assert "alcon" not in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    [decision], events_written, holds = await traces()
    assert decision.denylist_hits == ["Project Falcon"]
    assert (decision.decision, decision.enforced) == ("deny", True)
    assert events_written == holds == []
    fine = await client.post(CHAT, json=chat("tell me of falcons"))
    assert fine.status_code == 200


async def test_a_denied_answer_is_cut_and_still_charged(client, alice):
    await govern(alice, "deny", direction="response", denylist=["falcon"])
    text = "well, the secret is falcon and more"
    answer = await client.post(CHAT, json=chat(text))
    assert answer.status_code == 403
    assert "falcon" not in answer.text
    answer = await client.post(CHAT, json=chat(text, stream=True))
    assert "falcon" not in answer.text
    assert events(answer.text)[-1]["error"]["code"] == "denylist"
    decisions, charged, holds = await traces()
    assert [each.output_tokens for each in charged] == [8, 8]
    assert not any(each.estimated for each in charged)
    assert {each.state for each in holds} == {"settled"}
    assert {each.reason_code for each in decisions} == {"denylist"}


async def test_shadow_and_warn_change_nothing_and_are_remembered(client, alice):
    await govern(alice, "deny", denylist=["falcon"], rollout_mode="shadow")
    await govern(alice, "warn", categories=["email"])
    text = "falcon: bob@example.com"
    answer = await client.post(CHAT, json=chat(text))
    assert answer.json()["choices"][0]["message"]["content"] == text
    [decision], _, _ = await traces()
    assert decision.triggered_categories == ["email"]
    assert decision.denylist_hits == ["falcon"]


async def test_arguments_of_tools_stay_json(client, alice):
    await govern(alice, direction="response", categories=["card"])
    tools = [{"type": "function", "function": {"name": "pay", "parameters": {}}}]
    for stream in (False, True):
        body = chat(CARD, tools=tools, tool_choice="required", stream=stream)
        answer = await client.post(CHAT, json=body)
        assert answer.status_code == 200
        assert "4111" not in answer.text


async def test_an_edit_is_seen_by_the_very_next_call(client, alice):
    policy = await govern(alice, direction="response", categories=["email"])
    text = f"{CARD} bob@example.com"
    await client.post(CHAT, json=chat(text))
    await sync_to_async(replace_policy)(
        policy=policy,
        document=document(direction="response", categories=["card"]),
        actor=SYSTEM,
        now=utc_now(),
        expected_revision=None,
    )
    answer = await client.post(CHAT, json=chat(text))
    echoed = answer.json()["choices"][0]["message"]["content"]
    assert echoed == "[redacted:card] bob@example.com"
