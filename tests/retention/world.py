"""The accounts under trial: what is in the database, and brute force over a copy.

The copy is plain Python and the rules are in words of its own (CONTRACT E1, E2): it
shares nothing with `retention`. `tests.retention.oracle` prunes it and compares.
"""

import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DAY = timedelta(days=1)
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PLAN_DAYS, EVENT_DAYS = 30, 400
TARGETS = ("conversations", "message_text", "usage_events", "decisions")


@dataclass
class Fact:
    """One row as the oracle remembers it."""

    kind: str  # conversation, event or decision
    account: str
    bot: str
    user: str | None
    project: str | None  # of an event or decision; a conversation's is its bot's
    at: datetime
    messages: int = 0
    texts: int = 0
    began: datetime | None = None  # `at` when the round began


@dataclass
class Rule:
    account: str
    target: str
    days: int
    scope: dict


@dataclass
class Hold:
    account: str
    kind: str
    value: object
    until: datetime | None
    bots: frozenset = frozenset()


@dataclass
class Seen:
    """What the trial counted."""

    rounds: int = 0
    kills: int = 0
    deaths: int = 0
    rows: int = 0
    deleted: int = 0
    checks: int = 0
    ends: int = 0
    holds: int = 0
    wrong: list = field(default_factory=list)
    overdue: list = field(default_factory=list)


class World:
    """The accounts under trial, as they are in the database and as they should be."""

    def __init__(self, seed: int, database_url: str) -> None:
        self.random = random.Random(seed)
        self.now = START
        self.facts: dict = {}
        self.bots: dict = {}
        self.rules: dict = {}
        self.holds: dict = {}
        self.seen = Seen()
        self.nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.retention.nursery"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        from tests.retention.house import House

        self.houses = {}
        for slug in ("alice", "charlie"):
            house = House(slug)
            house.account.stores_text = True
            house.account.save()
            self.houses[slug] = house
            self._furnish(house)

    def close(self) -> None:
        self.nursery.stdin.close()
        self.nursery.wait(30)

    # --- what there is ----------------------------------------------------------

    def _furnish(self, house) -> None:
        projects = [None, house.add_project("p"), house.add_project("q")]
        for number in range(4):
            owner = self.random.choice([None, "ann", "bob"])
            project = self.random.choice(projects)
            bot = house.add_bot(f"bot {number}", owner=owner, project=project)
            self.bots[bot.id] = (house.account.slug, bot, owner, project)

    def _bot(self, slug):
        return self.random.choice([b for b in self.bots.values() if b[0] == slug])

    def add_rows(self, count: int) -> None:
        for _ in range(count):
            slug = self.random.choice(list(self.houses))
            house = self.houses[slug]
            house.now = self.now
            _, bot, _, project = self._bot(slug)
            user = self.random.choice([None, "ann", "bob", "eve"])
            kind = self.random.choice(["conversation"] * 4 + ["event", "decision"])
            age = self.random.choice([0, 1, 5, 20, 31, 45, 60]) + self.random.random()
            fact = Fact(kind, slug, bot, user, project, self.now - age * DAY)
            if kind == "conversation":
                fact.messages = fact.texts = self.random.randrange(4)
                row = house.conversation(
                    age, messages=fact.messages, bot=bot, user=user
                )
            elif kind == "event":
                row = self._event(house, age, bot, user, project)
            else:
                row = house.decision(
                    age,
                    policy_target=bot.public_id,
                    policy_user=user,
                    policy_project_id=project and project.public_id,
                )
            fact.at = row.last_activity_at if kind == "conversation" else row.created_at
            self.facts[row.id] = fact
            self.seen.rows += 1

    def _event(self, house, age, bot, user, project):
        from accounts import ids
        from usage.models import UsageEvent

        at = self.now - timedelta(days=age)
        return UsageEvent.objects.create(
            id=ids.new_id(at),
            account=house.account,
            bot=bot,
            user=user,
            project_id=project and project.id,
            sequence=1,
            occurred_at=at,
            created_at=at,
        )

    def revive(self):
        """Append a message to some conversation, if it is still there."""
        from accounts.errors import NotFound
        from usage.conversations import append_message
        from usage.models import Conversation

        mine = [k for k, f in self.facts.items() if f.kind == "conversation"]
        if not mine:
            return
        key = self.random.choice(mine)
        row = Conversation(id=key, account=self.houses[self.facts[key].account].account)
        row.last_activity_at = self.facts[key].at
        try:
            append_message(conversation=row, role="user", text="more", now=self.now)
        except NotFound:
            return
        fact = self.facts[key]
        fact.at, fact.messages = max(fact.at, self.now), fact.messages + 1
        fact.texts += 1
        self.must_stay.add(key)
        # The one that was added must stay, whatever went of those before it.
        self.least_texts[key] = self.least_texts.get(key, 0) + 1

    def change_rules(self) -> None:
        from accounts.actors import SYSTEM
        from policies.services import archive_policy

        if self.rules and self.random.random() < 0.5:
            policy = self.random.choice(list(self.rules))
            archive_policy(
                policy=policy, actor=SYSTEM, now=self.now, expected_revision=None
            )
            del self.rules[policy]
            return
        slug = self.random.choice(list(self.houses))
        _, bot, _, project = self._bot(slug)
        scope = self.random.choice(
            [{}, {}, {"bot": bot}, {"user": "bob"}]
            + ([{"project": project}] if project else [])
        )
        target = self.random.choice(TARGETS[:2] * 2 + TARGETS)
        days = self.random.choice([1, 10, 30, 50])
        named = {k: getattr(v, "public_id", v) for k, v in scope.items()}
        house = self.houses[slug]
        house.now = self.now
        policy = house.policy(target=target, days=days, scope=named)
        self.rules[policy] = Rule(slug, target, days, scope)

    def place_hold(self) -> None:
        """Place a hold; from its answer on, what it covers and is there must stay."""
        from accounts.actors import SYSTEM
        from retention.holding import place_hold
        from usage.models import Conversation

        slug = self.random.choice(list(self.houses))
        house = self.houses[slug]
        _, bot, _, project = self._bot(slug)
        what = [house.account, bot, bot, "bob", "ann"] + ([project] if project else [])
        row = Conversation.objects.filter(account=house.account).first()
        what += [row] * 2 if row else []
        chosen = self.random.choice(what)
        until = self.random.choice([None, self.now + 3 * DAY])
        hold = place_hold(
            account=house.account,
            what=chosen,
            reason="trial",
            until=until,
            actor=SYSTEM,
            now=self.now,
        )
        value = chosen if isinstance(chosen, str) else chosen.id
        held = Hold(slug, hold.kind, value, until)
        if hold.kind == "project":
            held.bots = frozenset(
                b.id for _, b, _, p in self.bots.values() if p and p.id == chosen.id
            )
        self.holds[hold] = held
        self.seen.holds += 1
        there = self._present()
        for key, fact in self.facts.items():
            if key in there and self._covers(held, key, fact):
                self.must_stay.add(key)
                if fact.kind == "conversation":
                    self.least_texts[key] = there[key][1]

    def release_hold(self) -> None:
        from accounts.actors import SYSTEM
        from retention.holding import release_hold

        if self.holds:
            hold = self.random.choice(list(self.holds))
            release_hold(hold=hold, actor=SYSTEM, now=self.now)
            del self.holds[hold]

    # --- brute force ------------------------------------------------------------

    def _covers(self, hold: Hold, key, fact: Fact) -> bool:
        if hold.account != fact.account:
            return False
        if hold.kind == "account":
            return True
        owner = self.bots[fact.bot.id][2]
        if hold.kind == "bot":
            return fact.bot.id == hold.value
        if hold.kind == "user":
            if fact.kind == "decision":
                return fact.user == hold.value
            return (fact.user or owner) == hold.value
        if hold.kind == "project":
            inside = fact.project is not None and fact.project.id == hold.value
            return inside or (fact.kind == "conversation" and fact.bot.id in hold.bots)
        return key == hold.value

    def _held(self, key, fact: Fact, holds) -> bool:
        return any(
            (hold.until is None or self.now < hold.until)
            and self._covers(hold, key, fact)
            for hold in holds
        )

    def _applies(self, rule: Rule, fact: Fact) -> bool:
        owner = self.bots[fact.bot.id][2]
        user = fact.user if fact.kind == "decision" else fact.user or owner
        found = {"bot": fact.bot, "user": user, "project": fact.project}
        return rule.account == fact.account and all(
            found[name] == value for name, value in rule.scope.items()
        )

    def _age_limit(self, target: str, fact: Fact) -> int | None:
        days = [
            rule.days
            for rule in self.rules.values()
            if rule.target == target and self._applies(rule, fact)
        ]
        if target == "decisions":
            return min([*days, PLAN_DAYS])
        if target == "usage_events":
            return min(days, default=EVENT_DAYS)
        return min(days, default=None)

    def is_due(self, target: str, key, *, began: bool = False) -> bool:
        """Whether a row must go; `began`: as it was when the round began."""
        fact = self.facts[key]
        at = fact.began if began and fact.began else fact.at
        days = self._age_limit(target, fact)
        if days is None or at >= self.now - days * DAY:
            return False
        return not self._held(key, fact, self.began if began else self.holds.values())

    def row_is_due(self, key, *, began: bool = False) -> bool:
        target = {
            "conversation": "conversations",
            "event": "usage_events",
            "decision": "decisions",
        }[self.facts[key].kind]
        return self.is_due(target, key, began=began)

    def _present(self) -> dict:
        """Return the rows that are there, and how many messages with text each has."""
        from django.db.models import Count

        from audit.models import DecisionRecord
        from usage.models import Conversation, UsageEvent

        rows = Conversation.objects.annotate(
            count=Count("messages"), texts=Count("messages__text")
        )
        there = {key: (n, t) for key, n, t in rows.values_list("id", "count", "texts")}
        for model in (UsageEvent, DecisionRecord):
            there |= dict.fromkeys(model.objects.values_list("id", flat=True))
        return there
