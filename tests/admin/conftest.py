"""An admin who is logged in, and one row of everything there is to show."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from accounts.actors import SYSTEM
from accounts.models import Account, Bot, Person
from accounts.services import create_account, create_bot, create_key, create_project
from policies import rules
from policies.models import Policy
from usage import edits, ledger
from usage.entries import CallIn, EventIn

NOW = datetime.now(UTC)


@pytest.fixture
def admin_client(db) -> Client:
    """The client of somebody who administers the installation."""
    person = Person.objects.create_superuser("root@example.com", "correct horse")
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def account(db) -> Account:
    return create_account(slug="acme", owner_email="alice@example.com", now=NOW)


@pytest.fixture
def bot(account) -> Bot:
    project = create_project(account=account, name="Care", actor=SYSTEM, now=NOW)
    return create_bot(
        account=account, name="Desk", project=project, actor=SYSTEM, now=NOW
    )


def write_policy(account: Account, **changes) -> Policy:
    window = {"kind": "calendar", "unit": "day", "timezone": "UTC"}
    document = {
        "type": "usage",
        "name": "Daily cap",
        "limits": [{"metric": "tokens", "threshold": 1000, "window": window}],
        "actions": {"block": {"duration_seconds": 3600}, "email": {}},
    }
    return edits.create_policy(
        account=account,
        document=rules.parse(document | changes),
        actor=SYSTEM,
        now=NOW,
    )


@pytest.fixture
def crossed(account, bot) -> Policy:
    """A policy that its bot has crossed: a block, an alert and a delivery stand."""
    policy = write_policy(account, scope={"bot": bot.public_id})
    create_key(account=account, name="CI", scopes=["*"], bot=bot, actor=SYSTEM, now=NOW)
    event = EventIn(
        bot=bot.public_id, tokens=1200, model="gpt-4o-mini", conversation="c-1"
    )
    # Today, that is; `NOW` may have been yesterday.
    now = datetime.now(UTC)
    ledger.record_events(account=account, events=[event], now=now)
    ledger.authorize(account=account, call=CallIn(bot=bot.public_id), now=now)
    return policy
