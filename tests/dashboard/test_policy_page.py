"""A policy's page: its gauge, what is left and until when, its decisions, its diffs."""

import html
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from accounts import ids
from dashboard.burn_down import burn_down
from dashboard.gauges import dials_of
from policies.rules import parse
from tests.dashboard.conftest import usage_document
from tests.dashboard.rolled import rolled_up, sent
from usage import edits, ledger, summaries
from usage.entries import CallIn
from usage.models import HourlyRollup
from usage.selectors import readings

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def past(account, bot):
    """100 tokens in every hour of the four weeks before a moment."""

    def fill(now, *, days=28, amount=100):
        start = now.replace(minute=0, second=0, microsecond=0)
        HourlyRollup.objects.bulk_create(
            HourlyRollup(
                id=ids.new_id(now),
                account=account,
                bot=bot,
                hour=start - n * HOUR,
                tokens=amount,
                events=1,
            )
            for n in range(1, days * 24 + 1)
        )
        summaries.SummaryZone.objects.all().delete()
        summaries.rebuild_stale()

    return fill


def burning_of(account, policy, now):
    found = readings(account=account, policies=[policy], now=now)
    return burn_down(dials_of([policy], found)[0], now)


@pytest.fixture
def daily(account, actor, bot):
    def write(now, **changes):
        document = usage_document(scope={"bot": bot.public_id}, **changes)
        return edits.create_policy(
            account=account, document=document, actor=actor, now=now
        )

    return write


def limit(window, threshold=1000):
    return [{"metric": "tokens", "threshold": threshold, "window": window}]


def test_it_runs_out_when_the_pace_says(account, bot, daily, past):
    past(NOON)
    policy = daily(NOON)
    sent(account, bot, NOON, tokens=500)
    found = burning_of(account, policy, NOON)
    assert found.sentence == "It runs out on Wed 18 Mar 17:00."
    first, last = found.places[0], found.places[-1]
    assert (first.at, first.ideal) == (NOON - 12 * HOUR, 1000)
    assert (last.ideal, last.left) == (0, None)
    assert last.middle == 0
    # At noon the line stands where the gauge does.
    at_noon = next(each for each in found.places if each.at == NOON)
    assert at_noon.left == 500
    assert found.now == 60
    assert len(found.rows) <= 25
    assert all(found.drawn.values())


def test_what_ran_away_within_the_hour_was_left_before(account, bot, daily):
    """The hour under way is part of the past: the fall stands where it happened."""
    late = NOON + HOUR / 2
    policy = daily(NOON)
    sent(account, bot, late, tokens=1000)
    rolled_up(late)
    found = burning_of(account, policy, late)
    assert found.sentence == "It has run out."
    known = [each.left for each in found.places if each.at <= late]
    assert known[0] == known[len(known) // 2] == 1000
    assert known[-1] < 500


def test_what_lasts_is_said_to_last(account, bot, daily, past):
    past(NOON)
    policy = daily(NOON, limits=limit({"kind": "calendar", "unit": "day"}, 10_000))
    sent(account, bot, NOON, tokens=10)
    found = burning_of(account, policy, NOON)
    assert found.sentence == (
        "It lasts: about 8,790 tokens will be left on Thu 19 Mar 00:00."
    )


def test_a_rolling_window_has_no_even_line(account, bot, daily, past):
    past(NOON)
    policy = daily(NOON, limits=limit({"kind": "rolling", "seconds": 86_400}, 9000))
    sent(account, bot, NOON, tokens=10)
    found = burning_of(account, policy, NOON)
    assert found.drawn["ideal"] == ""
    assert found.places[0].left == 9000 - 2400


@pytest.mark.parametrize(
    ("window", "told"),
    [
        ({"kind": "calendar", "unit": "hour"}, "less than six hours"),
        ({"kind": "calendar", "unit": "day"}, "a week of usage"),
        ({"kind": "lifetime"}, "a week of usage"),
        ({"kind": "fixed", "seconds": 86_400}, "a week of usage"),
    ],
)
def test_what_cannot_be_known_is_not_said(account, bot, daily, window, told):
    policy = daily(NOON, limits=limit(window))
    for _ in range(2):
        found = burning_of(account, policy, NOON)
        assert told in found.sentence
        json.dumps(found.data())
        sent(account, bot, NOON, tokens=5)


def test_what_has_run_out(account, bot, daily):
    policy = daily(NOON)
    sent(account, bot, NOON, tokens=1000)
    assert burning_of(account, policy, NOON).sentence == "It has run out."


def test_the_page_shows_it(
    browser, account, bot, policy, past, now, django_assert_max_num_queries
):
    past(now)
    sent(account, bot, now, tokens=500)
    with django_assert_max_num_queries(12):
        answer = browser.get(f"/app/acme/policies/{policy.public_id}/")
    page = answer.content.decode()
    found = re.search(r'id="burn-data"[^>]*>(.*?)</div>', page, re.DOTALL)
    data = json.loads(html.unescape(found[1]))
    assert len(data["left"]) == len(data["labels"]) == 121
    assert "500 tokens left now" in page
    assert "every 5s" in page


def test_each_counter_has_its_own_chart(browser, account, actor, bot, now):
    document = usage_document(
        limits=[
            *limit({"kind": "calendar", "unit": "day"}),
            {
                "metric": "calls",
                "threshold": 77,
                "window": {"kind": "calendar", "unit": "month"},
            },
        ]
    )
    made = edits.create_policy(account=account, document=document, actor=actor, now=now)
    sent(account, bot, now, tokens=500)
    at = f"/app/acme/policies/{made.public_id}/"
    links = re.findall(r'href="(\?counter=[^"]+)"', browser.get(at).content.decode())
    assert len(links) == 2
    assert "76 calls left now" in browser.get(at + links[1]).content.decode()
    assert browser.get(f"{at}?counter=%00").status_code == 200


def test_the_gauge_alone(browser, policy, crossed):
    part = browser.get(f"/app/acme/policies/{policy.public_id}/gauges/")
    assert b"100 %" in part.content
    assert b"<html" not in part.content


def test_its_decisions(browser, account, bot, policy, crossed, now):
    call = CallIn(bot=bot.public_id, estimate={"tokens": 5})
    ledger.authorize(account=account, call=call, now=now)
    at = f"/app/acme/policies/{policy.public_id}/"
    part = browser.get(f"{at}recent/").content.decode()
    assert "/app/acme/decisions/dec_" in part
    assert f"decisions/?policy={policy.public_id}" in browser.get(at).content.decode()


def test_viewers_do_not_see_its_decisions(as_role, policy):
    viewer = as_role("viewer")
    at = f"/app/acme/policies/{policy.public_id}/"
    assert viewer.get(f"{at}recent/").status_code == 403
    assert "recent/" not in viewer.get(at).content.decode()


def test_a_revision_says_what_changed(browser, account, actor, policy, now):
    document = parse({**policy.document, "actions": {"warn": {}}, "name": "Softer"})
    edits.replace_policy(
        policy=policy,
        document=document,
        actor=actor,
        now=now,
        expected_revision=policy.revision,
    )
    page = browser.get(f"/app/acme/policies/{policy.public_id}/").content.decode()
    assert "<td>Daily cap</td><td>Softer</td>" in page
    assert "<td>—</td><td>{}</td>" in page
