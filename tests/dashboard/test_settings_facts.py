"""What the settings say of the whole account: undecided calls, holds, exports."""

import pytest

from accounts.models import Member, Person
from policies.rules import parse
from tests.dashboard.conftest import usage_document
from tests.dashboard.test_policy_previews import plain
from usage import edits

pytestmark = pytest.mark.django_db
AT = "/app/acme/settings/"


def test_they_say_what_happens_while_nothing_can_be_decided(
    browser, account, actor, policy, now, django_assert_max_num_queries
):
    assert "Calls are refused. Each policy says so" in plain(browser.get(AT))
    document = parse(usage_document(name="Open", fail_mode="open"))
    edits.create_policy(account=account, document=document, actor=actor, now=now)
    with django_assert_max_num_queries(12):
        page = plain(browser.get(AT))
    assert "Calls are refused, but 1 of 2 usage policies lets them pass." in page
    assert "0 in force" in page


def test_a_viewer_is_shown_no_way_to_what_they_may_not_see(browser, account):
    links = [f'href="/app/acme/{name}/"' for name in ("usage", "retention/runs")]
    facts = ['href="/app/acme/decisions/changes/"']
    page = browser.get(AT).content.decode()
    assert all(link in page for link in (*links, *facts))
    person = Person.objects.get(email="alice@example.com")
    Member.objects.filter(person=person).update(role="viewer")
    page = browser.get(AT).content.decode()
    assert all(link in page for link in links)
    assert not any(link in page for link in facts)
