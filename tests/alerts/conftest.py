"""Accounts and alerts that the tests of this folder share.

Apps are imported inside: this file may be read before Django is set up.
"""

from datetime import UTC, datetime

import pytest

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def account():
    from accounts.services import create_account

    return create_account(slug="alice", owner_email="alice@example.com", now=NOW)


@pytest.fixture
def stranger():
    from accounts.services import create_account

    return create_account(slug="charlie", owner_email="charlie@example.com", now=NOW)


@pytest.fixture
def opened(account):
    from alerts.services import open_alert

    def open_one(number=0, recipients=(("email", ""),), **facts):
        values = {
            "account": account,
            "kind": "limit",
            "policy_id": "pol_1",
            "policy_name": "Daily cap",
            "counter": f"counter {number}",
            "window_start": NOW,
            "message": "Daily cap: 1,000 of 1,000 tokens used.",
            "recipients": recipients,
            "now": NOW,
        }
        return open_alert(**{**values, **facts})

    return open_one
