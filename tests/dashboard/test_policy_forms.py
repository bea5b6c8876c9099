"""Policies are written in forms: the right is saved, the wrong is kept and told."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.usage_form import UsageForm
from policies.models import Policy
from policies.rules import parse
from tests.dashboard.conftest import retention_document, usage_document
from usage import edits

NEW = "/app/acme/policies/new/usage/"
GOOD = {
    "name": "Loop guard",
    "description": "",
    "bot": "",
    "rollout_mode": "enforce",
    "limits-0-metric": "calls",
    "limits-0-threshold": "1,500",
    "limits-0-window": "day",
    "limits-0-timezone": "Europe/Berlin",
    "limits-0-week_start": "1",
    "limits-0-length_unit": "3600",
    "block": "on",
    "block_for": "2",
    "block_unit": "3600",
    "email": "on",
    "email_to": "ops@example.com\r\nme@example.com",
    "alert_steps": "80, 100",
    "rollout_percent": "100",
    "fail_mode": "closed",
    "on_unpriced": "deny",
}


def text_of(answer):
    return answer.content.decode()


def field_of(answer, name):
    """The part of the page about one field: its tag and what follows up to the next."""
    found = re.search(
        rf'<(?:input|select|textarea)[^>]*name="{name}"[^>]*>', text_of(answer)
    )
    assert found, name
    return found[0]


def wrong(answer):
    """What the page says is wrong, by the id of the field it stands beside."""
    lists = re.findall(
        r'<ul class="wrong" id="([^"]+)_error">(.*?)</ul>', text_of(answer), re.DOTALL
    )
    return {name: re.sub(r"<[^>]+>", "", told).strip() for name, told in lists}


def test_a_usage_policy_is_written(browser, account, bot):
    answer = browser.post(NEW, {**GOOD, "bot": bot.public_id})
    policy = Policy.objects.get()
    assert answer.url == f"/app/acme/policies/{policy.public_id}/"
    assert policy.scope_bot == bot
    assert policy.document["limits"] == [
        {
            "metric": "calls",
            "threshold": 1500,
            "window": {"kind": "calendar", "unit": "day", "timezone": "Europe/Berlin"},
        }
    ]
    assert policy.document["actions"] == {
        "block": {"duration_seconds": 7200},
        "email": {"to": ["ops@example.com", "me@example.com"]},
    }
    assert "Loop guard" in text_of(browser.get(answer.url))


@pytest.mark.django_db
def test_what_was_typed_is_kept_when_it_is_not_right(browser):
    typed = {**GOOD, "limits-0-threshold": "many", "name": "Kept <name>"}
    answer = browser.post(NEW, typed)
    assert answer.status_code == 422
    assert 'value="many"' in field_of(answer, "limits-0-threshold")
    assert 'aria-invalid="true"' in field_of(answer, "limits-0-threshold")
    assert 'value="Kept &lt;name&gt;"' in field_of(answer, "name")
    assert "ops@example.com" in text_of(answer)
    assert not Policy.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"name": ""}, "id_name"),
        ({"name": "x" * 201}, "id_name"),
        ({"limits-0-threshold": "-1"}, "id_limits-0-threshold"),
        ({"limits-0-threshold": "1.5"}, "id_limits-0-threshold"),
        ({"limits-0-threshold": str(2**53)}, "id_limits-0-threshold"),
        ({"limits-0-threshold": ""}, "id_limits-0-threshold"),
        ({"limits-0-metric": "bananas"}, "id_limits-0-metric"),
        ({"limits-0-timezone": "Mars/Olympus"}, "id_limits-0-timezone"),
        (
            {"limits-0-window": "rolling", "limits-0-length": "soon"},
            "id_limits-0-length",
        ),
        ({"block_for": "0"}, "id_block_for"),
        ({"block_for": "ages"}, "id_block_for"),
        ({"email_to": "nobody"}, "id_email_to"),
        ({"alert_steps": "80, 400"}, "id_alert_steps"),
        ({"rollout_percent": "101"}, "id_rollout_percent"),
        ({"hold_tokens": "lots"}, "id_hold_tokens"),
        ({"model": "gp*t"}, "id_model"),
    ],
)
def test_a_problem_stands_beside_its_field(browser, changes, place):
    answer = browser.post(NEW, {**GOOD, **changes})
    assert answer.status_code == 422
    assert place in wrong(answer), wrong(answer)


@pytest.mark.django_db
def test_no_action_is_told(browser):
    typed = {**GOOD}
    del typed["block"], typed["email"]
    assert "at least one" in wrong(browser.post(NEW, typed))["id_warn"]


@pytest.mark.django_db
def test_every_problem_is_told_at_once(browser):
    changes = {"name": "", "block_for": "0", "alert_steps": "0"}
    told = wrong(browser.post(NEW, {**GOOD, **changes}))
    assert set(told) >= {"id_name", "id_block_for", "id_alert_steps"}


def test_a_foreign_bot_is_no_choice(browser, bot, charlie):
    answer = browser.post(NEW, {**GOOD, "bot": "bot_00000000000000000000000000"})
    assert answer.status_code == 422
    assert "id_bot" in wrong(answer)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["a\x00b", "\ud800".encode("utf-16", "surrogatepass")])
def test_odd_characters_are_no_server_error(browser, name):
    assert browser.post(NEW, {**GOOD, "name": name}).status_code in (302, 422)


@pytest.mark.django_db
def test_another_limit_keeps_what_was_typed(browser):
    answer = browser.post(NEW, {**GOOD, "add_limit": "1"})
    assert answer.status_code == 200
    assert 'value="1,500"' in field_of(answer, "limits-0-threshold")
    assert field_of(answer, "limits-1-threshold")
    page = answer.content.decode()
    assert page.count("autofocus") == 1
    assert "autofocus" in page[page.index('name="limits-1-metric"') :]
    assert not Policy.objects.exists()


@pytest.mark.django_db
def test_a_limit_without_an_amount_is_let_go(browser):
    second = {
        "limits-1-metric": "cost",
        "limits-1-threshold": "$1,000.50",
        "limits-1-window": "lifetime",
    }
    browser.post(NEW, {**GOOD, **second, "limits-0-threshold": ""})
    limits = Policy.objects.get().document["limits"]
    assert limits == [
        {"metric": "cost", "threshold": "1000.5", "window": {"kind": "lifetime"}}
    ]


@pytest.mark.django_db
def test_a_problem_of_a_later_limit_stands_in_its_row(browser):
    rows = {
        "limits-1-metric": "tokens",
        "limits-1-threshold": "5",
        "limits-1-window": "fixed",
        "limits-1-length": "x",
        "limits-0-threshold": "",
    }
    assert "id_limits-1-length" in wrong(browser.post(NEW, {**GOOD, **rows}))


def test_an_edit_makes_the_next_revision(browser, policy):
    at = f"/app/acme/policies/{policy.public_id}/"
    shown = browser.get(f"{at}edit/")
    assert 'value="1,000"' in field_of(shown, "limits-0-threshold")
    typed = {**GOOD, "revision": "1", "reason": "More room"}
    assert browser.post(f"{at}edit/", typed).url == at
    policy.refresh_from_db()
    assert (policy.revision, policy.name) == (2, "Loop guard")
    assert policy.revisions.get(number=2).reason == "More room"


def test_an_edit_does_not_widen_the_scope_to_every_bot(browser, policy, bot, now):
    bot.archived_at = now
    bot.save()
    at = f"/app/acme/policies/{policy.public_id}/edit/"
    shown = browser.get(at)
    assert f'value="{bot.public_id}" selected' in text_of(shown)
    saved = browser.post(at, {**GOOD, "bot": bot.public_id, "revision": "1"})
    assert "id_bot" in wrong(saved)
    policy.refresh_from_db()
    assert policy.scope_bot == bot


@pytest.mark.django_db
def test_a_draft_is_about_nobody_that_may_not_be_chosen(browser):
    answer = browser.get(f"{NEW}?template=monthly-ceiling&bot=bot_x&user=u-1")
    assert "bot_x" not in text_of(answer).split('id="preview"')[1]
    assert 'value="u-1"' in field_of(answer, "user")


def test_a_mistake_does_not_hide_that_the_edit_is_stale(browser, policy, actor, now):
    edits.replace_policy(
        policy=policy,
        document=usage_document(name="Changed by Bob"),
        actor=actor,
        now=now,
        expected_revision=1,
    )
    address = f"/app/acme/policies/{policy.public_id}/edit/"
    answer = browser.post(address, {**GOOD, "name": "", "revision": "1"})
    assert 'value="1"' in field_of(answer, "revision")
    assert browser.post(address, {**GOOD, "revision": "1"}).status_code == 409


def test_a_retention_policy_is_written_and_judged(browser, account):
    address = "/app/acme/policies/new/retention/"
    typed = {
        "name": "Keep a month",
        "rollout_mode": "shadow",
        "target": "conversations",
        "max_age_days": "soon",
    }
    answer = browser.post(address, typed)
    assert "id_max_age_days" in wrong(answer)
    assert 'value="soon"' in field_of(answer, "max_age_days")
    browser.post(address, {**typed, "max_age_days": "30"})
    assert Policy.objects.get().document == retention_document(
        name="Keep a month", rollout_mode="shadow"
    )


@pytest.mark.django_db
def test_there_is_no_form_for_other_types(browser):
    assert browser.get("/app/acme/policies/new/wish/").status_code == 404


WINDOWS = st.one_of(
    st.builds(
        lambda unit, day: {"kind": "calendar", "unit": unit, "week_start": day},
        st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]),
        st.integers(1, 7),
    ),
    st.builds(
        lambda kind, seconds: {"kind": kind, "seconds": seconds},
        st.sampled_from(["fixed", "rolling"]),
        st.integers(60, 366 * 86_400),
    ),
    st.just({"kind": "lifetime"}),
)
LIMITS = st.one_of(
    st.fixed_dictionaries(
        {
            "metric": st.sampled_from(["tokens", "messages", "calls"]),
            "threshold": st.integers(0, 2**53 - 1),
            "window": WINDOWS,
        }
    ),
    st.fixed_dictionaries(
        {
            "metric": st.just("cost"),
            "threshold": st.decimals(0, 10_000, places=6).map(str),
            "window": WINDOWS,
        }
    ),
)
ACTIONS = st.fixed_dictionaries(
    {"warn": st.just({})},
    optional={
        "throttle": st.just({}),
        "revoke": st.just({}),
        "block": st.fixed_dictionaries(
            {"duration_seconds": st.none() | st.integers(1, 366 * 86_400)}
        ),
        "email": st.sampled_from([{}, {"to": ["a@example.com", "b@example.com"]}]),
    },
)


@given(
    limit=LIMITS,
    actions=ACTIONS,
    group_by=st.sets(st.sampled_from(["project", "bot", "user", "model"])),
    hold=st.none() | st.integers(0, 10**9),
)
def test_a_form_shows_what_it_reads(limit, actions, group_by, hold):
    """Opening a policy and saving it without a change changes nothing."""
    document = parse(
        {
            "type": "usage",
            "name": "Any",
            "description": "Two\nlines",
            "scope": {"user": "u-1", "model": "gpt*"},
            "group_by": sorted(group_by),
            "limits": [limit],
            "actions": actions,
            "default_hold": None if hold is None else {"tokens": hold},
        }
    )
    shown = UsageForm(bots=[], projects=[], document=document)
    typed = {}
    for form in (shown, *shown.limits):
        for field in form:
            value = field.value()
            if value not in (None, False):
                typed[field.html_name] = "on" if value is True else value
    sent = UsageForm(_query(typed), bots=[], projects=[], document=document)
    assert sent.parsed() == document, sent.errors


def _query(typed):
    from django.http import QueryDict

    query = QueryDict(mutable=True)
    for name, value in typed.items():
        if isinstance(value, list):
            query.setlist(name, value)
        else:
            query[name] = str(value)
    return query
