"""OpenAI's own clients, unchanged but for base URL and key, against the live server."""

import time

import httpx
import openai
import pytest

from tests.node.run import run_node

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

SAID = [{"role": "user", "content": "one two three four"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "parameters": {"type": "object", "properties": {"text": {}}},
        },
    }
]


def calls_of(bot, threshold, actions):
    window = {"kind": "calendar", "unit": "day"}
    return {
        "type": "usage",
        "name": "Calls",
        "scope": {"bot": bot},
        "limits": [{"metric": "calls", "threshold": threshold, "window": window}],
        "actions": actions,
    }


@pytest.fixture(scope="module")
def api(live):
    headers = {"Authorization": f"Bearer {live.made['chats']}"}
    with httpx.Client(
        base_url=f"{live.url}/api/v1", headers=headers, timeout=60
    ) as client:
        yield client


@pytest.fixture(scope="module")
def spent(api):
    """A bot that has spent its cap, which blocks it."""
    bot = api.post("/bots", json={"name": "Spent", "external_id": "spent"}).json()["id"]
    policy = calls_of(bot, 1, {"block": {"duration_seconds": 60}})
    assert api.post("/policies", json=policy).status_code == 201
    assert api.post("/usage", json={"bot": bot, "id": "spends"}).status_code == 202
    return bot


@pytest.fixture
def client(live):
    with openai.OpenAI(
        base_url=f"{live.url}/v1", api_key=live.made["chats"], max_retries=2
    ) as opened:
        yield opened


def text_of(stream):
    parts, usage = [], None
    for chunk in stream:
        usage = chunk.usage or usage
        parts += [choice.delta.content or "" for choice in chunk.choices]
    return "".join(parts), usage


def test_a_base_url_alone_names_the_right_one(live):
    for path in ("/v1", "/v1/", "/v1/completions"):
        answer = httpx.get(f"{live.url}{path}", timeout=60)
        assert (answer.status_code, answer.json()["error"]["code"]) == (
            404,
            "unknown_url",
        )


def test_plain_streamed_and_counted(client):
    model = client.models.list().data[0].id
    answer = client.chat.completions.create(model=model, messages=SAID)
    assert answer.choices[0].message.content == "one two three four"
    assert answer.usage.completion_tokens == 4
    stream = client.chat.completions.create(model=model, messages=SAID, stream=True)
    assert text_of(stream) == ("one two three four", None)
    options = {"include_usage": True}
    stream = client.chat.completions.create(
        model=model, messages=SAID, stream=True, stream_options=options
    )
    text, usage = text_of(stream)
    assert text == "one two three four"
    assert usage == answer.usage
    with client.chat.completions.stream(model=model, messages=SAID) as events:
        events.until_done()
        final = events.get_final_completion()
    assert final.choices[0].message.content == "one two three four"


def test_tools_and_json(client):
    answer = client.chat.completions.create(
        model="echo", messages=SAID, tools=TOOLS, tool_choice="required"
    )
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "look_up"
    assert "one two three four" in call.function.arguments
    stream = client.chat.completions.create(
        model="echo-tool", messages=SAID, tools=TOOLS, stream=True
    )
    deltas = [c.choices[0].delta for c in stream]
    arguments = "".join(
        call.function.arguments or "" for d in deltas for call in d.tool_calls or ()
    )
    assert arguments == '{"text": "one two three four"}'
    answer = client.chat.completions.create(
        model="echo", messages=SAID, response_format={"type": "json_object"}
    )
    assert answer.choices[0].message.content == '{"echo": "one two three four"}'


def test_embeddings(client):
    answer = client.embeddings.create(model="echo-embedding", input=["a", "b"])
    assert [len(one.embedding) for one in answer.data] == [64, 64]
    plain = client.embeddings.create(
        model="echo-embedding", input="a", dimensions=8, encoding_format="float"
    )
    assert len(plain.data[0].embedding) == 8


def test_errors(client, live):
    with pytest.raises(openai.NotFoundError) as absent:
        client.chat.completions.create(model="no-such", messages=SAID)
    assert absent.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model="echo", messages=[])
    assert bad.value.param == "messages"
    stranger = openai.OpenAI(base_url=f"{live.url}/v1", api_key="sk-wrong")
    with pytest.raises(openai.AuthenticationError) as key:
        stranger.models.list()
    assert key.value.code == "invalid_api_key"
    with pytest.raises(openai.APIError) as broken:
        list(
            client.chat.completions.create(
                model="echo-cut-utf8", messages=SAID, stream=True
            )
        )
    assert broken.value.code == "upstream_error"


def test_a_spent_cap_makes_the_client_stop_after_one_request(live, spent):
    requests = []
    hooks = {"request": [requests.append]}
    client = openai.OpenAI(
        base_url=f"{live.url}/v1",
        api_key=live.made["chats"],
        max_retries=5,
        http_client=httpx.Client(event_hooks=hooks),
        default_headers={"X-Policy-Target": spent},
    )
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="echo", messages=SAID)
    assert refused.value.code == "policy_budget_exceeded"
    assert refused.value.type == "insufficient_quota"
    assert len(requests) == 1


def test_a_stream_that_is_cancelled_is_counted(live, api):
    made = api.post("/bots", json={"name": "Cancelled", "external_id": "cancelled"})
    bot = made.json()["id"]
    policy = api.post("/policies", json=calls_of(bot, 100, {"throttle": {}})).json()
    client = openai.OpenAI(
        base_url=f"{live.url}/v1",
        api_key=live.made["chats"],
        default_headers={"X-Policy-Target": bot},
    )
    stream = client.chat.completions.create(
        model="echo-drip-20", messages=SAID, stream=True
    )
    next(iter(stream))
    stream.close()
    for _ in range(600):
        (reading,) = api.get(f"/policies/{policy['id']}/usage").json()["data"]
        if reading["held"] == 0:
            break
        time.sleep(0.1)
    assert (reading["used"], reading["held"]) == (1, 0)


def test_node(live, spent):
    run_node(
        "openai.mjs",
        BASE_URL=f"{live.url}/v1",
        KEY=live.made["chats"],
        SPENT_BOT=spent,
    )
