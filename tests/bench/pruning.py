"""Pruning: rows a second against the ORM and one big DELETE, and what calls feel of it.

`python -m tests.bench.pruning` measures 2 M conversations with 10 M messages, half of
them due; `PRUNING=400000` takes as many conversations instead. Everything is of one
run: each method deletes conversations of a bot of its own.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tests.bench import stage as stages
from tests.bench.load import steady

CONVERSATIONS = 2_000_000
MESSAGES_EACH = 5
# Of the due half: what the references get. The rest is ours, in full speed and gently.
SHARES = {"orm": 0.02, "signal": 0.02, "big": 0.18, "full": 0.38, "felt": 0.40}
RATE, ROUNDS = 300, 3
SECONDS = float(os.environ.get("PRUNING_SECONDS", "12"))

# As the product writes them: ids and rows in the order of time, bots mixed.
_FILL = """INSERT INTO usage_conversation (id, account_id, bot_id, title, meta,
 started_at, last_activity_at, created_at)
SELECT uuidv7(age), %(account)s, bots[1 + n * 37 %% 100], '', '{}', now() + age,
 now() + age, now() + age
FROM (SELECT n, %(bots)s::uuid[] AS bots,
 -(%(oldest)s::interval - %(width)s::interval * n / %(count)s) AS age
 FROM generate_series(1::bigint, %(count)s) AS n) AS s"""
_FILL_MESSAGES = f"""INSERT INTO usage_message (id, account_id, conversation_id, role,
 text, tokens, meta, created_at)
SELECT uuidv7(c.created_at - now()), c.account_id, c.id, 'user', repeat('word ', 30), 7,
 '{{}}', c.created_at
FROM usage_conversation AS c CROSS JOIN generate_series(1, {MESSAGES_EACH})"""


@dataclass
class Found:
    """Rows a second by method, p99 in ms by what runs beside, memory in MB."""

    conversations: int
    rates: dict[str, float] = field(default_factory=dict)
    p50: dict[str, list[float]] = field(default_factory=dict)
    p99: dict[str, list[float]] = field(default_factory=dict)
    beside: dict[str, list[float]] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def measure(stage: stages.Stage, conversations: int = CONVERSATIONS) -> Found:
    """Fill the stage's database, prune it in every way, and say what was found."""
    import django

    django.setup()
    from django.utils import timezone

    now = timezone.now()
    say(f"{conversations:,} conversations, {conversations * MESSAGES_EACH:,} messages")
    policies = _fill(conversations, now)
    found = Found(conversations)
    _speed(found, policies, now)
    _felt(found, stage, policies["felt"])
    return found


def _fill(conversations: int, now: datetime) -> dict:
    from django.db import connection

    from accounts.actors import SYSTEM
    from accounts.services import create_account, create_bot
    from policies.rules import parse
    from policies.services import create_policy

    account = create_account(slug="prune", owner_email="p@example.com", now=now)
    account.stores_text = True
    account.save()
    bots = {
        name: create_bot(account=account, name=name, actor=SYSTEM, now=now)
        for name in (*SHARES, "young")
    }
    mixed = [bots[name].id for name in SHARES for _ in range(round(SHARES[name] * 100))]
    halves = [(mixed, 400, 360), ([bots["young"].id] * 100, 29, 28)]
    with connection.cursor() as cursor:
        # What is copied in refers to itself; the checks would take most of the time.
        cursor.execute("SET session_replication_role = replica")
        for each, oldest, width in halves:
            values = {"account": account.id, "bots": each, "count": conversations // 2}
            ages = {"oldest": timedelta(days=oldest), "width": timedelta(days=width)}
            cursor.execute(_FILL, {**values, **ages})
        cursor.execute(_FILL_MESSAGES)
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE usage_conversation, usage_message")
        cursor.execute("CHECKPOINT")
    policies = {}
    for name, bot in bots.items():
        document = {
            "type": "retention",
            "name": name,
            "scope": {"bot": bot.public_id},
            "retention": {"target": "conversations", "max_age_days": 30},
        }
        policies[name] = create_policy(
            account=account, document=parse(document), actor=SYSTEM, now=now
        )
    return policies


def _speed(found: Found, policies: dict, now: datetime) -> None:
    from django.db import transaction
    from django.db.models.signals import post_delete

    from retention.pace import FULL
    from retention.services import prune_policy
    from usage.models import Conversation

    def orm(name: str) -> int:
        due = Conversation.objects.filter(
            bot=policies[name].scope_bot, last_activity_at__lt=now - timedelta(days=30)
        )
        return due.delete()[0]

    def with_signal(name: str) -> int:
        def hear(**_: object) -> None:
            """Stand for the one listener that many projects have."""

        post_delete.connect(hear, weak=False)
        try:
            return orm(name)
        finally:
            post_delete.disconnect(hear)

    def big(name: str) -> int:
        with transaction.atomic():
            return _big_delete(policies[name], now)

    def full(name: str) -> int:
        before = _memory()
        run = prune_policy(
            policy=policies[name],
            now=now,
            budget_rows=None,
            budget_seconds=None,
            confirmed=True,
            manner=FULL,
        )
        found.memory = [before, _memory()]
        return sum(run.deleted.values())

    ways = {"orm": orm, "signal": with_signal, "big": big, "full": full}
    for name, way in ways.items():
        started = time.perf_counter()
        rows = way(name)
        found.rates[name] = rows / (time.perf_counter() - started)
        say(f"{name}: {rows:,} rows, {found.rates[name]:,.0f} a second")


def _big_delete(policy, now: datetime) -> int:
    from django.db import connection

    due = "bot_id = %s AND last_activity_at < %s"
    values = [policy.scope_bot_id, now - timedelta(days=30)]
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM usage_message WHERE conversation_id IN"
            f" (SELECT id FROM usage_conversation WHERE {due})",
            values,
        )
        rows = cursor.rowcount
        cursor.execute(f"DELETE FROM usage_conversation WHERE {due}", values)
        return rows + cursor.rowcount


def _felt(found: Found, stage: stages.Stage, policy) -> None:
    """Calls at a steady rate: alone, beside gentle pruning, beside full speed."""
    from tests.bench import house

    hot, _ = house.build()
    file = stage.state / "pruning.txt"
    house.write_requests(file, [hot])
    lane = stage.lane("lane-pruning")
    steady(lane.port, file, rate=RATE, seconds=5)  # warm
    # Full speed once, at the end: it soon has nothing left.
    for name in ["idle", "gentle"] * ROUNDS + ["full"]:
        pruner = None if name == "idle" else _pruner(policy, name)
        result = steady(lane.port, file, rate=RATE, seconds=SECONDS)
        found.p99.setdefault(name, []).append(result.p99)
        found.p50.setdefault(name, []).append(result.p50)
        if pruner is not None:
            rows = json.loads(pruner.communicate()[0])
            found.beside.setdefault(name, []).append(rows)
        say(f"{name}: p50 {result.p50:.1f} ms, p99 {result.p99:.1f} ms")


def _pruner(policy, manner: str) -> subprocess.Popen:
    argv = [sys.executable, "-m", "tests.bench.pruning", "prune"]
    argv += [str(policy.id), manner]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    time.sleep(2.5)  # until it prunes
    return process


def prune(policy_id: str, manner: str) -> int:
    """Prune for as long as the load lasts; print rows a second."""
    import django

    django.setup()
    from django.utils import timezone

    from policies.models import Policy
    from retention import pace
    from retention.models import PruneRun
    from retention.services import prune_policy

    policy = Policy.objects.get(id=policy_id)
    open_runs = PruneRun.objects.filter(policy=policy).exclude(state="completed")
    before = sum(sum(run.deleted.values()) for run in open_runs)
    started = time.perf_counter()
    run = prune_policy(
        policy=policy,
        now=timezone.now(),
        budget_rows=None,
        budget_seconds=SECONDS + 1.0,
        confirmed=True,
        manner=pace.GENTLE if manner == "gentle" else pace.FULL,
    )
    seconds = time.perf_counter() - started
    gone = 0 if run is None else sum(run.deleted.values())
    sys.stdout.write(json.dumps((gone - before) / seconds))
    return 0


def _memory() -> float:
    """Memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def table(found: Found) -> str:
    """Return what was found, for people."""
    rates, idle = found.rates, _middle(found.p99["idle"])
    lines = [
        f"{found.conversations:,} conversations, half of them due",
        "",
        "| method | rows/s | ours is |",
        "|---|---|---|",
    ]
    names = {
        "full": "PruneRun, full speed",
        "big": "one transaction, two big DELETEs",
        "orm": "Django `delete()`",
        "signal": "Django `delete()`, one listener of `post_delete`",
    }
    for name, text in names.items():
        ratio = rates["full"] / rates[name]
        lines.append(f"| {text} | {rates[name]:,.0f} | {ratio:.1f}× |")
    lines += ["", f"| beside {RATE} calls/s | p50 ms | p99 ms | of idle | rows/s |"]
    lines.append("|---|---|---|---|---|")
    for name in ("idle", "gentle", "full"):
        p50, p99 = _middle(found.p50[name]), _middle(found.p99[name])
        rows = _middle(found.beside[name]) if name in found.beside else 0
        line = f"| {name} | {p50:.1f} | {p99:.1f} | {p99 / idle:.2f}× | {rows:,.0f} |"
        lines.append(line)
    before, after = found.memory
    lines += ["", f"Memory at full speed: {before:.0f} MB, then {after:.0f} MB."]
    return "\n".join(lines)


def main() -> int:
    if sys.argv[1:2] == ["prune"]:
        return prune(*sys.argv[2:])
    stage = stages.prepare()
    try:
        stage.start_database()
        found = measure(stage, int(os.environ.get("PRUNING", CONVERSATIONS)))
    finally:
        stage.end()
    sys.stdout.write(table(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
