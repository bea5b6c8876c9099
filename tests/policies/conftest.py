"""Alice's account with a bot, and Charlie's."""

import pytest

from accounts.services import create_account, create_bot
from tests.policies.written import ALICE, NOW


@pytest.fixture
def acme():
    return create_account(slug="acme", owner_email="alice@x.org", now=NOW)


@pytest.fixture
def rival():
    return create_account(slug="rival", owner_email="charlie@x.org", now=NOW)


@pytest.fixture
def bot(acme):
    return create_bot(account=acme, name="Bot", actor=ALICE, now=NOW)
