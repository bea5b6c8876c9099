"""Alice owns an account, Bob is her teammate, Charlie owns another one."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from accounts.actors import Actor
from accounts.models import Member, Person
from accounts.services import add_member, create_account, create_bot, create_key
from policies.rules import parse
from usage import edits, ledger
from usage.entries import EventIn

PASSWORD = "correct horse battery"


def usage_document(**changes):
    return parse(
        {
            "type": "usage",
            "name": "Daily cap",
            "limits": [
                {
                    "metric": "tokens",
                    "threshold": 1000,
                    "window": {"kind": "calendar", "unit": "day"},
                }
            ],
            "actions": {"block": {"duration_seconds": 3600}, "email": {}},
            "alert_steps": [80, 100],
            **changes,
        }
    )


def retention_document(**changes):
    rule = {"target": "conversations", "max_age_days": 30}
    return parse(
        {"type": "retention", "name": "Keep 30 days", "retention": rule, **changes}
    )


@pytest.fixture
def now():
    return datetime.now(UTC)


@pytest.fixture
def account(db, now):
    return create_account(
        slug="acme",
        owner_email="alice@example.com",
        name="Acme",
        now=now,
        password=PASSWORD,
    )


@pytest.fixture
def alice(account):
    return Person.objects.get(email="alice@example.com")


@pytest.fixture
def bob(account, alice, now):
    """A teammate, an operator until a test gives him another role."""
    return _teammate(account, alice, Member.Role.OPERATOR, now)


@pytest.fixture
def charlie(db, now):
    create_account(
        slug="globex", owner_email="charlie@example.com", name="Globex", now=now
    )
    return Person.objects.get(email="charlie@example.com")


def _teammate(account, alice, role, now):
    bob = Person.objects.create_user("bob@example.com", PASSWORD)
    actor = Actor.person(alice)
    add_member(account=account, person=bob, role=role, actor=actor, now=now)
    return bob


@pytest.fixture
def as_role(account, alice, bob, now):
    """Return a client of Bob in any role."""

    def become(role):
        actor = Actor.person(alice)
        add_member(account=account, person=bob, role=role, actor=actor, now=now)
        return logged_in(bob)

    return become


def logged_in(person):
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def browser(alice):
    """Alice's client."""
    return logged_in(alice)


@pytest.fixture
def actor(alice):
    return Actor.person(alice)


@pytest.fixture
def bot(account, actor, now):
    return create_bot(account=account, name="Support bot", actor=actor, now=now)


@pytest.fixture
def policy(account, actor, bot, now):
    document = usage_document(scope={"bot": bot.public_id})
    return edits.create_policy(account=account, document=document, actor=actor, now=now)


@pytest.fixture
def keeper(account, actor, now):
    """A retention policy."""
    return edits.create_policy(
        account=account, document=retention_document(), actor=actor, now=now
    )


@pytest.fixture
def key(account, actor, now):
    made, _ = create_key(
        account=account, name="First", scopes=["decide"], actor=actor, now=now
    )
    return made


@pytest.fixture
def crossed(account, bot, policy, now):
    """The daily cap is spent: an alert is open and a block stands."""
    event = EventIn(bot=bot.public_id, tokens=1000)
    results = ledger.record_events(account=account, events=[event], now=now)
    assert results[0].status == "recorded"
    return results
