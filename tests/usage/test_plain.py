"""Plain calls are answered and written down as any others are."""

import random
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils.timezone import now as utc_now

from accounts.actors import SYSTEM
from accounts.services import create_key
from audit.models import DecisionRecord
from tests.usage.house import House
from usage import batch
from usage.entries import CallerKey, CallIn, EventIn, Item
from usage.ledger import run
from usage.models import Counter, Reservation, UsageEvent
from usage.plain import answer_plainly
from usage.plain_events import record_plainly

pytestmark = pytest.mark.django_db

DAY = {"kind": "calendar", "unit": "day", "timezone": "Asia/Kolkata"}
EVER = {"kind": "lifetime"}
HOURS = {"kind": "rolling", "seconds": 7200}
POLICIES = (
    ("calls", 40, DAY, [], {"block": {"duration_seconds": 60}}, {}),
    ("tokens", 9_000, EVER, ["bot"], {"throttle": {}}, {}),
    ("cost", "0.004", DAY, ["user"], {"throttle": {}, "email": {}}, {}),
    ("tokens", 2_000, DAY, ["project", "user"], {"warn": {}}, {}),
    ("messages", 5, DAY, ["user"], {"throttle": {}}, {"rollout_mode": "shadow"}),
    ("tokens", 700, HOURS, ["model"], {"throttle": {}}, {"scope": {"model": "gpt-4o"}}),
    ("tokens", 50, DAY, [], {"throttle": {}}, {"scope": {"user": "held"}}),
)
SMALL = ("calls", "messages")


def furnished(now):
    house = House("alice", now=now)
    for number, (metric, most, window, group_by, actions, more) in enumerate(POLICIES):
        limit = {"metric": metric, "threshold": most, "window": window}
        hold = {"default_hold": {"tokens": 7}} if number == 6 else {}
        house.policy(
            name=f"Policy {number}",
            limits=[limit],
            group_by=group_by,
            actions=actions,
            **hold,
            **more,
        )
    return house


def script(house, chance):
    """Calls of every kind, most of them plain."""
    users = [None, "u-1", 'u "2"\\', "ü\n3", "held"]
    for _ in range(chance.randrange(1, 12)):
        named = {
            "bot": chance.choice(
                [house.bot.public_id, "nobody"][: chance.choice([1, 2])]
            ),
            "user": chance.choice(users),
            "model": chance.choice([None, "gpt-4o-mini", "gpt-4o", "own"]),
        }
        amounts = {
            metric: chance.randrange(0, 3 if metric in SMALL else 60)
            for metric in ("input_tokens", "output_tokens", "messages", "calls", "cost")
            if chance.random() < 0.85
        }
        if chance.random() < 0.3:
            more = [{}, {}, {"id": str(chance.random())}, {"conversation": "c-2"}]
            yield EventIn(**named, **amounts, **chance.choice(more))
            continue
        yield CallIn(
            **named,
            estimate=chance.choice([None, amounts, amounts]),
            reserve=chance.random() < 0.7,
            ttl_seconds=chance.choice([1, 600]),
            dry_run=chance.random() < 0.1,
            conversation=chance.choice([None, None, None, "c-1"]),
        )


def without_ids(value, names):
    """The same with each id replaced by the order in which it came."""
    if isinstance(value, dict):
        return {k: without_ids(v, names) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_ids(v, names) for v in value]
    text = str(value)
    if text[:4] in ("dec_", "res_", "evt_"):
        return names.setdefault(text, f"{text[:4]}{len(names)}")
    return value


def told(outcomes):
    """The answers, and everything that was written."""
    names = {}
    answers = []
    for outcome in outcomes:
        for answer in outcome.answers:
            error = type(answer.error).__name__, getattr(answer.error, "errors", None)
            body = getattr(answer, "body", None)
            answers.append(without_ids([error, body, answer.__class__.__name__], names))
    hidden = {"id", "sequence", "conversation_id"}
    first = DecisionRecord.objects.order_by("sequence").first()
    start = first.sequence if first else 0
    written = [
        [r.sequence - start, {k: v for k, v in row.items() if k not in hidden}]
        for r, row in zip(
            DecisionRecord.objects.order_by("sequence"),
            DecisionRecord.objects.order_by("sequence").values(),
            strict=True,
        )
    ]
    held = [
        {k: v for k, v in row.items() if k not in hidden}
        for row in Reservation.objects.order_by("id").values()
    ]
    counted = list(Counter.objects.order_by("id").values("id", "used", "held", "fired"))
    events = UsageEvent.objects.order_by("sequence").values()
    charged = [{k: v for k, v in row.items() if k not in hidden} for row in events]
    kept = sorted(map(repr, held))
    return answers, without_ids(written, names), kept, charged, counted


@pytest.mark.parametrize("seed", range(8))
def test_they_are_answered_as_all_others_are(seed, monkeypatch):
    now = utc_now().replace(microsecond=0)
    house = furnished(now)
    made, _ = create_key(
        account=house.account, name="", scopes=["*"], actor=SYSTEM, now=now
    )
    key = CallerKey(made.id, made.public_id, house.account.id)
    chance = random.Random(seed)
    batches = [list(script(house, chance)) for _ in range(8)]
    plain = []

    def counted(way):
        def count(work, entry, request):
            plain.append((way, way(work, entry, request)))
            return plain[-1][1]

        return count

    def never(way):
        return lambda *_: False

    seen = []
    for how in (counted, never):
        monkeypatch.setattr(batch, "answer_plainly", how(answer_plainly))
        monkeypatch.setattr(batch, "record_plainly", how(record_plainly))
        with transaction.atomic():
            outcomes = []
            for number, calls in enumerate(batches):
                items = [Item(house.account.id, [call], key) for call in calls]
                outcomes += run(items, now=now + timedelta(seconds=number))
            seen.append(told(outcomes))
            transaction.set_rollback(True)
    assert seen[0] == seen[1]
    assert (answer_plainly, True) in plain
    assert (answer_plainly, False) in plain
    assert seed % 2 or any(way is record_plainly for way, _ in plain)
