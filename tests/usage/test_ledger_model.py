"""The ledger against a small model of the contract, through any order of acts.

The model knows policies, windows and holds as plain lists and dictionaries; it shares
no code with the ledger. After every act the database must say what the model says.
"""

import os
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.actors import SYSTEM
from policies.models import Block
from policies.services import block_bot, restore_bot, revoke_bot, unblock_bot
from tests.usage.contract import ContractHouse, last_event, state_of
from tests.usage.ledger_model import USERS, WINDOWS, Hold, Reserved, caps
from usage.edits import archive_policy
from usage.expiry import expire_reservations
from usage.models import Counter
from usage.resets import clear_block, reset_policy
from usage.selectors import readings_of

OPEN_HOLDS = """SELECT h->>'counter', sum((h->>'amount')::bigint)
FROM usage_reservation AS r CROSS JOIN LATERAL jsonb_array_elements(r.holds) AS h
JOIN accounts_account AS a ON a.id = r.account_id
WHERE r.state = 'open' AND a.slug = %s GROUP BY 1"""


EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "20"))

users = st.sampled_from(USERS)
tokens = st.integers(0, 60)
some = st.integers(0, 10_000)

# Minutes: in the window, in a closed one, in none, in two, days before.
AGO = [0, 0, 0, 2, 20, 40, 61, 95, 130, 1_500, 3_000]
ACTS = ["edit", "edit", "switch", "archive", "reset", "clear", "stop", "let go"]


class LedgerMachine(RuleBasedStateMachine):
    """Acts on one account; each example has an account of its own."""

    count = 0

    @initialize()
    def open_the_house(self):
        LedgerMachine.count += 1
        self.slug = f"model-{os.getpid()}-{LedgerMachine.count}"
        self.house = ContractHouse(self.slug)
        self.house.later(hours=9, minutes=13, seconds=7)
        self.caps = caps()
        for cap in self.caps:
            cap.policy = self.house.policy(
                threshold=cap.threshold,
                metric=cap.metric,
                window=WINDOWS[cap.kind],
                group_by=["user"] if cap.by_user else [],
                actions={"block": {}} if cap.blocks else {"throttle": {}},
            )
        self.reserved = []
        self.sent = []
        self.stopped = set()  # by a person: blocked, revoked
        # With windows open for everybody, more can go wrong from the first act on.
        for user in USERS:
            self.send(user, 10, 0)
        self.house.later(seconds=20)

    @property
    def now(self):
        return self.house.now

    def live(self):
        return [cap for cap in self.caps if cap.live]

    def held(self, cap, subject):
        """What open holds take of a limit's current window."""
        current = None
        if cap.kind != "rolling":
            current = cap.window_at(subject, self.now, opening=False)
        return sum(
            hold.amount
            for one in self.reserved
            if one.state == "open" and one.until > self.now
            for hold in one.holds
            if hold.subject is subject and hold.window is current
        )

    def passes(self, user, cost):
        caps = self.live()
        return not self.stopped and all(
            self.fits(cap, user, cost[cap.metric]) for cap in caps
        )

    def fits(self, cap, user, cost):
        subject = cap.of(user)
        if subject.blocked_until is not None and subject.blocked_until > self.now:
            return False
        left = cap.threshold - cap.used(subject, self.now) - self.held(cap, subject)
        return 0 < left >= cost

    @rule(user=users, tokens=tokens, ttl=st.sampled_from([60, 7_200, 86_400]))
    def reserve(self, user, tokens, ttl):
        cost = {"tokens": tokens, "calls": 1}
        wanted = self.passes(user, cost)
        answer = self.house.hold(user=user, tokens=tokens, ttl_seconds=ttl)
        assert answer["allowed"] is wanted, answer["message"]
        if not wanted:
            return
        holds = []
        for cap in self.live():
            amount, subject = cost[cap.metric], cap.of(user)
            if amount:
                window = None
                if cap.kind != "rolling":
                    window = cap.window_at(subject, self.now, opening=True)
                holds.append(Hold(cap, subject, window, amount))
        until = self.now + timedelta(seconds=ttl)
        name = answer["reservation"]["id"]
        self.reserved.append(Reserved(name, user, tokens, holds, until))

    @rule(user=users, tokens=tokens)
    def check(self, user, tokens):
        cost = {"tokens": tokens, "calls": 1}
        wanted = self.passes(user, cost)
        assert self.house.ask(user=user, tokens=tokens)["allowed"] is wanted

    @precondition(lambda self: self.reserved)
    @rule(which=some, tokens=tokens, named=st.booleans())
    def settle(self, which, tokens, named):
        one = self.reserved[which % len(self.reserved)]
        event = {"tokens": tokens, "reservation": one.id}
        if named or one.settled:
            event["id"] = f"e-{len(self.sent)}"
        result = self.house.send(**event)
        assert result.status == "recorded"
        self.sent.append((event, result.event_id))
        was_open = one.state == "open" and one.until > self.now
        actual = {"tokens": tokens, "calls": 1}
        met = []
        if not one.settled:
            met = [hold.cap for hold in one.holds]
            for hold in one.holds:
                amount = actual[hold.cap.metric]
                hold.cap.charge(hold.subject, hold.window, amount, self.now, self.now)
            over = not was_open or tokens > one.tokens
            assert last_event().overrun is over
            if one.state == "open":
                one.state = "settled" if was_open else "expired"
        self.charge(
            one.user, actual, self.now, [c for c in self.live() if c not in met]
        )
        one.settled = True

    def charge(self, user, amounts, moment, caps, *, told=False):
        for cap in caps:
            amount, subject = amounts[cap.metric], cap.of(user)
            cap.charge(subject, None, amount, moment, self.now, told=told)

    @precondition(lambda self: self.reserved)
    @rule(which=some)
    def release(self, which):
        one = self.reserved[which % len(self.reserved)]
        if one.state == "open":
            one.state = "released" if one.until > self.now else "expired"
        assert self.house.release(one.id)["state"] == one.state

    @rule()
    def sweep(self):
        expire_reservations(now=self.now)
        for one in self.reserved:
            if one.state == "open" and one.until <= self.now:
                one.state = "expired"
            assert state_of(one.id) == one.state

    @rule(user=users, tokens=tokens, ago=st.sampled_from(AGO))
    def record(self, user, tokens, ago):
        self.send(user, tokens, ago)

    def send(self, user, tokens, ago):
        event = {"tokens": tokens, "user": user, "id": f"e-{len(self.sent)}"}
        moment = self.now
        if ago:
            moment = event["occurred_at"] = self.now - timedelta(minutes=ago)
        result = self.house.send(**event)
        assert result.status == "recorded"
        self.sent.append((event, result.event_id))
        amounts = {"tokens": tokens, "calls": 1}
        self.charge(user, amounts, moment, self.live(), told=bool(ago))

    @precondition(lambda self: self.sent)
    @rule(which=some)
    def repeat(self, which):
        event, first = self.sent[which % len(self.sent)]
        again = self.house.send(**event)
        assert (again.status, again.event_id) == ("duplicate", first)

    @rule(
        act=st.sampled_from(ACTS),
        which=st.integers(0, 4),
        threshold=st.integers(1, 250),
    )
    def administer(self, act, which, threshold):
        """One rule for all that people do, so that it does not crowd out the calls."""
        if act == "edit":
            self.edit(which, threshold)
        elif act == "clear":
            self.clear()
        elif act in ("stop", "let go"):
            self.stop(which, stopping=act == "stop")
        else:
            getattr(self, act)(which)

    def edit(self, which, threshold):
        cap = self.caps[which]
        if cap.archived:
            return
        self.house.threshold(cap.policy, threshold)
        old, cap.threshold = cap.threshold, threshold
        if not cap.blocks or not cap.live:
            return
        if threshold > old:
            for subject in cap.subjects.values():
                if cap.used(subject, self.now) < threshold:
                    subject.blocked_until = None
        cap.block_if_over(self.now, was_over=lambda used: used >= old)

    def stop(self, which, *, stopping):
        """A person blocks or revokes the bot, and lets it go again."""
        told = {"bot": self.house.bot, "actor": SYSTEM, "now": self.now}
        if which % 2 and stopping:
            block_bot(**told, reason="model")
            self.stopped.add("blocked")
        elif stopping:
            revoke_bot(**told, reason="model")
            self.stopped.add("revoked")
        else:
            if "blocked" in self.stopped:
                unblock_bot(**told)
            restore_bot(**told, reason="model")
            self.stopped.clear()

    def switch(self, which):
        cap = self.caps[which]
        if cap.archived:
            return
        cap.live = not cap.live
        mode = "enforce" if cap.live else "off"
        self.house.patch(cap.policy, rollout_mode=mode)
        for subject in cap.subjects.values():
            subject.blocked_until = None
        if cap.live and cap.blocks:
            cap.block_if_over(self.now)

    def archive(self, which):
        cap = self.caps[which]
        if any(cap.archived for cap in self.caps):
            return
        archive_policy(policy=cap.policy, actor=SYSTEM, now=self.now)
        cap.archived, cap.live = True, False

    def reset(self, which):
        cap = self.caps[which]
        reset_policy(policy=cap.policy, period="all", actor=SYSTEM, now=self.now)
        for subject in cap.subjects.values():
            subject.dated.clear()
            subject.blocked_until = None
            window = None
            if cap.kind != "rolling":
                window = cap.window_at(subject, self.now, opening=False)
            if window is not None:
                window.used = 0

    def clear(self):
        cap = self.caps[4]
        live = Block.objects.filter(
            policy=cap.policy, lifted_at=None, ends_at__gt=self.now
        )
        block = live.first()
        if block is None:
            return
        clear_block(block=block, actor=SYSTEM, now=self.now)
        subject = cap.of(dict(block.subject)["user"])
        assert subject.blocked_until == block.ends_at
        subject.blocked_until = None
        cap.window_at(subject, self.now, opening=True).used = 0

    @rule(step=st.sampled_from([1, 59, 60, 301, 3_600, 3_661, 40_000, 90_000]))
    def later(self, step):
        self.house.later(seconds=step)

    @precondition(lambda self: self.house.now.second >= 2)
    @rule()
    def step_back(self):
        """The clock is set back a little; within a minute, so that rings stay."""
        before = self.now - timedelta(seconds=2)
        ended = [one for one in self.reserved if before < one.until <= self.now]
        if not any(one.state == "open" for one in ended):
            self.house.later(seconds=-2)

    @invariant()
    def the_counters_say_what_the_model_says(self):
        for cap in getattr(self, "caps", ()):
            rows = list(Counter.objects.filter(policy=cap.policy))
            found = {}
            for row in rows:
                user = dict(row.subject).get("user")
                found[user, row.window_start] = row.used
            if cap.kind == "rolling":
                self.compare_rolling(cap)
                continue
            wanted = {
                (user, window.start): window.used
                for user, subject in cap.subjects.items()
                for window in subject.windows
            }
            for key in found.keys() | wanted.keys():
                assert found.get(key, 0) == wanted.get(key, 0), (cap.kind, key)

    def compare_rolling(self, cap):
        for reading in readings_of(policy=cap.policy, now=self.now):
            subject = cap.of(dict(reading.subject).get("user"))
            assert reading.used == cap.used(subject, self.now)

    @invariant()
    def what_is_held_is_what_is_open(self):
        if not hasattr(self, "house"):
            return
        with connection.cursor() as cursor:
            cursor.execute(OPEN_HOLDS, [self.slug])
            by_head = dict(cursor.fetchall())
        rows = Counter.objects.filter(account=self.house.account)
        assert sum(row.held for row in rows) == sum(by_head.values())
        assert all(row.held >= 0 and row.used >= 0 for row in rows)


@pytest.mark.timeout(300 + 10 * EXAMPLES)
@pytest.mark.django_db(transaction=True)
def test_any_order_of_acts_keeps_the_books():
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
