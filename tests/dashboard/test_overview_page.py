"""The overview and the list of policies: filters, gauges, next steps."""

import pytest

from accounts.services import create_bot
from dashboard.gauges import dials_for_bot
from tests.dashboard.conftest import retention_document, usage_document
from tests.dashboard.rolled import rolled_up, sent
from usage import edits

pytestmark = pytest.mark.django_db
AT = "/app/acme/"
LIST = "/app/acme/policies/"


def text(browser, address):
    answer = browser.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def other(account, actor, now):
    return create_bot(account=account, name="Crawler", actor=actor, now=now)


def test_a_new_account_is_led_to_its_first_steps(browser, as_role):
    assert 'href="/app/acme/start/">Get started' in text(browser, AT)
    assert "Get started" not in text(as_role("viewer"), AT)


def test_each_bot_has_its_part(
    browser, account, bot, other, policy, now, django_assert_max_num_queries
):
    sent(account, bot, now, tokens=700)
    sent(account, other, now, days=1, tokens=200)
    rolled_up(now)
    with django_assert_max_num_queries(12):
        page = text(browser, AT)
    assert page.count('class="part p') == 2
    assert "900 tokens in all" in page
    assert "Crawler" in page
    one = text(browser, f"{AT}?bot={other.public_id}&metric=calls")
    assert "1 call in all" in one
    assert "Daily cap" not in one.split("Tightest policies now")[1].split("Used")[0]


def test_account_caps_are_drawn(browser, account, actor, bot, now):
    document = usage_document(name="All of us")
    edits.create_policy(account=account, document=document, actor=actor, now=now)
    sent(account, bot, now, tokens=700)
    rolled_up(now)
    page = text(browser, AT)
    assert 'class="cap solid"' in page
    assert ">All of us</a>" in page.split('class="legend small"')[1]


def test_who_is_blocked_and_what_retention_does(browser, account, crossed):
    part = text(browser, f"{AT}standing/")
    assert "Daily cap" in part
    assert "The next run is within a minute" in part
    assert "<html" not in part


@pytest.fixture
def several(account, actor, bot, policy, keeper, now):
    documents = (
        usage_document(name="All of us", rollout_mode="shadow"),
        usage_document(name="One user", scope={"user": "u-1"}, rollout_mode="off"),
        usage_document(name="Some models", scope={"model": "gpt-*"}),
    )
    for document in documents:
        edits.create_policy(account=account, document=document, actor=actor, now=now)
    gone = edits.create_policy(
        account=account,
        document=retention_document(name="Gone"),
        actor=actor,
        now=now,
    )
    edits.archive_policy(policy=gone, actor=actor, now=now, reason="old")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (
            "",
            {"Daily cap", "Keep 30 days", "All of us", "One user", "Some models"},
        ),
        ("?type=retention", {"Keep 30 days"}),
        ("?scope=bot", {"Daily cap"}),
        ("?scope=user", {"One user"}),
        ("?scope=model&state=enforce", {"Some models"}),
        ("?scope=account&type=usage", {"All of us"}),
        ("?state=shadow", {"All of us"}),
        ("?state=off", {"One user"}),
        ("?state=archived", {"Gone"}),
        ("?state=triggered", set()),
        ("?type=x&scope=%00&state=y", None),
    ],
)
def test_the_list_is_of_what_was_asked_for(browser, several, query, names):
    found = browser.get(LIST + query)
    assert found.status_code == 200
    shown = {row["policy"].name for row in found.context["rows"]}
    assert names is None or shown == names


def test_what_is_full_is_triggered(
    browser, several, crossed, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12):
        found = browser.get(f"{LIST}?state=triggered")
    shown = {row["policy"].name for row in found.context["rows"]}
    assert shown == {"Daily cap", "All of us"}


def test_nothing_that_fits_leads_back(browser, several):
    page = text(browser, f"{LIST}?type=content")
    assert "No policy fits these filters" in page
    assert 'href="/app/acme/policies/">Show all policies' in page


def test_an_empty_list_offers_four_beginnings(browser, as_role):
    page = text(browser, LIST)
    for slug in (
        "usage/?template=monthly-ceiling",
        "usage/?template=hourly-loop-guard",
        "usage/?template=notify-only",
        "retention/?template=30-day-retention",
    ):
        address = f"{LIST}new/{slug}"
        assert f'href="{address}"' in page
        assert browser.get(address).status_code == 200
    assert "?template=" not in text(as_role("viewer"), LIST)


def test_a_bots_gauges_are_its_own_and_few(account, actor, bot, other, now):
    document = usage_document(name="Each", group_by=["bot", "user"])
    policy = edits.create_policy(
        account=account, document=document, actor=actor, now=now
    )
    for number in range(14):
        sent(account, bot, now, tokens=number + 1, user=f"u-{number}")
    sent(account, other, now, tokens=999, user="u-1")
    found = dials_for_bot(account, bot, [policy], now)
    assert [dial.reading.used for dial in found] == list(range(14, 2, -1))
