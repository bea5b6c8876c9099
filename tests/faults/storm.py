"""The cap storm: many clients, 200 policies, somebody who edits, somebody who kills.

A run consists of slices. Each has an installation and a seed of its own, storms for a
while, lets everything end, and has the checker look at all that ever happened; the
totals of a long run are kept in its folder. Within a slice stormy stretches, in which
parts are killed and PostgreSQL crashes, take turns with calm ones.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.faults import journal
from tests.faults.checker import Checker
from tests.faults.house import ROOT, House, until
from tests.faults.report import Report

_SETTLES_WITHIN = 240  # seconds: the longest time to live is 10 s, and 60 s on top


@dataclass
class Plan:
    """How hard, and for how long; everything in seconds."""

    seconds: float
    processes: int = 8
    threads: int = 48
    seed: int = 7
    stormy: float = 12.0
    calm: float = 16.0
    kill_every: tuple[float, float] = (0.2, 2.0)
    crash_every: tuple[float, float] = (12.0, 30.0)
    edit_every: tuple[float, float] | None = (0.1, 1.2)
    ttls: tuple[int, ...] = (2, 3, 5, 10)


@dataclass
class Progress:
    """What a run has come to; kept in its folder."""

    slices: int = 0
    seconds: float = 0.0
    authorizations: int = 0
    lost: int = 0
    busy: int = 0
    refused_keys: int = 0
    edits: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    crashes: int = 0
    backends: int = 0
    ended: int = 0  # parts that gave up by themselves, and were started again
    violations: int = 0
    looked_at: dict[str, int] = field(default_factory=dict)

    @property
    def killed(self) -> int:
        """How many processes were killed."""
        return sum(self.kills.values())


class Storm:
    """One slice of a run that keeps its totals in a folder."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan = plan
        self.path = folder / "progress.json"
        self.progress = Progress()
        if self.path.exists():
            self.progress = Progress(**json.loads(self.path.read_text()))
        self.number = self.progress.slices
        self.folder = folder / f"slice-{plan.seed}-{self.number}"
        shutil.rmtree(self.folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.house = House(self.folder)
        self.name = f"{plan.seed}/{self.number}"
        self.chance = random.Random(self.name)

    def run(self) -> Report:
        """Live through one slice and check everything. Leaves no process behind."""
        try:
            self._start()
            clients = self._clients()
            self._blow(time.time() + self.plan.seconds)
            self._calm()
            self._count(clients)
            self._settle()
            report = self._check()
        finally:
            self.house.end()
        self.progress.violations += len(report.violations)
        for what, count in report.counts.items():
            known = self.progress.looked_at.get(what, 0)
            self.progress.looked_at[what] = known + count
        self.path.write_text(json.dumps(asdict(self.progress), indent=1))
        return report

    def forget(self) -> None:
        """Delete the slice's data; its totals stay."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        house = self.house
        house.prepare()
        with house.connect() as database:
            journal.install(database)
        seed = str(self.chance.randrange(1_000_000))
        self.wanted = json.loads(house.run("-m", "tests.faults.furnish", seed))
        (self.folder / "keys.json").write_text(json.dumps(self.wanted["keys"]))
        house.broker().start()
        house.open_nursery()
        self.lanes = [house.lane("lane-0"), house.lane("lane-1")]
        self.victims = [*self.lanes, house.pages(), house.worker()]
        for part in self.victims:
            part.start()
        began = time.monotonic()
        for part in self.victims[:3]:
            part.wait_ready(180)
        # Nobody can see when a worker is up; it takes about as long as the others.
        self.start_up = timedelta(seconds=time.monotonic() - began)
        self.sweeps_from = [datetime.now(UTC) + self.start_up]

    def _clients(self) -> list[subprocess.Popen]:
        self.progress.slices += 1
        self.began = time.time()
        config = self.folder / "config.json"
        stop = self.began + self.plan.seconds
        described = self.wanted | {
            "ports": [lane.port for lane in self.lanes],
            "threads": self.plan.threads,
            "seed": self.plan.seed,
            "slice": self.number,
            "folder": str(self.folder),
            "ttls": self.plan.ttls,
            "edit_every": self.plan.edit_every,
            "stormy": self.plan.stormy,
            "calm": self.plan.calm,
            "began": self.began,
            "until": stop,
            "give_up": stop + 45,
        }
        config.write_text(json.dumps(described))
        wanted = [("client", number) for number in range(self.plan.processes)]
        if self.plan.edit_every is not None:
            wanted.append(("editor", 0))
        return [
            subprocess.Popen(
                [sys.executable, "-m", f"tests.faults.{kind}", str(config), str(n)],
                cwd=ROOT,
                env=self.house.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
            for kind, n in wanted
        ]

    # --- the killer -------------------------------------------------------------

    def _blow(self, end: float) -> None:
        """Kill and crash in the stormy stretches, and only look in the calm ones."""
        round_ = self.plan.stormy + self.plan.calm
        kill_at = time.time() + self.chance.uniform(*self.plan.kill_every)
        crash_at = time.time() + self.chance.uniform(*self.plan.crash_every) / 2
        while (now := time.time()) < end or self._is_too_calm(now - end):
            for part in self.victims:
                part.look()
                if not part.alive:
                    self.progress.ended += 1
                    part.start()
            if (now - self.began) % round_ >= self.plan.stormy:
                kill_at = max(kill_at, now)
                crash_at = max(crash_at, now + self.chance.uniform(1, 5))
            else:
                if now >= kill_at:
                    self._kill_one()
                    kill_at = now + self.chance.uniform(*self.plan.kill_every)
                if now >= crash_at:
                    self._crash()
                    crash_at = now + self.chance.uniform(*self.plan.crash_every)
            time.sleep(0.02)

    def _is_too_calm(self, overtime: float) -> bool:
        """Whether a slow machine has had no time to be struck, so goes on."""
        struck = self.progress.crashes + self.progress.backends
        return overtime < 120 and (self.progress.killed < 3 or not struck)

    def _kill_one(self) -> None:
        """Kill one part and start it again at once; a lane only if it works."""
        working = [lane for lane in self.lanes if lane.look()]
        if len(working) == 1 and self.chance.random() < 0.8:
            # Most of the time somebody has to be there, or nothing would be tried.
            working = []
        others = [part for part in self.victims[2:] if part.alive]
        part = self.chance.choice([*working, *working, *others])
        part.kill()
        part.start()
        if part is self.victims[3]:
            self.sweeps_from.append(datetime.now(UTC) + self.start_up)
        name = part.name.partition("-")[0]
        self.progress.kills[name] = self.progress.kills.get(name, 0) + 1

    def _crash(self) -> None:
        """Crash PostgreSQL: stop it with `immediate`, or kill a backend of the lane."""
        if self.chance.random() < 0.8:
            self.house.crash_database()
            self.progress.crashes += 1
            return
        with self.house.connect(autocommit=True) as database:
            found = database.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE %s",
                ["policyhub lane%"],
            ).fetchall()
        if found:
            # A backend that dies so takes the whole server through crash recovery.
            os.kill(self.chance.choice(found)[0], signal.SIGKILL)
            self.progress.backends += 1

    # --- the end ----------------------------------------------------------------

    def _calm(self) -> None:
        until(self.house.database_answers, 30, "the database")
        for part in self.victims:
            if not part.alive:
                part.start()
        for part in self.victims[:3]:
            part.wait_ready(180)

    def _count(self, clients: list[subprocess.Popen]) -> None:
        for client in clients:
            out, _ = client.communicate(timeout=180)
            assert client.returncode == 0, "a client failed"
            told = json.loads(out)
            self.progress.authorizations += told.get("authorizations", 0)
            self.progress.lost += told.get("lost", 0)
            self.progress.busy += told.get("busy", 0)
            self.progress.refused_keys += told.get("refused keys", 0)
            self.progress.edits += told.get("edits", 0)
        self.progress.seconds += time.time() - self.began

    def _settle(self) -> None:
        """Wait until the sweep has ended every reservation whose time is over."""
        with self.house.connect(autocommit=True) as database:
            sql = "SELECT count(*) FROM usage_reservation WHERE state = 'open'"
            until(
                lambda: database.execute(sql).fetchone()[0] == 0,
                _SETTLES_WITHIN,
                "the end of every reservation",
                0.5,
            )

    def _check(self) -> Report:
        for part in self.victims:
            part.kill()
        notes = sorted(self.folder.glob("acks-*.tsv"))
        with self.house.connect() as database:
            found = Checker(database, notes, sweeps_from=self.sweeps_from)
            report = found.check()
        if self.plan.edit_every is None:
            self._reconcile(report)
        return report

    def _reconcile(self, report: Report) -> None:
        """The product's own recount must come to the same.

        Only where nobody edits: it calls what lies within seconds of an edit
        unverifiable, and that would be everything.
        """
        told = subprocess.run(
            [sys.executable, "manage.py", "reconcile_usage"],
            cwd=ROOT,
            env=self.house.environment(),
            capture_output=True,
            text=True,
        )
        report.counts["reconciled slices"] += 1
        if told.returncode:
            report.wrong(f"reconcile_usage: {told.stdout[-2000:]}{told.stderr[-500:]}")
