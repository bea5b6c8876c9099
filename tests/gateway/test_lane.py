"""The gateway's routes as OpenAI's clients meet them."""

import pytest
from asgiref.sync import sync_to_async

from accounts.models import Bot
from audit.models import DecisionRecord
from tests.gateway.house import chat, events
from usage.models import Reservation, UsageEvent

pytestmark = pytest.mark.django_db(transaction=True)
CHAT = "/chat/completions"


@sync_to_async
def written():
    return list(UsageEvent.objects.all()), list(Reservation.objects.all())


async def test_the_echo_says_the_last_user_message_again(client):
    answer = await client.post(CHAT, json=chat())

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["choices"][0]["message"]["content"] == "hello world"
    assert body["usage"]["completion_tokens"] == 2
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-policyhub-decision"].startswith("dec_")
    (event,), (held,) = await written()
    assert event.calls == 1
    assert event.messages == 1
    assert event.input_tokens == body["usage"]["prompt_tokens"]
    assert event.output_tokens == 2
    assert event.estimated is False
    assert held.state == "settled"
    assert held.dispatched
    bot = await Bot.objects.aget(external_id="default")
    assert event.bot_id == bot.id
    decision = await DecisionRecord.objects.aget()
    assert decision.kind == "gateway"
    assert decision.public_id == answer.headers["x-policyhub-decision"]


async def test_a_stream_ends_with_done_and_hides_usage_nobody_asked_for(client):
    answer = await client.post(CHAT, json=chat(stream=True))

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, end = events(answer.text)
    assert end == "[DONE]"
    assert all("usage" not in chunk for chunk in chunks)
    said = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert said == "hello world"
    (event,), _ = await written()
    assert event.output_tokens == 2
    assert event.estimated is False
