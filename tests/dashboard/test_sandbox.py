"""The sandbox asks as authorize does, explains the answer, and leaves no trace."""

import json
import re
import shlex

import pytest

from audit.models import DecisionRecord
from tests.dashboard.conftest import usage_document
from usage import edits, ledger
from usage.entries import EventIn
from usage.models import Counter, Reservation

pytestmark = pytest.mark.django_db
AT = "/app/acme/try/"
PART = {"HTTP_HX_REQUEST": "true"}


def ask(browser, bot, **fields):
    return browser.get(AT, {"bot": bot.public_id, **fields})


def test_an_answer_is_explained_and_leaves_no_trace(browser, account, bot, policy, now):
    event = EventIn(bot=bot.public_id, tokens=400)
    ledger.record_events(account=account, events=[event], now=now)
    before = list(Counter.objects.values())
    fits = ask(browser, bot, tokens="500", user="u-1").content.decode()
    assert "It may go ahead" in fits
    assert "100 left" in fits
    over = ask(browser, bot, input_tokens="500", output_tokens="200").content.decode()
    assert "It would be refused" in over
    assert "limit_exceeded" in over
    assert "100 too many" in over
    assert "400 of 1,000 tokens" in over
    assert list(Counter.objects.values()) == before
    assert not DecisionRecord.objects.exists()
    assert not Reservation.objects.exists()


def test_the_cost_is_that_of_the_models_price(browser, account, actor, bot, now):
    limit = {"metric": "cost", "threshold": "0.01", "window": {"kind": "lifetime"}}
    document = usage_document(name="Money", limits=[limit])
    edits.create_policy(account=account, document=document, actor=actor, now=now)
    found = ask(browser, bot, model="gpt-4o-mini", input_tokens="1000000")
    page = found.content.decode()
    assert "$0.15" in page
    assert "$0.14 too many" in page
    assert "$0.01" in ask(browser, bot, cost="$0.01").content.decode()


def test_the_curl_line_asks_the_same(browser, bot):
    page = ask(browser, bot, tokens="5", user="o'brien", cost="0.5").content.decode()
    line = re.search(r'id="code-curl">(.*?)</code>', page, re.DOTALL)[1]
    for mark, text in (("&#x27;", "'"), ("&quot;", '"'), ("&amp;", "&")):
        line = line.replace(mark, text)
    words = shlex.split(line.replace("\\\n", " "))
    assert words[1] == "http://testserver/api/v1/authorize?dry_run=1"
    assert json.loads(words[-1]) == {
        "bot": bot.public_id,
        "user": "o'brien",
        "estimate": {"tokens": 5, "cost": "0.5"},
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"tokens": "-1"}, "tokens"),
        ({"tokens": "9" * 20}, "tokens"),
        ({"tokens": "5", "input_tokens": "6"}, None),
        ({"cost": "a lot"}, "cost"),
        ({"user": "x" * 300}, "user"),
        ({"model": "a\x00b"}, "model"),
        ({"bot": "bot_x"}, "bot"),
    ],
)
def test_what_is_no_call_is_told_beside_its_field(browser, bot, fields, field):
    answer = browser.get(AT, {"bot": bot.public_id, **fields})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert (f'id="id_{field}_error"' if field else 'class="note bad"') in page


def test_a_part_is_the_form_with_its_answer(browser, bot):
    for tokens in ("5", "-5"):
        asked = {"bot": bot.public_id, "tokens": tokens}
        answer = browser.get(AT, asked, **PART)
        part = answer.content.decode()
        assert answer.status_code == 200
        assert "<html" not in part
        assert 'id="answer"' in part
        assert ('id="id_tokens_error"' in part) == (tokens == "-5")


def test_without_a_bot_there_is_a_next_step(browser, account):
    assert "Register the first bot" in browser.get(AT).content.decode()
