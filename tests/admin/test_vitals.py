"""The index says how the installation does; accounts are seen without a role."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils.timezone import now

from accounts import heartbeats
from alerts.models import Delivery
from policyhub.vitals import vitals

pytestmark = pytest.mark.django_db


def named(moment):
    return {vital.name: vital for vital in vitals(moment)}


def timeless(text):
    return re.sub(r"\d+", r"\\d+", re.escape(text))


def test_the_index_shows_every_part(
    admin_client, crossed, django_assert_max_num_queries
):
    with django_assert_max_num_queries(25):
        page = admin_client.get(reverse("admin:index")).content.decode()
    assert "How the installation does" in page
    for vital in vitals(now()):
        assert vital.name in page
        # Its numbers go on while the page is on its way.
        assert re.search(timeless(vital.text.split(";")[0]), page), vital
        if vital.address:
            assert admin_client.get(vital.address).status_code == 200


def test_a_silent_worker_and_a_slow_outbox_are_told(crossed):
    moment = now()
    heartbeats.beat(part=heartbeats.WORKER, now=moment)
    heartbeats.beat(part=heartbeats.CLOCK, now=moment)
    Delivery.objects.update(next_attempt_at=moment)
    found = named(moment)
    assert found["Worker"].is_well
    assert found["Outbox"].is_well
    assert "1 open in 1 accounts" in found["Alerts"].text
    assert found["Blocks"].text.startswith("1 in force")
    later = named(moment + timedelta(hours=1))
    assert not later["Worker"].is_well
    assert not later["Clock"].is_well
    assert not later["Outbox"].is_well
    Delivery.objects.update(state=Delivery.State.FAILED)
    assert not named(moment)["Outbox"].is_well


def test_an_account_is_seen_and_the_look_is_kept(admin_client, account, crossed, bot):
    address = reverse("support", args=[account.id])
    change = reverse("admin:accounts_account_change", args=[account.id])
    assert address in admin_client.get(change).content.decode()
    page = admin_client.get(address).content.decode()
    for text in ("alice@example.com", "Desk", "Daily cap", "blocked until", "CI"):
        assert text in page
    entry = LogEntry.objects.get()
    assert entry.get_change_message() == "Support view opened."
    assert entry.object_id == str(account.id)
    assert admin_client.post(address).status_code == 405


def test_nobody_else_sees_it(client, account, admin_client):
    address = reverse("support", args=[account.id])
    answer = client.get(address)
    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]
    absent = reverse("support", args=["00000000-0000-7000-8000-000000000000"])
    assert admin_client.get(absent).status_code == 404
