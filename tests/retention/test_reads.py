"""What is shown before and after pruning: previews, what is pending, receipts."""

import pytest

from accounts.errors import NotFound, UnknownReference
from retention import previews, selectors
from tests.retention.house import DAY, NOW, House
from usage.models import Conversation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house():
    return House()


def test_a_preview_deletes_nothing_and_is_right(house):
    rows = [house.conversation(age) for age in (0.5, 3, 29, 31, 400)]
    policy = house.policy(rollout_mode="shadow")

    shown = previews.preview(account=house.account, policy=policy, now=house.now)

    assert (shown["due"], shown["held"], shown["total"]) == (2, 0, 5)
    assert shown["oldest"] == NOW - 400 * DAY
    assert shown["sample"] == [rows[4].public_id, rows[3].public_id]
    counts = {row["from_days"]: row["count"] for row in shown["histogram"]}
    assert counts[0] == counts[1] == counts[14] == counts[30] == counts[365] == 1
    assert sum(counts.values()) == 5
    assert Conversation.objects.count() == 5


def test_a_preview_takes_a_draft(house):
    house.conversation(8)
    draft = house.policy(days=7).document

    shown = previews.preview(account=house.account, policy=draft, now=house.now)

    assert shown["due"] == 1


@pytest.mark.parametrize("bot", ["bot_x", "nobody"])
def test_a_draft_about_something_unknown_is_refused(house, bot):
    draft = {**house.policy().document, "scope": {"bot": bot}}

    with pytest.raises(UnknownReference):
        previews.preview(account=house.account, policy=draft, now=house.now)


def test_what_is_pending_is_visible(house):
    house.conversation(31)
    policy = house.policy()
    run = house.prune(policy)

    (row,) = selectors.pending(house.account, [policy], house.now)

    assert (row.policy, row.due, row.last_run, row.open_run) == (policy, 1, run, run)
    assert (row.oldest, row.overdue_since) == (NOW - 31 * DAY, NOW)
    assert row.last_success is None


def test_receipts_are_the_accounts_own(house):
    house.conversation(31)
    run = house.prune(house.policy(), confirmed=True)
    stranger = House("charlie")

    assert selectors.run_of(house.account, run.public_id) == run
    assert list(selectors.runs(house.account, run.policy)) == [run]
    assert not selectors.runs(stranger.account).exists()
    for public_id in (run.public_id, "run_x"):
        with pytest.raises(NotFound):
            selectors.run_of(stranger.account, public_id)
