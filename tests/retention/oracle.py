"""Random policies, holds, clocks and kills, against brute force.

The oracle (`tests.retention.world`) keeps a copy of every row in plain Python. Workers
are real processes (`tests.retention.nursery`) that are killed with SIGKILL while rows
are added, revived and held beside them. After every round nothing may be gone that was
not due, and nothing that was held or revived before; the receipts must add up to what
is gone. Now and then everything is pruned to the end: then nothing overdue may be left.

The long form: `python -m tests.retention.oracle SECONDS`.
"""

import json
import os
import shutil
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from tests.retention.world import DAY, Seen, World


class Trial(World):
    """Rounds of pruning by workers that are disturbed and killed, each one checked."""

    def round(self) -> None:
        self.must_stay: set = set()
        self.least_texts: dict = {}
        if self.random.random() < 0.7:
            self.now += self.random.choice([0.01, 1, 3, 10]) * DAY
        for act in self.random.sample(
            [self.change_rules, self.change_rules, self.place_hold, self.release_hold],
            k=self.random.randrange(4),
        ):
            act()
        self.add_rows(self.random.randrange(15, 40))
        self.must_stay, self.least_texts = set(), {}
        self.began = list(self.holds.values())
        for fact in self.facts.values():
            fact.began = fact.at
        jumped = self.random.random() < 0.1
        ends = not jumped and self.random.random() < 0.25
        there = self._present()
        before = self._receipts()
        workers = [self._order(jumped=jumped) for _ in range(self.random.randint(1, 3))]
        self._disturb(workers, kill=not ends)
        if ends:
            self._end()
        self._check(there, before, jumped=jumped, ends=ends)
        self.seen.rounds += 1

    def _end(self) -> None:
        """Prune to the end. Events wait for transactions of others, so maybe twice."""
        for _ in range(20):
            self._order(confirmed=True)
            self._wait()
            there = self._present()
            if not any(self.row_is_due(key) for key in self.facts if key in there):
                break
            time.sleep(0.2)
        self.seen.ends += 1

    def _order(self, *, jumped: bool = False, confirmed: bool | None = None) -> int:
        off = self.now + self.random.choice([-1, 1]) * 2 * timedelta(hours=1)
        order = {
            "now": self.now.isoformat(),
            "witnesses": [off.isoformat()] if jumped else [],
            "confirmed": confirmed or (not jumped and self.random.random() < 0.7),
            "batch": self.random.choice([1, 2, 5]),
            "workers": self.random.choice([1, 1, 2, 3]),
            "gentle": self.random.random() < 0.12,
        }
        return self._ask(json.dumps(order))

    def _ask(self, line: str):
        self.nursery.stdin.write(line + "\n")
        self.nursery.stdin.flush()
        return json.loads(self.nursery.stdout.readline())

    def _wait(self) -> list[int]:
        codes = self._ask("")
        self.seen.deaths += sum(code == -signal.SIGKILL for code in codes)
        assert all(code in (0, -signal.SIGKILL) for code in codes), codes
        self._until_quiet()
        return codes

    def _until_quiet(self) -> None:
        """Wait for what the server still does for clients that are dead."""
        from django.db import connection

        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle'"
                    " AND pid <> pg_backend_pid() AND datname = current_database()"
                )
                if cursor.fetchone()[0] == 0:
                    return
            time.sleep(0.01)

    def _disturb(self, workers: list[int], *, kill: bool) -> None:
        """Kill workers at any moment while others write and hold."""
        for worker in workers:
            if self.random.random() < 0.5:
                self.random.choice([self.revive, self.revive, self.place_hold])()
            time.sleep(self.random.random() * 0.12)
            if kill and self.random.random() < 0.8:
                os.kill(worker, signal.SIGKILL)  # a zombie until it is waited for
                self.seen.kills += 1
        self._wait()

    def _receipts(self) -> dict[str, int]:
        from retention.models import PruneRun

        sums: dict[str, int] = {}
        for deleted in PruneRun.objects.values_list("deleted", flat=True):
            for table, count in deleted.items():
                sums[table] = sums.get(table, 0) + count
        return sums

    def _check(self, there: dict, before: dict, *, jumped: bool, ends: bool) -> None:
        seen, now_there = self.seen, self._present()
        gone = [key for key in there if key not in now_there]
        for key in gone:
            due = self.row_is_due(key, began=True)
            if jumped or key in self.must_stay or not due:
                seen.wrong.append((seen.rounds, key, self.facts[key]))
        texts = 0
        for key, found in now_there.items():
            fact = self.facts[key]
            seen.checks += 1
            if ends and self.row_is_due(key):
                seen.overdue.append((seen.rounds, key, fact))
            if fact.kind == "conversation":
                texts += self._check_texts(key, fact, found, jumped=jumped, ends=ends)
        self._check_receipts(gone, before)
        seen.deleted += len(gone) + texts
        for key in gone:
            del self.facts[key]

    def _check_texts(self, key, fact, found, *, jumped: bool, ends: bool) -> int:
        """Look at what is left of a conversation; return how many texts went."""
        messages, texts = found
        where = (self.seen.rounds, key, "texts", found, fact)
        if messages != fact.messages or texts > fact.texts:
            self.seen.wrong.append(where)
        went = fact.texts - texts
        if went:
            due = self.is_due("message_text", key, began=True)
            if jumped or not due or texts < self.least_texts.get(key, 0):
                self.seen.wrong.append(where)
            fact.texts = texts
        if ends and texts and self.is_due("message_text", key):
            self.seen.overdue.append(where)
        return went

    def _check_receipts(self, gone: list, before: dict[str, int]) -> None:
        told = {t: n - before.get(t, 0) for t, n in self._receipts().items()}
        facts = [self.facts[key] for key in gone]
        kinds = [fact.kind for fact in facts]
        expected = {
            "usage_conversation": kinds.count("conversation"),
            "usage_message": sum(fact.messages for fact in facts),
            "usage_usageevent": kinds.count("event"),
            "audit_decisionrecord": kinds.count("decision"),
        }
        for table, count in expected.items():
            if told.get(table, 0) != count:
                where = (self.seen.rounds, "receipt", table, told, count)
                self.seen.wrong.append(where)


def trial(seed: int, database_url: str, seconds: float, rounds: int = 10**9) -> Seen:
    """Go on with rounds for as long; return what was seen."""
    world = Trial(seed, database_url)
    seen = world.seen
    try:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and seen.rounds < rounds:
            world.round()
            if seen.wrong or seen.overdue:
                break
    finally:
        world.close()
    return seen


def main() -> int:
    """Run the long form in a cluster of its own, trial after trial."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    import tempfile

    from tests.faults.house import House as Cluster

    folder = Path(tempfile.mkdtemp(prefix="policyhub-oracle-"))
    cluster = Cluster(folder, options=("shared_buffers=128MB",))
    cluster.start_database()
    os.environ.update(cluster.environment())
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    total, seed, ends = Seen(), int(time.time()), time.monotonic() + seconds
    try:
        while time.monotonic() < ends and not (total.wrong or total.overdue):
            left = ends - time.monotonic()
            seen = trial(seed, cluster.database_url, min(left, 60), rounds=40)
            for name in vars(total):
                setattr(total, name, getattr(total, name) + getattr(seen, name))
            sys.stdout.write(f"seed {seed}: {summary(total)}\n")
            sys.stdout.flush()
            call_command("flush", interactive=False, verbosity=0)
            seed += 1
    finally:
        cluster.stop_database()
        shutil.rmtree(folder, ignore_errors=True)
    for each in [*total.wrong, *total.overdue]:
        sys.stdout.write(f"{each}\n")
    return 1 if total.wrong or total.overdue else 0


def summary(seen: Seen) -> str:
    """Return the figures in a line."""
    return (
        f"{seen.rounds:,} rounds, {seen.rows:,} rows, {seen.deleted:,} deletions,"
        f" {seen.checks:,} checks, {seen.deaths:,} kills, {seen.holds:,} holds,"
        f" {seen.ends:,} times to the end: {len(seen.wrong)} wrong,"
        f" {len(seen.overdue)} overdue left"
    )


if __name__ == "__main__":
    raise SystemExit(main())
