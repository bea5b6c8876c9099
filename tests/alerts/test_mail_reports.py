"""What mail services report over HTTP: signed or secret, and what becomes of it."""

import hmac
import importlib
import json
from base64 import b64encode
from hashlib import sha256

import pytest
from django.urls import clear_url_caches

from alerts.models import Undeliverable
from policyhub import urls

pytestmark = pytest.mark.django_db

SECRET, SIGNING_KEY = "reporter:a-secret-of-enough-length", "key-of-the-service"
BOUNCE = {
    "RecordType": "Bounce",
    "Type": "HardBounce",
    "TypeCode": 1,
    "Email": "ops@example.com",
    "Description": "no such user",
    "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
    "BouncedAt": "2026-11-20T10:00:00Z",
}


@pytest.fixture
def reported(settings, client):
    """Post a report to a service's URL, as if the setting had been there at start."""
    settings.POLICYHUB_MAIL_EVENTS = True
    settings.ANYMAIL = {
        "WEBHOOK_SECRET": SECRET,
        "MAILGUN_WEBHOOK_SIGNING_KEY": SIGNING_KEY,
    }
    importlib.reload(urls)
    clear_url_caches()

    def post(service, document, secret=SECRET):
        word = b64encode(secret.encode()).decode()
        return client.post(
            f"/anymail/{service}/tracking/",
            json.dumps(document),
            content_type="application/json",
            headers={"Authorization": f"Basic {word}"} if secret else {},
        )

    yield post
    settings.POLICYHUB_MAIL_EVENTS = False
    importlib.reload(urls)
    clear_url_caches()


def mailgun(recipient, key=SIGNING_KEY):
    stamp, token = "1795168800", "t" * 50
    signature = hmac.new(key.encode(), f"{stamp}{token}".encode(), sha256).hexdigest()
    return {
        "signature": {"timestamp": stamp, "token": token, "signature": signature},
        "event-data": {
            "event": "failed",
            "severity": "permanent",
            "reason": "bounce",
            "timestamp": 1795168800.5,
            "id": "Ase7i2zsRYeDXztHGENqRA",
            "recipient": recipient,
            "delivery-status": {"message": "", "description": "mailbox is gone"},
            "message": {"headers": {"message-id": "1@example.com"}},
        },
    }


def test_a_bounce_with_the_secret_marks_the_recipient(reported):
    assert reported("postmark", BOUNCE).status_code == 200

    marked = Undeliverable.objects.get()
    assert (marked.address, marked.reason) == ("ops@example.com", "bounced")
    assert marked.detail == "no such user"


@pytest.mark.parametrize("secret", ["", "reporter:guessed"])
def test_nobody_without_the_secret_rules_an_address_out(reported, secret):
    assert reported("postmark", BOUNCE, secret).status_code == 400
    assert not Undeliverable.objects.exists()


def test_a_signed_bounce_marks_the_recipient_and_a_forged_one_does_not(reported):
    forged = mailgun("alice@example.com", key="another key")
    assert reported("mailgun", forged).status_code == 400
    assert reported("mailgun", mailgun("ops@example.com")).status_code == 200

    assert Undeliverable.objects.get().address == "ops@example.com"


@pytest.mark.parametrize("document", [[], "x", 5, None])
def test_what_is_no_report_is_refused(reported, document):
    assert reported("postmark", document).status_code == 400
    assert not Undeliverable.objects.exists()


def test_a_delivery_rules_nothing_out(reported):
    document = {**BOUNCE, "RecordType": "Delivery", "Recipient": "ops@example.com"}

    assert reported("postmark", document).status_code == 200
    assert not Undeliverable.objects.exists()


def test_without_the_setting_there_is_no_such_url(client):
    assert client.post("/anymail/postmark/tracking/").status_code == 404
