"""The page that asks an address whether it wants mail: only a signed POST counts."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts.services import create_account
from alerts.confirming import link_to_confirm
from alerts.models import Recipient

pytestmark = pytest.mark.django_db


@pytest.fixture
def recipient():
    account = create_account(slug="acme", owner_email="alice@x.org", now=timezone.now())
    return Recipient.objects.create(account=account, address="ops@x.org")


@pytest.fixture
def path(recipient, settings):
    return link_to_confirm(recipient).removeprefix(settings.POLICYHUB_SITE_URL)


def test_following_the_link_shows_a_button_and_does_nothing(recipient, path):
    page = Client().get(path)

    assert page.status_code == 200
    assert "ops@x.org" in page.content.decode()
    policy = page["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    recipient.refresh_from_db()
    assert recipient.confirmed_at is None


def test_pressing_the_button_confirms_once(recipient, path):
    client = Client()
    assert "Confirmed" in client.post(path).content.decode()
    recipient.refresh_from_db()
    first = recipient.confirmed_at
    assert first is not None
    client.post(path)
    recipient.refresh_from_db()
    assert recipient.confirmed_at == first
    assert "Confirmed" in client.get(path).content.decode()


def test_a_post_from_elsewhere_is_refused(recipient, path):
    assert Client(enforce_csrf_checks=True).post(path).status_code == 403
    recipient.refresh_from_db()
    assert recipient.confirmed_at is None


def test_a_forged_or_stale_link_is_nothing(recipient, path):
    assert Client().get("/confirm/x/").status_code == 404
    assert Client().get(path[:-5] + "AAAA/").status_code == 404
    recipient.delete()
    assert Client().post(path).status_code == 404
