"""The page that asks an address whether it wants mail: only a signed POST counts."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts.services import create_account
from alerts.confirming import link_to_confirm, link_to_stop
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


def stop_path(recipient, settings):
    link = link_to_stop(account=recipient.account, address=recipient.address)
    return link.removeprefix(settings.POLICYHUB_SITE_URL)


def test_programs_for_mail_stop_it_with_one_click(recipient, path, settings):
    assert stop_path(recipient, settings) == ""  # nothing to stop yet
    Client().post(path)
    address = stop_path(recipient, settings)
    client = Client(enforce_csrf_checks=True)

    assert "Stop the alerts of" in client.get(address).content.decode()
    recipient.refresh_from_db()
    assert recipient.confirmed_at is not None
    for _ in range(2):
        answer = client.post(address, {"List-Unsubscribe": "One-Click"})
        assert "No more alerts of" in answer.content.decode()
    recipient.refresh_from_db()
    assert recipient.confirmed_at is None
    # Who changes their mind has the first mail still.
    assert "Confirmed" in Client().post(path).content.decode()


def test_a_link_to_confirm_does_not_stop_nor_the_other_way(recipient, path, settings):
    Client().post(path)
    address = stop_path(recipient, settings)
    token = path.rstrip("/").rpartition("/")[2]
    stops = address.rstrip("/").rpartition("/")[2]

    assert Client().post(f"/stop-mail/{token}/").status_code == 404
    assert Client().post(f"/confirm/{stops}/").status_code == 404
    assert Client().get("/stop-mail/x/").status_code == 404
    recipient.refresh_from_db()
    assert recipient.confirmed_at is not None
