"""Alice owns an account and Bob works in it; Charlie owns another one.

Models are imported inside: pytest may read this file before Django is set up.
"""

import pytest
from django.utils import timezone


@pytest.fixture
def acme(db):
    from accounts.services import create_account

    return create_account(slug="acme", owner_email="alice@x.org", now=timezone.now())


@pytest.fixture
def rival(db):
    from accounts.services import create_account

    return create_account(slug="rival", owner_email="charlie@x.org", now=timezone.now())


@pytest.fixture
def alice(acme):
    from accounts.models import Person

    return Person.objects.get(email="alice@x.org")


@pytest.fixture
def bob(acme):
    from accounts.actors import SYSTEM
    from accounts.models import Member, Person
    from accounts.services import add_member

    person = Person.objects.create_user("bob@x.org")
    add_member(
        account=acme,
        person=person,
        role=Member.Role.OPERATOR,
        actor=SYSTEM,
        now=timezone.now(),
    )
    return person


@pytest.fixture
def api(acme):
    """A key of Alice's account that may do everything."""
    from tests.api.client import key_api

    return key_api(acme)


@pytest.fixture
def stranger(rival):
    """A key of Charlie's account that may do everything there."""
    from tests.api.client import key_api

    return key_api(rival)


@pytest.fixture
def bot(acme):
    from accounts.actors import SYSTEM
    from accounts.services import create_bot

    return create_bot(account=acme, name="Support", actor=SYSTEM, now=timezone.now())


@pytest.fixture
def project(acme):
    from accounts.actors import SYSTEM
    from accounts.services import create_project

    return create_project(
        account=acme,
        name="Europe",
        external_id="europe",
        actor=SYSTEM,
        now=timezone.now(),
    )


@pytest.fixture
def project_api(acme, project):
    """A key that is bound to the project `Europe`."""
    from tests.api.client import key_api

    return key_api(acme, project=project)


@pytest.fixture
def document() -> dict:
    """A usage policy as a client writes it."""
    return {
        "type": "usage",
        "name": "Daily cap",
        "limits": [
            {
                "metric": "tokens",
                "threshold": 1000,
                "window": {"kind": "calendar", "unit": "day"},
            }
        ],
        "actions": {"throttle": {}},
    }


@pytest.fixture
def used(acme, bot):
    """Say what was used: one rollup, and the summaries of the account anew."""
    from tests.api.used import MARCH, use

    def say(at=MARCH, *, account=acme, by=bot, **values):
        use(at, account=account, by=by, **values)

    return say


@pytest.fixture
def other(acme):
    from accounts.actors import SYSTEM
    from accounts.services import create_bot
    from tests.api.used import MARCH

    return create_bot(account=acme, name="=Other", actor=SYSTEM, now=MARCH)
