"""The cap storm: many clients, 200 policies, and somebody who kills what runs.

A run consists of slices. Each starts the parts on the same data, storms for a while,
lets everything end, and has the checker look at all that ever happened. A long run
goes on where the last one stopped, until its goals are reached.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.faults.checker import Checker, Report
from tests.faults.house import ROOT, House, until

_SETTLES_WITHIN = 90  # seconds: the longest time to live is 30 s, and 60 s on top


@dataclass
class Plan:
    """How hard, and for how long."""

    seconds: float
    processes: int = 8
    threads: int = 16
    seed: int = 7
    kill_every: tuple[float, float] = (0.2, 2.0)
    crash_every: tuple[float, float] = (10.0, 30.0)
    resets: bool = True
    ttls: tuple[int, ...] = (2, 3, 5, 30)


@dataclass
class Progress:
    """What a run has come to; kept in its folder."""

    slices: int = 0
    seconds: float = 0.0
    authorizations: int = 0
    lost: int = 0
    busy: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    crashes: int = 0
    backends: int = 0
    ended: int = 0  # parts that gave up by themselves, and were started again
    violations: int = 0

    @property
    def killed(self) -> int:
        return sum(self.kills.values())


class Storm:
    """One run in one folder."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        self.house = House(folder)
        self.path = folder / "progress.json"
        self.progress = Progress()
        if self.path.exists():
            self.progress = Progress(**json.loads(self.path.read_text()))
        name = f"{plan.seed}/{self.progress.slices}"
        self.chance = random.Random(name)

    def run(self) -> Report:
        """Live through one slice and check everything. Leaves no process behind."""
        try:
            self._start()
            clients = self._clients()
            self._kill_until(time.time() + self.plan.seconds)
            self._calm()
            self._count(clients)
            self._settle()
            report = self._check()
        finally:
            self.house.end()
        self.progress.violations += len(report.violations)
        self.path.write_text(json.dumps(asdict(self.progress), indent=1))
        return report

    def _start(self) -> None:
        house = self.house
        house.start_database()
        wanted = self.folder / "plan.json"
        if not wanted.exists():
            house.run("manage.py", "prepare")
            made = house.run("-m", "tests.faults.furnish", str(self.plan.seed))
            wanted.write_text(made)
        self.wanted = json.loads(wanted.read_text())
        house.broker().start()
        self.lanes = [house.lane("lane-0"), house.lane("lane-1")]
        parts = [*self.lanes, house.pages(), house.worker()]
        for part in parts:
            part.start()
        for part in parts[:3]:
            part.wait_ready()
        self.victims = parts

    def _clients(self) -> list[subprocess.Popen]:
        self.progress.slices += 1
        self.began = time.time()
        config = self.folder / "config.json"
        stop = self.began + self.plan.seconds
        described = {
            "key": self.wanted["key"],
            "bots": self.wanted["bots"],
            "users": self.wanted["users"],
            "models": self.wanted["models"],
            "policies": self.wanted["policies"],
            "ports": [lane.port for lane in self.lanes],
            "threads": self.plan.threads,
            "seed": self.plan.seed,
            "slice": self.progress.slices,
            "folder": str(self.folder),
            "resets": self.plan.resets,
            "ttls": self.plan.ttls,
            "until": stop,
            "give_up": stop + 45,
        }
        config.write_text(json.dumps(described))
        argv = [sys.executable, "-m", "tests.faults.client", str(config)]
        return [
            subprocess.Popen(
                [*argv, str(number)],
                cwd=ROOT,
                env=self.house.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
            for number in range(self.plan.processes)
        ]

    # --- the killer -------------------------------------------------------------

    def _kill_until(self, end: float) -> None:
        kill_at = time.time() + self.chance.uniform(*self.plan.kill_every)
        crash_at = time.time() + self.chance.uniform(*self.plan.crash_every) / 2
        while time.time() < end:
            for part in self.victims:
                part.look()
                if not part.alive:
                    self.progress.ended += 1
                    part.start()
            if time.time() >= kill_at:
                self._kill_one()
                kill_at = time.time() + self.chance.uniform(*self.plan.kill_every)
            if time.time() >= crash_at:
                self._crash()
                crash_at = time.time() + self.chance.uniform(*self.plan.crash_every)
            time.sleep(0.02)

    def _kill_one(self) -> None:
        """Kill one part that works, and start it again at once."""
        working = [part for part in self.victims if part.look()]
        if (
            sum(lane in working for lane in self.lanes) == 1
            and self.chance.random() < 0.8
        ):
            # Most of the time somebody has to be there, or nothing would be tried.
            working = [part for part in working if part not in self.lanes]
        if not working:
            return
        part = self.chance.choice(working)
        part.kill()
        part.start()
        name = part.name.partition("-")[0]
        self.progress.kills[name] = self.progress.kills.get(name, 0) + 1

    def _crash(self) -> None:
        """Crash PostgreSQL: stop it with `immediate`, or kill a backend of the lane."""
        if self.chance.random() < 0.7:
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
        for part in self.victims:
            if not part.alive:
                part.start()
        until(self.house.database_answers, 30, "the database")
        for part in self.victims[:3]:
            part.wait_ready()

    def _count(self, clients: list[subprocess.Popen]) -> None:
        for client in clients:
            out, _ = client.communicate(timeout=120)
            assert client.returncode == 0, "a client failed"
            told = json.loads(out)
            self.progress.authorizations += told["authorizations"]
            self.progress.lost += told["lost"]
            self.progress.busy += told["busy"]
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
            report = Checker(database, self.wanted, notes).check()
        # The product's own recount must come to the same.
        recount = [sys.executable, "manage.py", "reconcile_usage"]
        environment = self.house.environment()
        told = subprocess.run(
            recount, cwd=ROOT, env=environment, capture_output=True, text=True
        )
        if told.returncode:
            report.wrong(f"reconcile_usage: {told.stdout[-2000:]}{told.stderr[-500:]}")
        return report
