"""Keys on pages: scopes one by one, the old one good for as long as was chosen."""

from datetime import timedelta

import pytest

from accounts.models import ApiKey

pytestmark = pytest.mark.django_db
AT = "/app/acme/keys/"


def test_scopes_are_ticked_one_by_one(browser, account):
    typed = {"name": "CI", "use": "custom"}
    assert browser.post(f"{AT}new/", typed).status_code == 422
    typed["scopes"] = ["decide", "audit:read"]
    page = browser.post(f"{AT}new/", typed).content.decode()
    assert ApiKey.objects.get().scopes == ["audit:read", "decide"]
    assert "POLICYHUB_KEY=phk_live_" in page
    assert 'data-copy="code-env"' in page
    assert browser.post(f"{AT}new/", {**typed, "scopes": ["x"]}).status_code == 422


@pytest.mark.parametrize(("overlap", "seconds"), [("3600", 3600), ("", 86_400)])
def test_the_old_key_stays_good_for_a_while(browser, key, now, overlap, seconds):
    at = f"{AT}{key.public_id}/rotate/"
    assert "stays good for" in browser.get(at).content.decode()
    page = browser.post(at, {"overlap": overlap}).content.decode()
    assert "stays good until" in page
    key.refresh_from_db()
    gone = key.expires_at - now - timedelta(seconds=seconds)
    assert timedelta(0) <= gone < timedelta(seconds=60)
    assert f"…{key.last4}" in browser.get(AT).content.decode()
    assert browser.post(at, {"overlap": "7"}).status_code == 422


def test_the_list_says_who_made_it_and_leads_to_its_decisions(browser, key, now):
    ApiKey.objects.update(last_used_at=now)
    page = browser.get(AT).content.decode()
    assert key.created_by in page
    assert f'href="/app/acme/decisions/?key={key.public_id}"' in page
