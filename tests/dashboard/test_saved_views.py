"""Saved views: a person's own, by page and account."""

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Member, SavedView
from accounts.services import save_view
from accounts.services.views import MOST_VIEWS
from tests.dashboard.conftest import logged_in

pytestmark = pytest.mark.django_db
AT = "/app/acme/views/"
USAGE = "metric=cost&range=7d&group=bot"
DENIED = "decision=deny&range=24h"


def saved(browser, name="Spend by bot", query=USAGE, of="usage"):
    return browser.post(f"{AT}?of={of}", {"name": name, "query": query})


def test_a_view_is_saved_shown_and_deleted(browser, alice, account):
    page = browser.get(f"/app/acme/usage/?{USAGE}").content.decode()
    assert "Save this view" in page
    answer = saved(browser)
    view = SavedView.objects.get()
    assert (view.account, view.person, view.page) == (account, alice, "usage")
    assert answer.url == f"/app/acme/usage/?{view.query}"
    shown = browser.get(answer.url).content.decode()
    assert 'aria-current="true">Spend by bot</a>' in shown
    assert "Save this view" not in shown
    # The same filter by another address is the same view.
    again = browser.get(f"/app/acme/usage/?bucket=day&{USAGE}").content.decode()
    assert 'aria-current="true">Spend by bot</a>' in again
    other = browser.get("/app/acme/usage/?metric=calls").content.decode()
    assert ">Spend by bot</a>" in other
    assert "Save this view" in other
    assert "Spend by bot" in browser.get(f"{AT}?of=usage").content.decode()
    gone = browser.post(f"{AT}?of=usage", {"delete": view.public_id})
    assert gone.url == f"{AT}?of=usage"
    assert not SavedView.objects.exists()


def test_decisions_have_views_of_their_own(browser, account):
    saved(browser)
    answer = saved(browser, "Refused today", DENIED, "decisions")
    assert answer.url == f"/app/acme/decisions/?{DENIED}"
    page = browser.get(answer.url).content.decode()
    assert 'aria-current="true">Refused today</a>' in page
    assert ">Spend by bot</a>" not in page


def test_what_nobody_has_chosen_is_no_view(browser, account):
    for at in ("/app/acme/usage/", "/app/acme/decisions/", AT):
        page = browser.get(at).content.decode()
        assert "&amp;query=" not in page
        assert 'name="query"' not in page
    assert saved(browser, "Plain", "").status_code == 422


def test_a_name_is_used_once(browser, account):
    saved(browser)
    saved(browser, query="metric=calls")
    assert "metric=calls" in SavedView.objects.get().query
    view = SavedView.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        SavedView.objects.create(
            account=account, person=view.person, page="usage", name=view.name, query="x"
        )


def test_only_what_the_page_knows_is_kept(browser, account):
    strange = f"{DENIED}&live=1&after=x&account=globex&csrfmiddlewaretoken=1&user="
    saved(browser, "Refused", strange, "decisions")
    assert SavedView.objects.get().query == DENIED
    saved(browser, "Used", "metric=gold&next=//evil.example")
    assert "evil" not in SavedView.objects.get(page="usage").query


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"name": " ", "query": USAGE},
        {"name": "x" * 61, "query": USAGE},
        {"name": "a\x00b", "query": USAGE},
    ],
)
def test_what_is_not_right_comes_back(browser, account, typed):
    answer = browser.post(f"{AT}?of=usage", typed)
    assert answer.status_code == 422
    assert 'class="wrong"' in answer.content.decode()
    assert not SavedView.objects.exists()


def test_decisions_without_a_filter_are_no_view(browser, account):
    assert saved(browser, "All", "", "decisions").status_code == 422
    assert not SavedView.objects.exists()


def test_there_may_be_twenty(browser, account, alice, now):
    for number in range(MOST_VIEWS):
        save_view(
            account=account,
            person=alice,
            page="usage",
            name=f"View {number}",
            query=USAGE,
            now=now,
        )
    answer = saved(browser, "One more")
    assert answer.status_code == 422
    assert "delete one first" in answer.content.decode()
    assert saved(browser, "View 3").status_code == 302
    assert saved(browser, "Refused", DENIED, "decisions").status_code == 302
    assert SavedView.objects.filter(page="usage").count() == MOST_VIEWS


def test_views_are_a_persons_own(browser, bob, charlie, as_role):
    saved(browser)
    view = SavedView.objects.get()
    teammate, stranger = logged_in(bob), logged_in(charlie)
    assert b"Spend by bot" not in teammate.get("/app/acme/usage/").content
    for client, slug in ((teammate, "acme"), (stranger, "globex")):
        sent = {"delete": view.public_id}
        answers = [
            client.post(f"/app/{slug}/views/", each)
            for each in (sent, {"delete": f"viw_{'0' * 26}"}, {"delete": "\x00"})
        ]
        assert [each.status_code for each in answers] == [404] * 3
    assert stranger.get(AT).status_code == 404
    assert SavedView.objects.count() == 1


def test_viewers_have_none_of_decisions(as_role):
    viewer = as_role(Member.Role.VIEWER)
    assert saved(viewer).status_code == 302
    assert viewer.get(f"{AT}?of=decisions").status_code == 403
    assert saved(viewer, "x", DENIED, "decisions").status_code == 403
    assert "of=decisions" not in viewer.get(AT).content.decode()
