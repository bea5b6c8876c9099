"""Pruning: rows a second against the ORM and one big DELETE, and what calls feel of it.

Everything is of one run: each method deletes conversations of a bot of its own, which
lie between those of the others. `PRUNING=400000 python -m tests.bench pruning` takes
another number of conversations than the plan says.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from unittest import mock

from tests.bench.load import steady
from tests.bench.rig import Rig, say

MESSAGES_EACH = 5
# Of the due half: what the references get. The rest is ours, in full speed and gently.
SHARES = {"orm": 0.02, "signal": 0.02, "big": 0.10, "full": 0.26, "felt": 0.60}
RATE = 300

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
    """Rows a second by method, p99 in ms by what runs beside, memory in MB.

    `memory` is that of the pruning process: after each tenth of its rows.
    """

    conversations: int
    rates: dict[str, float] = field(default_factory=dict)
    p50: dict[str, list[float]] = field(default_factory=dict)
    p99: dict[str, list[float]] = field(default_factory=dict)
    beside: dict[str, list[float]] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)


def measure(rig: Rig) -> Found:
    """Fill the database, prune it in every way, and say what was found."""
    from django.utils import timezone

    now = timezone.now()
    conversations = int(os.environ.get("PRUNING", rig.plan.conversations))
    say(f"{conversations:,} conversations, {conversations * MESSAGES_EACH:,} messages")
    policies = _fill(conversations, now)
    found = Found(conversations)
    _speed(found, policies, now)
    _felt(found, rig, policies["felt"])
    return found


def _fill(conversations: int, now: datetime) -> dict:
    from django.db import connection

    from accounts.actors import SYSTEM
    from accounts.services import create_account, create_bot
    from policies.rules import parse
    from policies.services import create_policy
    from tests.bench.history import drop_indexes

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
        # Indexes that are built over the rows take a third of the time.
        indexes = drop_indexes(connection.connection, "usage_message")
        cursor.execute("SET maintenance_work_mem = '256MB'")
        cursor.execute(_FILL_MESSAGES)
        for index in indexes:
            cursor.execute(index)
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
    from django.db import connection, transaction
    from django.db.models.signals import post_delete

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

    def timed(way: Callable[[str], int], name: str) -> tuple[int, float]:
        started = time.perf_counter()
        return way(name), time.perf_counter() - started

    def full(name: str) -> tuple[int, float]:
        due = round(found.conversations / 2 * SHARES[name])
        # In a process of its own: this one holds what the ORM had read.
        argv = [sys.executable, "-m", "tests.bench.pruning"]
        argv += [str(policies[name].id), "tenths", str(due)]
        ran = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True)
        rows, seconds, found.memory = json.loads(ran.stdout)
        return rows, seconds

    ways = {
        "orm": partial(timed, orm),
        "signal": partial(timed, with_signal),
        "big": partial(timed, big),
        "full": full,
    }
    for name, way in ways.items():
        with connection.cursor() as cursor:
            cursor.execute("CHECKPOINT")  # each writes its own pages only
        rows, seconds = way(name)
        found.rates[name] = rows / seconds
        say(f"{name}: {rows:,} rows, {found.rates[name]:,.0f} a second")
    say("memory by tenths, MB: " + " ".join(f"{mb:.1f}" for mb in found.memory))


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


def _felt(found: Found, rig: Rig, policy) -> None:
    """Calls at a steady rate: alone, beside gentle pruning, beside full speed.

    Many short windows in turn, so that no hiccup of the machine decides.
    """
    from django.db import connection

    lane, file, seconds = rig.lane(), rig.requests("hot"), rig.plan.pruning_seconds
    with connection.cursor() as cursor:
        # Else what the other part left is cleared away, and sampled, beside some of
        # the windows.
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    steady(lane.port, file, rate=RATE, seconds=seconds)  # warm
    # Full speed at the end: it soon has nothing left.
    for name in ["idle", "gentle"] * rig.plan.pruning_windows + ["full"]:
        pruner = None if name == "idle" else _pruner(policy, name, seconds + 1)
        result = steady(lane.port, file, rate=RATE, seconds=seconds)
        found.p99.setdefault(name, []).append(result.p99)
        found.p50.setdefault(name, []).append(result.p50)
        if pruner is not None:
            rows = json.loads(pruner.communicate()[0])
            found.beside.setdefault(name, []).append(rows)
        say(f"{name}: p50 {result.p50:.1f} ms, p99 {result.p99:.1f} ms")


def _pruner(policy, manner: str, seconds: float) -> subprocess.Popen:
    from policyhub import parts

    nice = parts.worker(beat=False).nice if manner == "gentle" else 0
    argv = ["nice", "-n", str(nice), sys.executable, "-m", "tests.bench.pruning"]
    argv += [str(policy.id), manner, str(seconds)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    time.sleep(2.5)  # until it prunes
    return process


def main(policy_id: str, how: str, number: str) -> int:
    """Prune in this process: `gentle` or `full` for so many seconds.

    `tenths`: all of so many conversations that are due, at full speed.
    """
    import django

    django.setup()
    way = _tenths if how == "tenths" else partial(_beside, how)
    found = way(policy_id, float(number))
    sys.stdout.write(json.dumps(found))
    return 0


def _tenths(policy_id: str, due: float) -> tuple[int, float, list[float]]:
    """Prune all that is due at full speed: rows, seconds, MB after each tenth."""
    from django.utils import timezone

    from policies.models import Policy
    from retention import receipts
    from retention.pace import FULL
    from retention.services import prune_policy

    policy, memory = Policy.objects.get(id=policy_id), []
    gone, lock, noted = 0, Lock(), receipts.note

    def note(run: object, counts: dict, ids: bytes, *, took: float) -> bool:
        nonlocal gone
        with lock:
            gone += counts["usage_conversation"]
            if gone >= due / 10 * (len(memory) + 1) and len(memory) < 9:
                memory.append(_memory())
        return noted(run, counts, ids, took=took)

    started = time.perf_counter()
    with mock.patch.object(receipts, "note", note):
        run = prune_policy(
            policy=policy,
            now=timezone.now(),
            budget_rows=None,
            budget_seconds=None,
            confirmed=True,
            manner=FULL,
        )
    seconds = time.perf_counter() - started
    return sum(run.deleted.values()), seconds, [*memory, _memory()]


def _beside(manner: str, policy_id: str, seconds: float) -> float:
    """Prune for as long as the load lasts; return rows a second."""
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
        budget_seconds=seconds,
        confirmed=True,
        manner=pace.GENTLE if manner == "gentle" else pace.FULL,
    )
    took = time.perf_counter() - started
    gone = 0 if run is None else sum(run.deleted.values())
    return (gone - before) / took


def _memory() -> float:
    """Memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
