"""Sample accounts: filled by the worker, apart from what is real, removed wholly."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from accounts.actors import SYSTEM, Actor
from accounts.models import Account, ApiKey, Bot, ChangeRecord
from accounts.services import (
    create_account,
    create_bot,
    create_key,
    delete_sample,
    left_samples,
    open_sample,
    remove_sample,
)
from accounts.services.samples import _models_of_accounts
from alerts.models import Delivery
from policies.models import Policy
from policyhub import tasks
from policyhub.demo import samples
from policyhub.demo.samples import fill_samples
from usage.models import Counter, UsageEvent

NOW = datetime(2026, 3, 18, 15, 42, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return create_account(slug="acme", owner_email="alice@example.com", now=NOW)


@pytest.fixture
def alice(acme):
    return acme.members.get().person


@pytest.fixture
def sample(acme, alice):
    return open_sample(account=acme, owner=alice, name="Sample data of acme", now=NOW)


def rows_of(account):
    with connection.cursor() as cursor:
        for model in _models_of_accounts():
            cursor.execute(
                f"SELECT count(*) FROM {model._meta.db_table} WHERE account_id = %s",
                [account.id],
            )
            count = cursor.fetchone()[0]
            if count:
                yield model._meta.label, count


def test_a_sample_is_filled_once_and_nothing_of_it_is_real(acme, sample, mailoutbox):
    bot = create_bot(account=acme, name="Mine", actor=SYSTEM, now=NOW)
    assert fill_samples(now=NOW, days=1) == 1
    sample.refresh_from_db()
    assert (sample.sample_percent, sample.sample_of) == (100, acme)
    assert Bot.objects.filter(account=sample).count() == 6
    assert Policy.objects.filter(account=sample, type="retention").count() == 2
    events = UsageEvent.objects.filter(account=sample).count()
    assert events > 50
    assert Delivery.objects.filter(account=sample).exists()
    assert not Delivery.objects.exclude(state="sent").exists()
    assert mailoutbox == []
    assert list(Bot.objects.filter(account=acme)) == [bot]
    for model in (UsageEvent, Counter, Policy, Delivery):
        assert not model.objects.filter(account=acme).exists()

    assert tasks.fill_samples() == 0
    assert UsageEvent.objects.filter(account=sample).count() == events


def test_what_is_removed_is_deleted_to_the_last_row(acme, alice, sample):
    fill_samples(now=NOW, days=1)
    before = dict(rows_of(acme))
    remove_sample(account=sample, actor=Actor.person(alice), now=NOW)
    assert left_samples() == [sample]
    again = open_sample(account=acme, owner=alice, name="Another", now=NOW)
    assert again.slug == "acme-sample-2"

    assert fill_samples(now=NOW, days=1) == 2

    connection.check_constraints()
    assert list(rows_of(sample)) == []
    assert not Account.objects.filter(id=sample.id).exists()
    before["accounts.ChangeRecord"] += 2  # that it went, and that another came
    assert dict(rows_of(acme)) == before


def test_nothing_else_is_deleted_whatever_is_given(acme, sample):
    fill_samples(now=NOW, days=1)
    for account in (acme, sample):
        before = dict(rows_of(account))
        assert delete_sample(account) == 0
        assert dict(rows_of(account)) == before


def test_a_key_of_a_removed_sample_stays_revoked(alice, sample):
    key, _ = create_key(
        account=sample, name="k", scopes=["decide"], actor=SYSTEM, now=NOW
    )
    remove_sample(account=sample, actor=Actor.person(alice), now=NOW)
    assert fill_samples(now=NOW) == 1
    assert ApiKey.objects.get(id=key.id).revoked_at == NOW
    assert {label for label, _ in rows_of(sample)} == {
        "accounts.ApiKey",
        "accounts.ChangeRecord",
    }
    assert fill_samples(now=NOW) == 0


def test_removed_while_it_is_filled(monkeypatch, alice, sample):
    note, seen = samples._note, []

    def removed(account, percent):
        if percent >= 20 and not seen:
            seen.append(percent)
            remove_sample(account=account, actor=Actor.person(alice), now=NOW)
        note(account, percent)

    monkeypatch.setattr(samples, "_note", removed)
    assert fill_samples(now=NOW, days=1) == 0
    assert not ChangeRecord.objects.filter(action="demo.completed").exists()
    assert fill_samples(now=NOW, days=1) == 1
    assert not Account.objects.filter(id=sample.id).exists()
