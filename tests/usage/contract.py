"""More of the house, for the tests that go through the contract rule by rule."""

from datetime import UTC, datetime
from uuid import UUID

from accounts import ids
from accounts.actors import SYSTEM
from tests.usage.house import House
from usage import edits
from usage.entries import EventIn
from usage.ledger import record_events
from usage.models import Counter, Price, Reservation, UsageEvent

ROLLING = {"kind": "rolling", "seconds": 3600}
FIXED = {"kind": "fixed", "seconds": 3600}
LIFETIME = {"kind": "lifetime"}


class ContractHouse(House):
    """Alice's house with short ways to edit, to price and to look at counters."""

    def send_all(self, *events):
        """Record several events in one batch."""
        given = [{"bot": self.bot.public_id} | event for event in events]
        return record_events(
            account=self.account, events=[EventIn(**e) for e in given], now=self.now
        )

    def patch(self, policy, **changes):
        return edits.patch_policy(
            policy=policy,
            patch=changes,
            actor=SYSTEM,
            now=self.now,
            expected_revision=None,
        )

    def threshold(self, policy, amount, index=0):
        """Give one limit of a policy another threshold."""
        policy.refresh_from_db()
        limits = [dict(limit) for limit in policy.document["limits"]]
        limits[index]["threshold"] = amount
        return self.patch(policy, limits=limits)

    def price(self, model, **amounts):
        """Set a price of the account's own, in micro-USD a million tokens."""
        from accounts.services import bump_version

        bump_version(account_id=self.account.id)
        return Price.objects.create(
            id=ids.new_id(self.now), account=self.account, model=model, **amounts
        )

    def held(self, **fields):
        """Reserve and return the reservation's id."""
        answer = self.hold(**fields)
        assert answer["allowed"], answer["message"]
        return answer["reservation"]["id"]


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def counters():
    """(used, held) of every counter that has any, oldest window first."""
    rows = Counter.objects.exclude(used=0, held=0)
    rows = rows.order_by("window_start", "subject_key")
    return [(row.used, row.held) for row in rows]


def last_event():
    return UsageEvent.objects.order_by("-sequence").first()


def state_of(reservation_id):
    key: UUID = ids.decode_id("res", reservation_id)
    return Reservation.objects.get(id=key).state
