"""Sample data beside an empty account: offered to owners, marked, and removed."""

import pytest

from accounts.models import Account, Member
from accounts.services import open_sample
from tests.dashboard.test_policy_previews import plain

HOME = "/app/acme/"
EMPTY = ["", "usage/", "policies/", "bots/", "alerts/", "retention/", "decisions/"]
EMPTY += ["conversations/", "try/"]


@pytest.fixture
def sample(browser, account):
    browser.post(f"{HOME}sample/")
    return Account.objects.get(sample_of=account)


def test_every_empty_page_offers_it(browser):
    for place in EMPTY:
        assert "Load sample data" in plain(browser.get(f"{HOME}{place}")), place


@pytest.mark.parametrize("role", [Member.Role.OPERATOR, Member.Role.VIEWER])
def test_it_is_for_owners(as_role, account, role):
    client = as_role(role)
    assert "Load sample data" not in plain(client.get(f"{HOME}policies/"))
    assert client.post(f"{HOME}sample/").status_code == 403
    assert not Account.objects.filter(sample_of=account).exists()


def test_it_is_an_account_of_its_own_that_says_so(browser, account, sample):
    assert sample.members.get().role == Member.Role.OWNER
    home = f"/app/{sample.slug}/"
    page = plain(browser.get(home))
    assert f"Back to {account.name}" in page
    assert "Load sample data" not in page
    assert 'hx-trigger="every 2s"' in browser.get(home).content.decode()
    assert "0 %" in plain(browser.get(f"{home}sample/progress/"))
    Account.objects.filter(id=sample.id).update(sample_percent=100)
    assert browser.get(f"{home}sample/progress/").headers["HX-Refresh"] == "true"
    assert "sample/progress" not in browser.get(home).content.decode()
    # Once more is the same one; a sample has none of its own.
    assert browser.post(f"{HOME}sample/").url == home
    assert browser.post(f"{home}sample/").url == home
    assert Account.objects.count() == 2
    assert "Sample data" not in plain(browser.get(f"{HOME}status/"))
    assert browser.get(f"{HOME}sample/progress/").status_code == 204


def test_another_owner_joins_it(as_role, account, sample):
    other = as_role(Member.Role.OWNER)
    assert other.get(f"/app/{sample.slug}/").status_code == 404
    assert other.post(f"{HOME}sample/").url == f"/app/{sample.slug}/"
    assert sample.members.count() == 2
    assert other.get(f"/app/{sample.slug}/").status_code == 200


def test_it_is_removed_and_a_real_account_is_not(browser, account, alice, sample, now):
    assert browser.post(f"/app/{sample.slug}/sample/remove/").url == HOME
    assert "The sample data is removed" in plain(browser.get(HOME))
    assert browser.get(f"/app/{sample.slug}/").status_code == 404
    browser.post(f"{HOME}sample/remove/")
    assert "Only a sample account can be removed" in plain(browser.get(HOME))
    assert account.members.exists()
    another = open_sample(account=account, owner=alice, name="Sample", now=now)
    assert another.id != sample.id
