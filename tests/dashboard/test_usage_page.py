"""The usage page: its numbers, its caps, its address, its exports."""

import csv
import html
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client, RequestFactory

from accounts.models import Account
from accounts.services import create_bot
from dashboard import plots
from dashboard.usage_query import asked
from policies.services import block_bot
from tests.dashboard.conftest import usage_document
from tests.dashboard.rolled import rolled_up, sent
from usage import edits, ledger
from usage.entries import CallIn
from usage.selectors import readings_of

pytestmark = pytest.mark.django_db
AT = "/app/acme/usage/"
NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)


@pytest.fixture
def other(account, actor, now):
    return create_bot(account=account, name="Crawler", actor=actor, now=now)


@pytest.fixture
def used(account, bot, other, policy, now):
    """900 tokens of one bot today, 300 yesterday, 50 of another three days ago."""
    sent(account, bot, now, tokens=900, user="u-1", model="gpt-4o", cost=2_500_000)
    sent(account, bot, now, days=1, tokens=300, user="u-2", model="gpt-4o")
    sent(account, other, now, days=3, tokens=50, model="small")
    rolled_up(now)


def data_of(page):
    found = re.search(r'id="usage-data"[^>]*>(.*?)</div>', page, re.DOTALL)
    return json.loads(html.unescape(found[1]))


def get(browser, query=""):
    answer = browser.get(AT + query)
    assert answer.status_code == 200
    return answer.content.decode()


def ask(query, account, now=NOON):
    return asked(RequestFactory().get(AT + query).GET, account, now)


def test_an_empty_account_is_shown_its_first_call(browser):
    page = get(browser)
    assert "curl http://testserver/api/v1/usage" in page
    assert "usage-data" not in page


def test_bars_running_total_and_caps(browser, used, bot, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        page = get(browser, f"?range=7d&bot={bot.public_id}")
    data = data_of(page)
    assert data["parts"][0]["values"][-2:] == [300, 900]
    assert sum(data["parts"][0]["values"]) == 1200
    # The policy counts days of this bot: 80 % tells, 100 % refuses, beside the bars.
    assert [(c["value"], c["solid"], c["total"]) for c in data["caps"]] == [
        (800, False, False),
        (1000, True, False),
    ]
    assert "1,200 tokens" in page
    assert data["marks"][0]["href"].startswith("/app/acme/alerts/alr_")


def test_caps_on_a_part_are_named_with_the_way_there(browser, used, bot):
    page = get(browser)
    assert data_of(page)["caps"] == []
    assert f"bot={bot.public_id}" in page
    assert "Show that part" in page


@pytest.mark.parametrize("group", ["bot", "user", "model", "project", "key"])
def test_parts_add_up(browser, used, group, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        page = get(browser, f"?range=7d&group={group}&previous=1")
    data = data_of(page)
    assert sum(sum(part["values"]) for part in data["parts"]) == 1250
    if group == "bot":
        assert [part["name"] for part in data["parts"]] == ["Support bot", "Crawler"]
    assert len(data["ghost"]) == len(data["labels"])


def test_more_groups_than_colours_are_one_more(browser, account, bot, now):
    for number in range(9):
        sent(account, bot, now, tokens=number + 1, user=f"user-{number}")
    rolled_up(now)
    parts = data_of(get(browser, "?range=24h&group=user"))["parts"]
    assert len(parts) == 7
    assert parts[-1]["other"]
    assert sum(map(sum, (part["values"] for part in parts))) == 45


def test_a_group_links_to_itself_alone(browser, used):
    page = get(browser, "?range=7d&group=user")
    assert "user=u-1" in page
    alone = data_of(get(browser, "?range=7d&user=u-1"))
    assert sum(alone["parts"][0]["values"]) == 900
    without = data_of(get(browser, "?range=7d&none=user"))
    assert sum(without["parts"][0]["values"]) == 50


def test_models_by_their_beginning(browser, used):
    page = data_of(get(browser, "?range=7d&model=gpt-*"))
    assert sum(page["parts"][0]["values"]) == 1200


def test_blocked_time_is_shaded(browser, account, bot, actor, used, now):
    block_bot(bot=bot, reason="too loud", actor=actor, now=now)
    data = data_of(get(browser, "?range=24h"))
    # It has just begun: as long as this test takes, and no longer.
    assert all(last - first < 0.1 for first, last in data["stays"])
    block = bot.blocks.get()
    block.starts_at -= timedelta(hours=5)
    block.save()
    first, last = data_of(get(browser, "?range=24h"))["stays"][0]
    assert last - first == pytest.approx(5, abs=0.1)


def held(account, bot, now, tokens, **values):
    call = CallIn(
        bot=bot.public_id, estimate={"tokens": tokens}, reserve=True, **values
    )
    body = ledger.authorize(account=account, call=call, now=now).body
    return body["reservation"]["id"]


def test_what_is_held_stands_upon_the_last_bar(
    browser, account, bot, policy, now, django_assert_max_num_queries
):
    sent(account, bot, now, tokens=300, user="u-1")
    rolled_up(now)
    assert "Held now" not in get(browser)
    first = held(account, bot, now, 200, user="u-1")
    held(account, bot, now, 150, user="u-2")
    with django_assert_max_num_queries(12):
        page = get(browser, "?range=7d&group=user&previous=1")
    data = data_of(page)
    # What the gauge says, too.
    assert data["held"] == readings_of(policy=policy, now=now)[0].held == 350
    assert data["tops"][0] >= 650
    assert data["told"][-1].split("; ")[1] == "held now: 350"
    assert "held now" not in data["told"][-2]
    assert "Held now for calls under way: 350 tokens." in page
    assert '<th scope="col" class="number">Held now</th>' in page
    assert page.count('<td class="number">350</td>') == 1
    assert 'class="part held"' in page
    assert 'class="hatch"' in page
    for query, amount in (
        (f"bot={bot.public_id}", 350),
        ("user=u-1", 200),
        ("user=u-1&metric=calls", 0),
        ("none=project", 350),
        ("none=user", 0),
        ("range=custom&from=2026-01-01&to=2026-01-02", 0),
    ):
        shown = re.findall(r"under way: (\d+) tokens", get(browser, f"?{query}"))
        assert shown == ([str(amount)] if amount else []), query
    ledger.release(account=account, reservation_id=first, now=now)
    assert data_of(get(browser))["held"] == 150


def test_nobody_sees_what_another_account_holds(
    browser, account, bot, policy, charlie, actor, now
):
    held(account, bot, now, 200)
    assert data_of(get(browser))["held"] == 200
    theirs = Account.objects.get(slug="globex")
    document = usage_document()
    edits.create_policy(account=theirs, document=document, actor=actor, now=now)
    stranger = Client()
    stranger.force_login(charlie, "django.contrib.auth.backends.ModelBackend")
    for query in ("", f"?bot={bot.public_id}"):
        answer = stranger.get(f"/app/globex/usage/{query}")
        assert answer.status_code == 200
        assert "Held now" not in answer.content.decode()


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_is_shown_can_be_taken_along(browser, used, form):
    answer = browser.get(f"{AT}export.{form}?range=7d&group=bot")
    assert answer.status_code == 200
    assert f'.{form}"' in answer["Content-Disposition"]
    text = answer.content.decode()
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
    else:
        rows = json.loads(text)["data"]
    assert {row["group"] for row in rows} == {"Support bot", "Crawler"}
    assert sum(int(row["value"]) for row in rows) == 1250


def test_cost_is_in_dollars(browser, used):
    rows = browser.get(f"{AT}export.json?range=24h&metric=cost").json()["data"]
    assert sum(float(row["value"]) for row in rows) == 2.5
    assert "$2.50" in get(browser, "?range=24h&metric=cost")


def test_no_other_form_of_export(browser):
    assert browser.get(f"{AT}export.xml").status_code == 404


def test_viewers_learn_nothing_of_keys(as_role, key, used):
    viewer = as_role("viewer")
    page = viewer.get(f"{AT}?group=key&key={key.public_id}").content.decode()
    assert 'name="key"' not in page
    assert "First" not in page.split('id="content"')[1]


def test_strange_addresses_do_no_harm(browser, used):
    for query in (
        "?metric=%00&range=zz&bucket=second&group=colour&previous=9",
        "?range=custom&from=0001-01-01&to=9999-12-31",
        "?range=custom&from=1971-01-02",
        "?range=custom&from=2026-02-30&to=x",
        "?range=30d&bucket=hour",
        "?range=12m&bucket=day",
        "?bot=bot_nobody&project=prj_x&key=key_x",
        "?user=%F0%9F%A6%8A%00&model=**&window=%00",
        "?none=user&none=bot&none=model&none=project",
    ):
        for group in ("", "&group=bot", "&group=user"):
            get(browser, query + group)


def test_a_foreign_bot_is_one_that_used_nothing(browser, used, charlie):
    assert "Nothing was used that fits" in get(
        browser, "?bot=bot_00000000000000000000000001"
    )


def test_too_many_bars_are_longer_ones(account):
    found = ask("?range=90d&bucket=hour", account)
    assert (found.bucket, len(found.edges), len(found.notes)) == ("day", 91, 1)
    assert ask("?range=12m&bucket=day", account).bucket == "week"


def test_a_stretch_is_whole_days_of_the_zone(account):
    account.timezone = "America/New_York"
    found = ask("?range=custom&from=2026-03-07&to=2026-03-09", account)
    assert [edge.astimezone(UTC).isoformat() for edge in found.edges] == [
        "2026-03-07T05:00:00+00:00",
        "2026-03-08T05:00:00+00:00",
        "2026-03-09T04:00:00+00:00",
        "2026-03-10T04:00:00+00:00",
    ]


def test_the_address_says_it_all(account):
    query = (
        "?metric=cost&range=7d&bucket=day&group=bot&previous=1&user=a%26b&none=model"
    )
    first = ask(query, account)
    assert ask(first.query(), account) == first


def test_a_monthly_cap_is_beside_the_running_total(browser, account, actor, bot, now):
    monthly = usage_document(
        name="Monthly",
        limits=[
            {
                "metric": "tokens",
                "threshold": 3000,
                "window": {"kind": "calendar", "unit": "month"},
            }
        ],
        actions={"warn": {}},
        alert_steps=[100],
    )
    edits.create_policy(account=account, document=monthly, actor=actor, now=now)
    sent(account, bot, now, tokens=1500)
    rolled_up(now)
    data = data_of(get(browser, "?range=7d"))
    assert [(c["value"], c["solid"], c["total"]) for c in data["caps"]] == [
        (3000, False, True)
    ]
    assert data["total"][-1] == 1500


def test_boxes_stand_upon_each_other():
    lower, upper = plots.stacked([[2, 0], [2, 4]], 4)
    assert lower == "M6.00 50.00h38.00v50.00h-38.00z"
    assert upper == "M6.00 0.00h38.00v50.00h-38.00zM56.00 0.00h38.00v100.00h-38.00z"
    assert plots.stacked([], 4) == []


def test_a_hatched_box_stands_upon_the_last_column():
    box, strokes = plots.on_last([[2, 0], [2, 4]], 4, 16)
    assert box == "M56.00 50.00H94.00V75.00H56.00z"
    ends = re.findall(r"[ML]([\d.]+) ([\d.]+)", strokes)
    assert len(ends) > 8
    assert all(56 <= float(x) <= 94 and 50 <= float(y) <= 75 for x, y in ends)
    # However little it is, there is a stroke to see.
    assert plots.on_last([[1000]], 1, 1001)[1]
    assert plots.on_last([[2]], 0, 4) == plots.on_last([], 5, 4) == ("", "")


def test_a_moment_lies_among_uneven_columns():
    assert plots.place([0, 10, 30], 20) == 1.5
    assert plots.place([0, 10, 30], -5) == 0
    assert plots.place([0, 10, 30], 31) == 2
    assert plots.trace([0, 5], 10) == "M25.00 100.00L75.00 50.00"
