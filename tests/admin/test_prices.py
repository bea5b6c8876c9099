"""An admin writes prices through the service; nothing else holds the form."""

import pytest
from django.urls import reverse

from accounts.models import ChangeRecord
from tests.admin.conftest import NOW
from usage.models import Price
from usage.prices import price_list

pytestmark = pytest.mark.django_db


def url(page, *args):
    return reverse(f"admin:usage_price_{page}", args=args)


def test_a_price_is_added_changed_and_deleted(admin_client, account):
    version = account.version
    form = {"account": account.id, "model": "house-*", "input": 10, "output": 20}
    assert admin_client.post(url("add"), form).status_code == 302
    price = Price.objects.get()
    changed = {"model": "house-*", "input": "", "output": "", "total": 5}
    assert admin_client.post(url("change", price.id), changed).status_code == 302
    assert price_list(account).quote("house-1", NOW).total == 5
    sent = {"action": "delete", "_selected_action": [price.id], "confirmed": "yes"}
    admin_client.post(url("changelist"), sent)

    assert not Price.objects.exists()
    account.refresh_from_db()
    assert account.version == version + 3
    labels = ChangeRecord.objects.filter(target=price.public_id)
    assert set(labels.values_list("actor_label", flat=True)) == {"root@example.com"}


@pytest.mark.parametrize("text", ["", "0", "abc", "a\x00b", "<b>", "9" * 400])
def test_an_account_that_is_none_is_told_beside_its_field(admin_client, text):
    form = {"account": text, "model": "house-*", "input": 10, "output": 20}
    answer = admin_client.post(url("add"), form)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert 'value="house-*"' in answer.content.decode()
    assert not Price.objects.exists()


def test_a_price_of_both_kinds_is_refused(admin_client, account):
    form = {"account": account.id, "model": "house-*", "input": 10, "total": 20}
    answer = admin_client.post(url("add"), form, follow=True)

    assert "price_is_flat_or_split" in answer.content.decode()
    assert not Price.objects.exists()
