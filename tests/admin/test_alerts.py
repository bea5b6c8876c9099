"""Endpoints and recipients in the admin: switched by services, no secret shown."""

import pytest
from django.urls import reverse

from accounts.actors import SYSTEM
from accounts.models import ChangeRecord
from alerts.models import Undeliverable, Webhook
from alerts.services import create_webhook
from tests.admin.conftest import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(account):
    return create_webhook(
        account=account,
        url="https://hooks.example.com/",
        types=["*"],
        actor=SYSTEM,
        now=NOW,
    )


def act(client, model, row, action):
    path = reverse(f"admin:alerts_{model}_changelist")
    form = {"action": action, "_selected_action": [str(row.pk)], "confirmed": "1"}
    return client.post(path, form, follow=True)


def test_an_endpoint_is_shown_without_its_secret(admin_client, made):
    webhook, secret = made
    page = admin_client.get(
        reverse("admin:alerts_webhook_change", args=[webhook.pk])
    ).content.decode()

    assert "https://hooks.example.com/" in page
    assert secret not in page
    assert webhook.secrets[0]["sealed"][:20] not in page


def test_an_endpoint_is_disabled_and_enabled_by_the_service(admin_client, made):
    webhook, _ = made
    act(admin_client, "webhook", webhook, "disable")
    assert not Webhook.objects.get().enabled
    act(admin_client, "webhook", webhook, "enable")
    assert Webhook.objects.get().enabled
    assert ChangeRecord.objects.filter(action="webhook.updated").count() == 2


def test_a_bounced_address_can_get_mail_again(admin_client):
    marked = Undeliverable.objects.create(address="a@example.com", reason="bounced")
    act(admin_client, "undeliverable", marked, "mail_again")
    assert not Undeliverable.objects.exists()
