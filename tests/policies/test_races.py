"""Two edits at once: one wins, the other hears of it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from django.db import connection

from accounts.actors import SYSTEM
from accounts.errors import StaleRevision
from accounts.services import create_account, create_bot, update_bot
from policies import rules
from policies.models import PolicyRevision
from policies.services import create_policy, replace_policy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EDITORS = 4

pytestmark = pytest.mark.django_db(transaction=True)


def _at_once(edit):
    """Run an edit in several threads that start together; return who succeeded."""
    start = Barrier(EDITORS)

    def run(number):
        try:
            start.wait(60)
            edit(number)
        except StaleRevision:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(EDITORS) as pool:
        return list(pool.map(run, range(EDITORS)))


def test_one_of_several_editors_of_a_policy_wins():
    acme = create_account(slug="acme", owner_email="alice@x.org", now=NOW)
    window = {"kind": "lifetime"}
    draft = {
        "type": "usage",
        "name": "Cap",
        "limits": [{"metric": "calls", "threshold": 1, "window": window}],
        "actions": {"warn": {}},
    }
    policy = create_policy(
        account=acme, document=rules.parse(draft), actor=SYSTEM, now=NOW
    )

    won = _at_once(
        lambda number: replace_policy(
            policy=policy,
            document=rules.parse({**draft, "name": f"Cap {number}"}),
            actor=SYSTEM,
            now=NOW,
            expected_revision=1,
        )
    )
    assert sorted(won) == [False] * (EDITORS - 1) + [True]
    policy.refresh_from_db()
    assert policy.name == f"Cap {won.index(True)}"
    numbers = PolicyRevision.objects.values_list("number", flat=True)
    assert sorted(numbers) == [1, 2]


def test_one_of_several_editors_of_a_bot_wins():
    acme = create_account(slug="acme", owner_email="alice@x.org", now=NOW)
    bot = create_bot(account=acme, name="Bot", actor=SYSTEM, now=NOW)

    won = _at_once(
        lambda number: update_bot(
            bot=bot,
            changes={"name": f"Bot {number}"},
            actor=SYSTEM,
            now=NOW,
            expected_revision=1,
        )
    )
    assert sorted(won) == [False] * (EDITORS - 1) + [True]
    bot.refresh_from_db()
    assert (bot.name, bot.revision) == (f"Bot {won.index(True)}", 2)
