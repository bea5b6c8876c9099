"""Signs of life: written now and then, read by whoever wants to know."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts import heartbeats
from accounts.actors import SYSTEM
from accounts.models import ChangeRecord
from accounts.services import create_account, finish_start
from alerts.tasks import beat

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_pulse_is_written_every_quarter_of_a_minute():
    pulse = heartbeats.Pulse(heartbeats.WORKER)
    written = [pulse(NOW + timedelta(seconds=passed)) for passed in (0, 1, 14, 15, 29)]
    assert written == [1, 0, 0, 1, 0]
    assert heartbeats.beats() == {"worker": NOW + timedelta(seconds=15)}


def test_a_clock_that_was_set_back_does_not_silence_it():
    pulse = heartbeats.Pulse(heartbeats.WORKER)
    pulse(NOW)
    assert pulse(NOW - timedelta(hours=1)) == 1


def test_the_clock_says_that_work_arrives():
    beat()
    assert list(heartbeats.beats()) == ["clock"]


def test_the_first_steps_are_done_once():
    account = create_account(slug="acme", owner_email="alice@example.com", now=NOW)
    assert account.started_at is None
    for passed in (1, 2):
        moment = NOW + timedelta(hours=passed)
        finish_start(account=account, actor=SYSTEM, now=moment)
    account.refresh_from_db()
    assert account.started_at == NOW + timedelta(hours=1)
    assert ChangeRecord.objects.filter(action="account.started").count() == 1
