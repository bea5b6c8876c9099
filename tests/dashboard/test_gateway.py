"""The gateway's page: upstreams, content policies, and a text to try them on."""

import pytest

from accounts.models import ChangeRecord, Member
from gateway.models import Upstream
from gateway.secrets import unseal
from policies.models import Policy
from tests.dashboard.conftest import logged_in

pytestmark = pytest.mark.django_db
PAGE = "/app/acme/gateway/"
NEW = f"{PAGE}upstreams/new/"


def upstream_form(**changes):
    return {
        "name": "Main",
        "base_url": "https://api.example.com/v1",
        "secret": "sk-0123456789abcdef",
        "project": "",
        "chat_models": "gpt-x\nfast = gpt-x-mini",
        "embedding_models": "",
        "position": "0",
        "total_seconds": "600",
        "enabled": "on",
        **changes,
    }


def content_form(**changes):
    return {
        "name": "No cards",
        "direction": "both",
        "categories": ["card", "email"],
        "denylist": "Falcon\r\nproj-\\d+",
        "allowlist": "help@example.com",
        "action": "redact",
        "rollout_mode": "enforce",
        "rollout_percent": "100",
        **changes,
    }


def test_an_upstream_is_written_changed_and_taken_out(browser, account):
    assert b"No upstream yet" in browser.get(PAGE).content
    assert browser.post(NEW, upstream_form()).url == PAGE
    upstream = Upstream.objects.get(account=account)
    assert upstream.chat_models == {"gpt-x": "gpt-x", "fast": "gpt-x-mini"}
    at = f"{PAGE}upstreams/{upstream.public_id}/"
    shown = browser.get(f"{at}edit/").content
    assert b"fast = gpt-x-mini" in shown
    assert b"sk-0123456789" not in shown
    browser.post(f"{at}edit/", upstream_form(name="Renamed", secret=""))
    upstream.refresh_from_db()
    assert (upstream.name, unseal(upstream.secret)) == (
        "Renamed",
        "sk-0123456789abcdef",
    )
    browser.post(f"{at}archive/", {"name": "Renamed", "reason": "moved"})
    upstream.refresh_from_db()
    assert upstream.archived_at is not None
    assert upstream.secret == "" or unseal(upstream.secret) == ""


@pytest.mark.parametrize(
    "changes",
    [{"base_url": "https://169.254.169.254/v1"}, {"base_url": "ftp://x"}, {"name": ""}],
)
def test_a_bad_upstream_is_refused_and_nothing_is_lost(browser, changes):
    answer = browser.post(NEW, upstream_form(**changes))
    assert answer.status_code == 422
    assert b"fast = gpt-x-mini" in answer.content
    assert not Upstream.objects.exists()


def test_a_content_policy_is_written_and_shown(browser):
    answer = browser.post("/app/acme/policies/new/content/", content_form())
    policy = Policy.objects.get(type="content")
    assert answer.url == f"/app/acme/policies/{policy.public_id}/"
    assert policy.document["content"] == {
        "direction": "both",
        "action": "redact",
        "categories": ["email", "card"],
        "denylist": ["Falcon", "proj-\\d+"],
        "allowlist": ["help@example.com"],
    }
    assert b"Falcon" in browser.get(answer.url).content
    assert b"No cards" in browser.get(PAGE).content
    edit = browser.get(f"{answer.url}edit/").content
    assert b"help@example.com" in edit


def test_a_bad_pattern_is_refused_at_its_field(browser):
    bad = content_form(denylist="fine\nre:(")
    answer = browser.post("/app/acme/policies/new/content/", bad)
    assert answer.status_code == 422
    assert b"is not a pattern of RE2" in answer.content
    assert not Policy.objects.exists()


def test_a_text_is_tried_and_kept_nowhere(browser):
    browser.post("/app/acme/policies/new/content/", content_form())
    before = ChangeRecord.objects.count()
    text = "falcon paid 4111 1111 1111 1111, says bob@example.com to help@example.com"
    answer = browser.post(f"{PAGE}try/", {"text": text, "direction": "response"})
    left = answer.content.decode()
    assert "[redacted] paid [redacted:card], says [redacted:email] to help@" in left
    assert ChangeRecord.objects.count() == before
    empty = browser.post(f"{PAGE}try/", {"text": "", "direction": "response"})
    assert empty.status_code == 422


def test_a_refused_text_says_by_which_policy(browser):
    browser.post("/app/acme/policies/new/content/", content_form(action="deny"))
    answer = browser.post(f"{PAGE}try/", {"text": "FALCON", "direction": "request"})
    assert b"The call is refused by No cards" in answer.content


@pytest.mark.parametrize("role", ["auditor", "viewer"])
def test_readers_see_and_try_but_do_not_write(bob, role):
    Member.objects.filter(person=bob).update(role=role)
    reader = logged_in(bob)
    assert b"New upstream" not in reader.get(PAGE).content
    assert reader.get(NEW).status_code == 403
    assert reader.post(NEW, upstream_form()).status_code == 403
    tried = reader.post(f"{PAGE}try/", {"text": "a", "direction": "request"})
    assert tried.status_code == 200


def test_foreign_upstreams_are_absent(browser, charlie):
    foreign = logged_in(charlie)
    browser.post(NEW, upstream_form())
    upstream = Upstream.objects.get()
    for name in ("edit", "archive"):
        own = f"/app/globex/gateway/upstreams/{upstream.public_id}/{name}/"
        assert foreign.get(own).status_code == 404
        assert foreign.get(own.replace("globex", "acme")).status_code == 404
