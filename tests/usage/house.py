"""An account with a bot, and short ways to write a policy and to call the ledger."""

from datetime import UTC, datetime, timedelta

from accounts.actors import SYSTEM
from accounts.services import create_account, create_bot
from policies.rules import parse
from policies.services import create_policy
from usage.entries import CallIn, EventIn
from usage.ledger import authorize, record_events, release

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
DAY = {"kind": "calendar", "unit": "day", "timezone": "UTC"}


class House:
    """Alice's account: `now` is the moment of every act, moved by the test."""

    def __init__(self, slug="alice", now=NOON):
        self.now = now
        self.account = create_account(
            slug=slug, owner_email=f"{slug}@example.com", now=now
        )
        self.bot = self.add_bot("helper")

    def later(self, **span):
        self.now += timedelta(**span)

    def add_bot(self, name, **fields):
        return create_bot(
            account=self.account, name=name, actor=SYSTEM, now=self.now, **fields
        )

    def policy(self, *, threshold=1000, metric="tokens", window=None, **fields):
        document = {
            "type": "usage",
            "name": "Daily cap",
            "limits": [
                {"metric": metric, "threshold": threshold, "window": window or DAY}
            ],
            "actions": {"throttle": {}},
        }
        return create_policy(
            account=self.account,
            document=parse(document | fields),
            actor=SYSTEM,
            now=self.now,
        )

    def ask(self, *, bot=None, reserve=False, ttl_seconds=600, **fields):
        estimate = fields.pop("estimate", None)
        amounts = ("tokens", "input_tokens", "output_tokens", "calls", "cost")
        said = {name: fields.pop(name) for name in amounts if name in fields}
        call = CallIn(
            bot=(bot or self.bot).public_id,
            estimate=said or estimate,
            reserve=reserve,
            ttl_seconds=ttl_seconds,
            **fields,
        )
        return authorize(account=self.account, call=call, now=self.now).body

    def hold(self, **fields):
        return self.ask(reserve=True, **fields)

    def send(self, **fields):
        bot = fields.pop("bot", self.bot)
        event = EventIn(bot=getattr(bot, "public_id", bot), **fields)
        (result,) = record_events(account=self.account, events=[event], now=self.now)
        return result

    def release(self, reservation_id):
        return release(
            account=self.account, reservation_id=reservation_id, now=self.now
        ).body
