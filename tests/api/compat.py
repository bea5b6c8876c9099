"""What the tests of ChatBotKit's wire share."""

from django.utils import timezone

from usage.entries import CallIn, EventIn
from usage.ledger import authorize, record_events

USAGE = {
    "metric": "tokens",
    "threshold": 1000,
    "windowInSeconds": 600,
    "actions": {"block": {"durationInSeconds": 60}, "email": "ops@example.com"},
}


def assert_told(answer, status, code, reason, *pointers):
    """The answer is an error in their form."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert body["message"]
    assert (body["code"], body["reason"]) == (code, reason)
    assert [each["pointer"] for each in body.get("errors", [])] == list(pointers)


def create(api, **body):
    answer = api.post("/policy/create", body)
    assert answer.status_code == 200, answer.content
    assert list(answer.json()) == ["id"]
    return answer.json()["id"]


def fetch(api, ref):
    answer = api.get(f"/policy/{ref}/fetch")
    assert answer.status_code == 200, answer.content
    return answer.json()


def spend(account, bot, tokens, **fields):
    event = EventIn(bot=bot.public_id, tokens=tokens, **fields)
    (result,) = record_events(account=account, events=[event], now=timezone.now())
    assert result.status == "recorded"


def ask(account, bot):
    call = CallIn(bot=bot.public_id, estimate={"tokens": 1})
    return authorize(account=account, call=call, now=timezone.now()).body
