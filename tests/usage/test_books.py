"""What threads of one process remember together (CONTRACT C9)."""

import pytest
from django.db import transaction

from accounts.actors import SYSTEM
from policies.services import revoke_bot
from tests.usage.house import House
from usage import ledger
from usage.batch import batch
from usage.drivers import drive
from usage.entries import CallIn, Item
from usage.work import Restart

pytestmark = pytest.mark.django_db(transaction=True)


def going_on(steps, wanted):
    """The rest of a batch that has said what it wants first."""
    while True:
        try:
            wanted = steps.send((yield wanted))
        except StopIteration as done:
            return done.value


@pytest.mark.parametrize("is_known", [True, False])
def test_a_newer_book_does_not_hide_that_ones_own_is_old(is_known):
    """One thread waits for an edit while another one has seen it already."""
    house = House()
    house.policy()
    assert house.ask()["decision"] == "allow"
    other = house.add_bot("other")
    house.ask()
    asked = CallIn(bot=(house.bot if is_known else other).public_id)
    steps = batch([Item(house.account.id, [asked])], books=ledger._BOOKS, now=house.now)
    wanted = next(steps)
    for bot in (house.bot, other):
        revoke_bot(bot=bot, actor=SYSTEM, reason="gone", now=house.now)
    assert house.ask()["decision"] == "deny"

    with pytest.raises(Restart), transaction.atomic():
        drive(going_on(steps, wanted))
    assert house.ask(bot=other)["decision"] == "deny"
