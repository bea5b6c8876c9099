"""Alice's account with a bot, and short ways to make rows of any age."""

from datetime import UTC, datetime, timedelta

from accounts import ids, partitions
from accounts.actors import SYSTEM
from accounts.models import Account, Bot
from accounts.services import create_account, create_bot, create_project
from audit.models import DecisionRecord
from policies.models import Policy
from policies.rules import parse
from policies.services import create_policy
from retention.services import prune_policy
from tests.usage.quiet import until_others_have_ended
from usage.conversations import append_message, create_conversation
from usage.models import Conversation, Message, UsageEvent

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class House:
    """`now` is the moment of every act; ages are in days before it."""

    def __init__(self, slug: str = "alice") -> None:
        self.now = NOW
        self.account: Account = create_account(
            slug=slug, owner_email=f"{slug}@example.com", now=NOW - 999 * DAY
        )
        self.bot: Bot = self.add_bot("helper")

    def add_bot(self, name: str, **fields) -> Bot:
        return create_bot(
            account=self.account, name=name, actor=SYSTEM, now=self.now, **fields
        )

    def add_project(self, name: str):
        return create_project(
            account=self.account, name=name, actor=SYSTEM, now=self.now
        )

    def policy(
        self, *, target: str = "conversations", days: int = 30, written=None, **fields
    ) -> Policy:
        document = {
            "type": "retention",
            "name": "Keep 30 days",
            "retention": {"target": target, "max_age_days": days},
        }
        return create_policy(
            account=self.account,
            document=parse(document | fields),
            actor=SYSTEM,
            now=written or self.now,
        )

    def usage_policy(self) -> Policy:
        limit = {"metric": "tokens", "threshold": 9, "window": {"kind": "lifetime"}}
        document = {
            "type": "usage",
            "name": "Cap",
            "group_by": ["user"],
            "limits": [limit],
            "actions": {"block": {}},
        }
        return create_policy(
            account=self.account,
            document=parse(document),
            actor=SYSTEM,
            now=self.now,
        )

    def conversation(
        self, age: float, *, messages: int = 0, written: float = 0, **fields
    ) -> Conversation:
        """A conversation of an age; `written` is how many days ago it was made."""
        at = self.now - timedelta(days=age)
        fields.setdefault("bot", self.bot)
        conversation = create_conversation(
            account=self.account,
            last_activity_at=at,
            now=self.now - timedelta(days=written),
            **fields,
        )
        for _ in range(messages):
            append_message(
                conversation=conversation,
                role="user",
                text="kept on purpose",
                created_at=at,
                now=self.now,
            )
        return conversation

    def young(self, count: int = 20) -> None:
        """Rows that keep what is due below a fifth of all."""
        for _ in range(count):
            self.conversation(0)

    def event(self, age: float, **fields) -> UsageEvent:
        at = self.now - timedelta(days=age)
        given = {
            "id": ids.new_id(at),
            "account": self.account,
            "bot": self.bot,
            "sequence": 1,
            "calls": 1,
            "occurred_at": at,
            "created_at": at,
        }
        event = UsageEvent.objects.create(**{**given, **fields})
        until_others_have_ended()
        return event

    def decision(self, age: float, **fields) -> DecisionRecord:
        at = self.now - timedelta(days=age)
        given = {
            "id": ids.new_id(at),
            "account": self.account,
            "sequence": 1,
            "allowed": True,
            "decision": "allow",
            "reason_code": "ok",
            "enforced": False,
            "policy_target": self.bot.public_id,
            "created_at": at,
        }
        return DecisionRecord.objects.create(**{**given, **fields})

    def prune(self, policy: Policy, **how):
        return prune_policy(policy=policy, **{"now": self.now, **how})


def left(model) -> set:
    """Return the keys of the rows that are still there."""
    return set(model.objects.values_list("id", flat=True))


def texts() -> int:
    return Message.objects.exclude(text=None).count()


def open_month(table: str, moment: datetime) -> str:
    """Open the month's partition; one test's is gone when the next one starts."""
    partitions.ensure_months(table=table, first=moment, last=moment)
    return f"{table}_{partitions.month_of(moment):%Y_%m}"
