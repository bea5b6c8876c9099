"""The status page: what lives, what waits, and what to do about it."""

import tomllib
from datetime import timedelta

import pytest
from django.conf import settings

from accounts import heartbeats
from alerts.models import Delivery
from dashboard.condition import checks
from gateway.services import create_upstream
from retention.models import PruneRun
from usage.models import RollupProgress

pytestmark = pytest.mark.django_db
AT = "/app/acme/status/"


@pytest.fixture
def alive(now):
    for part in (heartbeats.WORKER, heartbeats.CLOCK):
        heartbeats.beat(part=part, now=now)


def states(account, now):
    return [(each.state, each.word) for each in checks(account, now)]


def test_all_is_well(browser, account, alive):
    page = browser.get(AT).content.decode()
    assert "Everything works." in page
    assert settings.POLICYHUB_VERSION in page
    part = browser.get(AT, HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in part
    assert 'hx-trigger="every 15s"' in part


def test_the_version_is_the_projects():
    said = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())
    assert said["project"]["version"] == settings.POLICYHUB_VERSION


def test_silence_is_told(browser, account, alive, now):
    page = browser.get(AT).content.decode()
    assert "Silent" not in page
    later = now + timedelta(minutes=3)
    RollupProgress.objects.update_or_create(id=1, defaults={"updated_at": now})
    assert states(account, later)[:3] == [
        ("warning", "Behind"),
        ("failed", "Silent"),
        ("warning", "Silent"),
    ]


def test_the_outbox_is_told(account, alive, now):
    Delivery.objects.create(account=account, channel="email", next_attempt_at=now)
    assert ("failed", "Behind") not in states(account, now)
    found = checks(account, now + timedelta(minutes=70))[3]
    assert (found.word, found.text) == (
        "Behind",
        "The oldest message has been waiting for 1 h 10 min.",
    )
    Delivery.objects.update(state="failed")
    assert checks(account, now)[3].text == "1 message was given up within a day."


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("completed", "Runs"),
        ("running", "Runs"),
        ("waiting", "Waits for you"),
        ("failed", "Failed"),
    ],
)
def test_the_last_run_is_told(account, keeper, now, state, word):
    assert checks(account, now)[4].word == "Waits"
    PruneRun.objects.create(
        account=account,
        policy=keeper,
        policy_revision=1,
        target="conversations",
        cutoff=now,
        state=state,
        started_at=now,
    )
    assert checks(account, now)[4].word == word


def test_the_gateway_is_told(account, actor, now, settings):
    assert checks(account, now)[5].word == "Echo"
    settings.GATEWAY_ECHO = False
    assert checks(account, now)[5].word == "No upstream"
    values = {"name": "One", "base_url": "https://api.example.com/v1"}
    made = create_upstream(account=account, values=values, actor=actor, now=now)
    assert checks(account, now)[5].text == "Calls go to 1 upstream."
    made.enabled = False
    made.save()
    assert checks(account, now)[5].word == "Closed"
