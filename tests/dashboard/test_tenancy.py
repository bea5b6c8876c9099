"""Strangers see nothing; members see what their role may see."""

import pytest
from django.test import Client

from accounts.models import Bot, Member
from policies.models import Block
from tests.dashboard.addresses import facts_pages, plain_pages, writing_pages
from tests.dashboard.conftest import logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(account, bot, policy, keeper, key, crossed):
    """The addresses of pages about rows of Alice's account."""
    alert = account.alerts.get(step=100)
    at = "/app/acme/"
    return [
        f"{at}policies/{policy.public_id}/",
        f"{at}policies/{keeper.public_id}/",
        f"{at}bots/{bot.public_id}/",
        f"{at}alerts/{alert.public_id}/",
    ]


def test_landing_is_open_to_everyone():
    answer = Client().get("/")
    assert answer.status_code == 302
    assert answer.url == "/accounts/login/"
    assert Client().get(answer.url).status_code == 200


def test_one_account_is_chosen_by_itself(browser):
    answer = browser.get("/", follow=True)
    assert answer.request["PATH_INFO"] == "/app/acme/"


def test_switcher_lists_the_own_accounts(browser, charlie):
    answer = browser.get("/app/?all=1")
    assert b"Acme" in answer.content
    assert b"Globex" not in answer.content


def test_pages_ask_the_unknown_to_log_in(account):
    for address in plain_pages("acme") + writing_pages("acme"):
        answer = Client().get(address)
        assert answer.status_code == 302
        assert answer.url.startswith("/accounts/login/?next=")


def test_a_foreign_account_is_as_absent_as_none(account, charlie, rows):
    stranger = logged_in(charlie)
    for address in [*plain_pages("acme"), *facts_pages("acme"), *rows]:
        foreign = stranger.get(address)
        absent = stranger.get(address.replace("/acme/", "/nobody/"))
        assert foreign.status_code == absent.status_code == 404
        assert foreign.content == absent.content


def test_foreign_rows_are_absent_in_the_own_account(charlie, rows):
    stranger = logged_in(charlie)
    for address in rows:
        own = address.replace("/acme/", "/globex/")
        assert stranger.get(own).status_code == 404


def test_a_stranger_changes_nothing(charlie, bot, policy, crossed):
    stranger = logged_in(charlie)
    for slug in ("acme", "globex"):
        for step in ("block", "unblock", "revoke", "restore", "archive"):
            address = f"/app/{slug}/bots/{bot.public_id}/{step}/"
            answer = stranger.post(address, {"reason": "x", "name": bot.name})
            assert answer.status_code == 404
    bot.refresh_from_db()
    assert bot.state == Bot.State.ACTIVE
    assert not bot.blocks.filter(kind="person").exists()


@pytest.mark.parametrize(
    ("role", "facts", "writes"),
    [
        (Member.Role.OWNER, 200, 200),
        (Member.Role.OPERATOR, 200, 200),
        (Member.Role.AUDITOR, 200, 403),
        (Member.Role.VIEWER, 403, 403),
    ],
)
def test_roles(role, facts, writes, as_role, rows):
    client = as_role(role)
    for address in [*plain_pages("acme"), *rows]:
        assert client.get(address).status_code == 200
    for address in facts_pages("acme"):
        assert client.get(address).status_code == facts
    for address in writing_pages("acme"):
        assert client.get(address).status_code == writes


@pytest.mark.parametrize("role", [Member.Role.AUDITOR, Member.Role.VIEWER])
def test_readers_write_nothing(role, as_role, bot, policy):
    client = as_role(role)
    posts = [
        (f"/app/acme/bots/{bot.public_id}/block/", {"reason": "x"}),
        (f"/app/acme/policies/{policy.public_id}/reset/", {"reason": "x"}),
        ("/app/acme/bots/new/", {"name": "Another"}),
    ]
    for address, data in posts:
        assert client.post(address, data).status_code == 403
    page = client.get(f"/app/acme/bots/{bot.public_id}/").content
    assert b"Step in" not in page
    assert Bot.objects.count() == 1


def test_a_viewer_sees_no_decisions_on_the_page_of_a_bot(as_role, bot):
    client = as_role(Member.Role.VIEWER)
    page = client.get(f"/app/acme/bots/{bot.public_id}/").content.decode()
    assert "Recent decisions" not in page
    assert "API keys" not in page


def test_a_get_changes_nothing(browser, bot):
    at = f"/app/acme/bots/{bot.public_id}/"
    answer = browser.get(f"{at}block/")
    assert (answer.status_code, answer.url) == (302, at)
    assert not Block.objects.exists()


@pytest.mark.parametrize(
    ("address", "above"),
    [
        ("settings/save/", "settings/"),
        ("start/key/", "start/"),
        ("policies/{0}/restore/1/", "policies/{0}/"),
        ("policies/new/usage/slide/1/", "policies/new/usage/"),
        ("retention/policies/{0}/pause/", "retention/policies/{0}/"),
        ("deliveries/dlv_0/resend/", ""),
        ("sample/remove/", "sample/"),
        ("sample/", ""),
    ],
)
def test_a_forms_target_leads_to_its_page(browser, policy, address, above):
    """As after a log-in that a form was sent to, or a reload."""
    at = "/app/acme/" + address.format(policy.public_id)
    answer = browser.get(at)
    assert answer.status_code == 302
    assert answer.url == "/app/acme/" + above.format(policy.public_id)
    assert browser.put(at).status_code == 405


def test_a_forms_target_tells_others_nothing(as_role, charlie, bot):
    at = f"/app/acme/bots/{bot.public_id}/block/"
    assert as_role(Member.Role.VIEWER).get(at).status_code == 403
    assert logged_in(charlie).get(at).status_code == 404


def test_readers_of_an_empty_account_are_told_who_may(as_role):
    """An empty page offers a step, or says whose it is; never one that is refused."""
    client = as_role(Member.Role.VIEWER)
    told = "Owners and operators of the account"
    pages = ["", "policies/", "bots/", "webhooks/", "gateway/", "usage/", "try/"]
    for name in [*pages, "retention/", "retention/holds/", "conversations/"]:
        page = client.get(f"/app/acme/{name}").content.decode()
        assert told in page, name
        assert "/new/" not in page, name
