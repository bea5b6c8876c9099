"""The live preview of the policy form says what the policy would mean."""

import html
import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Account
from dashboard.past_windows import past_windows
from policies.models import Policy
from policies.rules import usage_rule
from tests.dashboard.conftest import usage_document
from tests.dashboard.test_policy_forms import GOOD, field_of, text_of, wrong
from usage import ledger
from usage.conversations import create_conversation
from usage.entries import EventIn
from usage.models import HourlyRollup

NEW = "/app/acme/policies/new"
TOKENS = {
    **GOOD,
    "limits-0-metric": "tokens",
    "limits-0-threshold": "900",
    "limits-0-timezone": "UTC",
}


def plain(answer):
    """The words of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", text_of(answer)).split())


def used(account, bot, now, *tokens, **more):
    """Record an event for each of some days back, as if it had been rolled up."""
    for days, amount in enumerate(tokens):
        at = now - timedelta(days=days)
        event = EventIn(bot=bot.public_id, tokens=amount, occurred_at=at, **more)
        ledger.record_events(account=account, events=[event], now=now)
        # The rollup itself sees only what other transactions have committed.
        HourlyRollup.objects.create(
            id=uuid4(),
            account=account,
            bot=bot,
            hour=at.replace(minute=0, second=0, microsecond=0),
            tokens=amount,
            calls=1,
            **more,
        )


@pytest.mark.django_db
def test_an_account_in_utc_reads_each_moment_once(browser):
    text = text_of(browser.post(f"{NEW}/usage/preview/", GOOD))
    assert len(re.findall(r"<tr><td>[^<]*</td></tr>", text)) == 3
    assert text.count('<th scope="col">UTC</th>') == 1


@pytest.mark.django_db
def test_the_sentence_and_the_next_windows(browser):
    Account.objects.update(timezone="Asia/Tokyo")
    answer = browser.post(f"{NEW}/usage/preview/", {**GOOD, "name": ""})
    assert answer.status_code == 200
    assert "after 1,500 calls in a day (Europe/Berlin)" in plain(answer)
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", text_of(answer))
    assert len(rows) == 3
    assert all(utc.endswith(("22:00", "23:00")) for _, utc in rows)
    assert all(own.endswith(("07:00", "08:00")) for own, _ in rows)
    assert not Policy.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"limits-0-window": "rolling", "limits-0-length": "5"}, "part by part"),
        ({"limits-0-window": "fixed", "limits-0-length": "5"}, "opens a window of 5 h"),
        ({"limits-0-window": "lifetime"}, "never starts anew"),
        ({"limits-0-threshold": "many"}, "At most: This"),
        ({"alert_steps": "x"}, "Tell at (per cent):"),
    ],
)
def test_windows_without_an_end_and_faults(browser, changes, told):
    answer = browser.post(f"{NEW}/usage/preview/", {**GOOD, **changes})
    assert answer.status_code == 200
    assert told in plain(answer)


def test_a_tighter_policy_is_named(browser, account, actor, now):
    from usage import edits

    document = usage_document(name="Account cap <b>")
    edits.create_policy(account=account, document=document, actor=actor, now=now)
    loose = {**TOKENS, "limits-0-threshold": "5000"}
    shown = text_of(browser.post(f"{NEW}/usage/preview/", loose))
    assert "Account cap &lt;b&gt;</a> is tighter" in shown
    tight = {**TOKENS, "limits-0-threshold": "500"}
    assert "is tighter" not in text_of(browser.post(f"{NEW}/usage/preview/", tight))


def test_what_it_would_have_done(browser, account, bot, now):
    used(account, bot, now, 800, 1000, 950)
    with CaptureQueriesContext(connection) as queries:
        answer = browser.post(f"{NEW}/usage/past/", TOKENS)
    assert len(queries) <= 24
    assert "Would have fired 2 times" in plain(answer)
    assert "2 of 30 reached the cap of 900 tokens" in plain(answer)
    assert text_of(answer).count("bar-mark over") == 2
    assert "800 tokens 3 of 30" in plain(answer)
    assert "1,100 tokens 0 of 30" in plain(answer)


@pytest.mark.django_db
def test_an_empty_past_says_so(browser):
    assert "would have met no call" in plain(browser.post(f"{NEW}/usage/past/", TOKENS))


def test_the_version_in_force_is_told_beside_the_draft(
    browser, account, bot, policy, now
):
    used(account, bot, now, 0, 950)
    at = f"/app/acme/policies/{policy.public_id}"
    answer = browser.post(f"{at}/past/", {**TOKENS, "bot": bot.public_id})
    assert "Would have fired once" in plain(answer)
    assert "As it stands now: fired 0 times" in plain(answer)


def test_a_retention_draft_tells_what_is_due(browser, account, bot, now):
    old = now - timedelta(days=40)
    for at in (old, now):
        create_conversation(account=account, bot=bot, last_activity_at=at, now=now)
    typed = {"target": "conversations", "max_age_days": "30", "rollout_mode": "enforce"}
    answer = browser.post(f"{NEW}/retention/past/", typed)
    assert "1 of 2 conversations would go now" in plain(answer)
    assert "over 20 %" in plain(answer)
    assert 'class="cap"' in text_of(answer)


def test_without_javascript_the_button_shows_all_of_it(browser, account, bot, now):
    used(account, bot, now, 0, 950)
    answer = browser.post(f"{NEW}/usage/", {**TOKENS, "preview": "1"})
    assert answer.status_code == 200
    assert "Would have fired once" in plain(answer)
    assert 'value="Loop guard"' in field_of(answer, "name")
    broken = browser.post(f"{NEW}/usage/", {**TOKENS, "block_for": "x", "preview": "1"})
    assert "id_block_for" in wrong(broken)
    assert not Policy.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("slug", "kind", "told"),
    [
        ("monthly-ceiling", "usage", "after $100 in a month"),
        ("hourly-loop-guard", "usage", "500 calls in an hour"),
        ("notify-only", "usage", "E-mail the owner about every bot"),
        (
            "30-day-retention",
            "retention",
            "Delete conversations of user u-1 after 30 days",
        ),
    ],
)
def test_a_template_fills_the_form_in(browser, slug, kind, told):
    answer = browser.get(f"{NEW}/?template={slug}&user=u-1", follow=True)
    assert answer.redirect_chain[0][0].startswith(f"{NEW}/{kind}/?template={slug}")
    assert told.split(" about ")[0] in plain(answer)
    assert 'value="u-1"' in field_of(answer, "user")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["template=zz", "template=%00", "bot=%00", "user=%00"]
)
def test_a_template_that_nobody_gave_out_does_no_harm(browser, query):
    assert browser.get(f"{NEW}/usage/?{query}").status_code == 200
    assert browser.get(f"{NEW}/?{query}").status_code == 200


@pytest.mark.django_db
def test_there_is_no_preview_for_other_types(browser):
    assert browser.post(f"{NEW}/wish/preview/", GOOD).status_code == 404


ODD = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["9" * 30, "-1", "1e9", "٣", "NaN", "\u202e", "a b", "🙂", "''"]),
)


@settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.dictionaries(st.sampled_from(sorted(TOKENS)), ODD, max_size=6),
    kind=st.sampled_from(["usage", "retention", "content"]),
)
def test_whatever_is_typed_is_no_server_error(browser, changes, kind):
    typed = {**TOKENS, "target": "decisions", "max_age_days": "3", **changes}
    typed = {k: v for k, v in typed.items() if v.isprintable() or v == ""}
    for part in ("preview/", "past/", ""):
        sent = typed if part else {**typed, "preview": "1"}
        assert browser.post(f"{NEW}/{kind}/{part}", sent).status_code == 200


@pytest.mark.parametrize(
    "window",
    [
        {"kind": "calendar", "unit": "hour"},
        {"kind": "calendar", "unit": "day", "timezone": "Asia/Kolkata"},
        {"kind": "calendar", "unit": "week", "week_start": 7},
        {"kind": "calendar", "unit": "month"},
        {"kind": "calendar", "unit": "quarter"},
        {"kind": "calendar", "unit": "year"},
        {"kind": "rolling", "seconds": 600},
        {"kind": "rolling", "seconds": 90_000},
        {"kind": "fixed", "seconds": 10 * 86_400},
        {"kind": "lifetime"},
    ],
)
def test_past_windows_hold_what_was_used(account, bot, now, window):
    used(account, bot, now, 40, user="u-1", model="m-1")
    used(account, bot, now, 2, user="u-2", model="m-2")
    assert past_peaks(account, now, window, []) == (42, [42], None)
    assert past_peaks(account, now, window, ["bot"]) == (42, [42], bot.id)
    assert past_peaks(account, now, window, ["user", "model"]) == (40, [40], "u-1")


def past_peaks(account, now, window, group_by):
    limit = {"metric": "tokens", "threshold": 40, "window": window}
    document = usage_document(limits=[limit], group_by=group_by)
    rule = usage_rule(policy_id="pol", revision=0, document=document)
    found = past_windows(account, rule, rule.limits[0], now)
    return found.peak.value, [each.value for each in found.reached], found.busiest


def test_a_span_of_two_days_holds_both(account, bot, now):
    used(account, bot, now, 1, 10, 100)
    window = {"kind": "rolling", "seconds": 25 * 3600}
    assert past_peaks(account, now, window, [])[0] == 110


def stops_in(answer):
    found = re.search(r"<div hidden data-stops>(.*?)</div>", text_of(answer), re.DOTALL)
    return json.loads(html.unescape(found[1]))["stops"] if found else []


@pytest.mark.django_db
def test_a_slider_says_how_often_each_threshold_was_reached(browser, account, bot, now):
    used(account, bot, now, 1_000, 950, 10)
    answer = browser.post(f"{NEW}/usage/slide/1/", TOKENS)
    stops = stops_in(answer)
    assert [(each["text"], each["at"]) for each in stops] == [
        ("10", 10),
        ("11", 11),
        ("900", 900),
        ("960", 960),
        ("1,100", 1_100),
    ]
    assert stops[2]["said"] == "900 tokens: reached on 2 of 30 days"
    assert 'data-slide="id_limits-0-threshold"' in text_of(answer)
    assert 'max="4" value="2"' in text_of(answer)
    assert stops[2]["said"] in plain(answer)
    # Before an amount is typed, it helps to find one.
    blank = {**TOKENS, "limits-0-threshold": ""}
    assert len(stops_in(browser.post(f"{NEW}/usage/slide/1/", blank))) == 5


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "changes"),
    [
        (1, {}),
        (2, {}),
        (99, {}),
        (1, {"limits-0-window": "rolling", "limits-0-length": "x"}),
        (1, {"limits-0-threshold": "many"}),
        (1, {"bot": "bot_x"}),
    ],
)
def test_without_a_past_there_is_no_slider(browser, row, changes):
    answer = browser.post(f"{NEW}/usage/slide/{row}/", {**TOKENS, **changes})
    assert answer.status_code == 200
    assert stops_in(answer) == []


@pytest.mark.django_db
def test_a_slider_of_money_is_in_dollars(browser, account, bot, now, policy):
    used(account, bot, now, 5)
    HourlyRollup.objects.update(cost=2_345_600)
    changes = {"limits-0-metric": "cost", "limits-0-threshold": "$1.50"}
    at = f"/app/acme/policies/{policy.public_id}/slide/1/"
    stops = stops_in(browser.post(at, {**TOKENS, **changes}))
    assert [each["text"] for each in stops] == ["1.5", "2.3", "2.4"]
    assert [each["at"] for each in stops] == [1.5, 2.3, 2.4]


@pytest.mark.django_db
def test_another_cap_is_taken_over_without_javascript(browser, account, bot, now):
    used(account, bot, now, 1_000, 950, 10)
    shown = text_of(browser.post(f"{NEW}/usage/", {**TOKENS, "preview": "1"}))
    assert 'name="take" value="0:960"' in shown
    answer = browser.post(f"{NEW}/usage/", {**TOKENS, "take": "0:960"})
    assert answer.status_code == 200
    assert 'name="limits-0-threshold" value="960"' in text_of(answer)
    assert "1 of 30 reached the cap of 960 tokens" in plain(answer)
    assert not Policy.objects.exists()
    for strange in ("", "x", "7:5", "0:", "0:many", "\x00:1", "-1:5"):
        sent = {**TOKENS, "take": strange}
        assert browser.post(f"{NEW}/usage/", sent).status_code == 200
        assert not Policy.objects.exists()


@pytest.mark.django_db
def test_the_preview_speaks_the_readers_language(browser):
    german = {"Accept-Language": "de"}
    answer = browser.post(f"{NEW}/usage/preview/", TOKENS, headers=german)
    assert "nach 900 Token an einem Tag" in plain(answer)
    assert re.search(r"[A-Z][a-z], \d+\. \w+, 00:00", plain(answer))
