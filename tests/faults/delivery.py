"""Alerts under fire: `python -m tests.faults.delivery` is the long form.

Users cross limits at a steady pace, each once. Each crossing is one alert with one mail
and one message to an endpoint. Meanwhile workers die between claim and send, and after
the send before the mark; the broker is gone for ten minutes; and mail server and
endpoint are slow, refuse, or cut the wire. At the end nothing may be missing, no alert
may be there twice, and what came twice must have come under one id.

The moments before the storm measure how long a crossing takes to reach the mail server,
with the broker and without it.
"""

import itertools
import json
import os
import random
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from standardwebhooks import Webhook as Verifier

from tests.faults.house import House, until
from tests.faults.sinks import MOODS, HookSink, MailSink
from tests.ports import free_port

# Between claim and send, and after the send before the mark; for both ways of telling.
PLACES = ("mail claimed", "webhook sent", "mail sent", "webhook claimed")


@dataclass(frozen=True)
class Plan:
    """How much of what. Seconds of calm are measured, the storm is not."""

    crossings: int = 10_000
    accounts: int = 40
    calm: float = 60.0
    without_broker: float = 600.0
    mood_seconds: float = 20.0
    kill_pause: float = 45.0
    workers: int = 2
    drain_seconds: float = 3_000.0
    seed: int = 7


@dataclass
class Result:
    """What came of it."""

    violations: list[str] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)


class Trial:
    """One run of a plan in a folder of its own."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan = plan
        self.house = House(folder)
        self.mail, self.hooks = MailSink(free_port()), HookSink()
        self.kills: dict[str, int] = {}
        self.last_kill = time.monotonic()
        self.wanted = itertools.cycle(PLACES)
        self.next = next(self.wanted)
        self.is_storm = False
        self.crossed: dict[str, float] = {}
        self.phases: list[tuple[str, float]] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        random.seed(plan.seed)

    def run(self) -> Result:
        try:
            self._open()
            self._cross_all()
            self._drain()
            return self._judged()
        finally:
            self._over.set()
            self.house.end()
            self.mail.close()
            self.hooks.close()

    # --- the installation -------------------------------------------------------

    def _open(self) -> None:
        settings = {
            "POLICYHUB_EMAIL_URL": self.mail.url,
            "POLICYHUB_PRIVATE_URLS": "http://127.0.0.1:*",
            "POLICYHUB_MAILS_PER_HOUR": "1000000",
        }
        house = self.house
        house.prepare()
        made = house.run(
            "-m",
            "tests.faults.furnish_delivery",
            str(self.plan.accounts),
            self.hooks.url,
            **settings,
        )
        self.accounts = json.loads(made)
        self.broker = house.broker()
        self.lane = house.lane(**settings)
        self.broker.start()
        self.broker.wait_ready()
        self.workers = []
        for number in range(self.plan.workers):
            worker = house.worker()
            worker.name = f"worker-{number}"
            house.parts[worker.name] = house.parts.pop("worker")
            worker.environment |= settings
            if number:
                worker.argv.remove("--clock")
            self.workers.append(worker)
        for part in [self.lane, *self.workers]:
            part.start()
        for part in [self.lane, *self.workers]:
            part.wait_ready()
        self.mail.victim = self.hooks.victim = self._kill

    def _kill(self, where: str) -> None:
        """Kill the workers while one talks to a sink, at each place in its turn."""
        now = time.monotonic()
        with self._lock:
            early = now - self.last_kill < self.plan.kill_pause
            if early or where != self.next or not self.is_storm:
                return
            self.last_kill, self.next = now, next(self.wanted)
            self.kills[where] = self.kills.get(where, 0) + 1
            for worker in self.workers:
                worker.kill()
            for worker in self.workers:
                worker.start()

    # --- crossings --------------------------------------------------------------

    def _cross_all(self) -> None:
        plan = self.plan
        storm = max(plan.without_broker - plan.calm, 0.0)
        pace = plan.crossings / (2 * plan.calm + storm)
        self._phase("calm, with the broker")
        self._cross_for(plan.calm, pace)
        self._settle()
        self._phase("calm, without the broker")
        self.broker.kill()
        self._cross_for(plan.calm, pace)
        self._settle()
        self._phase("storm")
        moods = threading.Thread(target=self._change_moods, daemon=True)
        moods.start()
        self.is_storm = True
        while len(self.crossed) < plan.crossings:
            self._cross_for(1.0, pace)
        # A slow machine may have told nobody of anything yet.
        until(lambda: self.kills, 150, "somebody to kill", 0.1)
        self.is_storm = False
        self._over.set()
        moods.join(60)
        self.mail.mood = self.hooks.mood = "good"
        self._phase("drain")
        self.broker.start()

    def _settle(self) -> None:
        """Let what was measured arrive before anything is done to it."""
        sql = "SELECT count(*) FROM alerts_delivery WHERE state = 'pending'"
        with self.house.connect(autocommit=True) as database:
            until(
                lambda: database.execute(sql).fetchone()[0] == 0,
                self.plan.drain_seconds,
                "the calm",
            )

    def _phase(self, name: str) -> None:
        self.phases.append((name, time.time()))

    def _cross_for(self, seconds: float, pace: float) -> None:
        began, sent = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            wanted = int(pace * passed) + 1 - sent
            room = self.plan.crossings - len(self.crossed)
            for _ in range(min(wanted, room)):
                self._cross()
                sent += 1
            if room <= 0:
                return
            time.sleep(0.02)

    def _cross(self) -> None:
        user = f"u-{len(self.crossed)}"
        account = self.accounts[len(self.crossed) % len(self.accounts)]
        event = {"id": user, "bot": account["bot"], "user": user}
        until(lambda: self._sent(event, account["key"]), 60, "the lane", 0.2)
        self.crossed[user] = time.time()

    def _sent(self, event: dict, key: str) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.lane.port}/api/v1/usage",
            data=json.dumps(event).encode(),
            headers={
                "Authorization": f"Bearer {key}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status == 202
        except OSError:
            return False

    def _change_moods(self) -> None:
        while not self._over.wait(self.plan.mood_seconds):
            self.mail.mood, self.hooks.mood = random.choices(MOODS, k=2)

    # --- the end ----------------------------------------------------------------

    def _drain(self) -> None:
        """Let time pass for what waits, and see that all of it goes out."""

        def drained() -> bool:
            with self.house.connect() as database:
                waiting = database.execute(
                    "UPDATE alerts_delivery SET next_attempt_at = now()"
                    " WHERE state = 'pending' AND next_attempt_at > now() RETURNING 1"
                ).fetchall()
                sql = "SELECT count(*) FROM alerts_delivery WHERE state = 'pending'"
                return not waiting and database.execute(sql).fetchone()[0] == 0

        with self.house.connect() as database:
            # What the dead had claimed: its lease ends now and not in a minute.
            database.execute(
                "UPDATE alerts_delivery SET claimed_until = NULL"
                " WHERE state = 'pending'"
            )
        began = time.monotonic()
        until(drained, self.plan.drain_seconds, "the outbox", 1.0)
        self.drained = time.monotonic() - began

    def _judged(self) -> Result:
        found = Result()
        with self.house.connect() as database:
            alerts = {
                row[0]: row[1]
                for row in database.execute(
                    "SELECT id, extract(epoch FROM created_at)::float8"
                    " FROM alerts_alert WHERE kind = 'limit'"
                )
            }
            rows = database.execute(
                "SELECT d.id, d.alert_id, d.channel, d.state, d.attempts"
                " FROM alerts_delivery d"
            ).fetchall()
        by_channel: dict[str, dict[str, object]] = {"email": {}, "webhook": {}}
        for key, alert, channel, state, _ in rows:
            by_channel[channel][_public(key)] = alert
            if state != "sent":
                found.violations.append(f"a {channel} is {state}")
        if len(alerts) != len(self.crossed):
            text = f"{len(self.crossed)} crossings, {len(alerts)} alerts"
            found.violations.append(text)
        for channel, taken in (("email", self.mail), ("webhook", self.hooks)):
            self._compare(found, channel, by_channel[channel], alerts, taken)
        self._verify(found)
        self._count(found, by_channel["email"], alerts, rows)
        return found

    def _compare(self, found, channel, written, alerts, taken) -> None:
        missing = set(written) - set(taken.at)
        unknown = set(taken.at) - set(written)
        untold = set(alerts) - set(written.values())
        twice = len(written) - len(set(written.values()))
        for name, count in (
            ("missing", len(missing)),
            ("unknown", len(unknown)),
            ("alerts untold", len(untold)),
            ("told under two ids", twice),
        ):
            if count:
                found.violations.append(f"{channel}: {count} {name}")
        repeats = sum(len(times) - 1 for times in taken.at.values())
        found.counts[f"{channel}s taken"] = len(taken.at)
        found.counts[f"{channel}s repeated under their id"] = repeats

    def _verify(self, found: Result) -> None:
        """Every body is signed by its account's secret, and never changes."""
        secrets = {account["bot"]: account["secret"] for account in self.accounts}
        told: set[str] = set()
        for name, body in self.hooks.bodies.items():
            data = json.loads(body)["data"]
            signed = {**self.hooks.headers[name]}
            signer = Verifier(secrets[data["bot"]])
            at = int(signed["webhook-timestamp"])
            if signed["webhook-signature"] != _signature(signer, name, at, body):
                found.violations.append(f"{name} is not signed rightly")
            told.add(data["id"])
        if len(told) != len(self.hooks.bodies):
            found.violations.append("an endpoint was told twice under two ids")
        if self.hooks.changed:
            found.violations.append(f"{len(self.hooks.changed)} bodies changed")

    def _count(self, found, mails, alerts, rows) -> None:
        found.counts |= {
            "crossings": len(self.crossed),
            "alerts": len(alerts),
            "attempts at most": max(row[4] for row in rows),
            "seconds to drain": round(self.drained, 1),
        }
        found.counts |= {f"killed: {at}": n for at, n in sorted(self.kills.items())}
        ends = [at for _, at in self.phases[1:]]
        for (name, began), end in zip(self.phases[:2], ends, strict=False):
            waits = sorted(
                self.mail.at[mail][0] - alerts[alert]
                for mail, alert in mails.items()
                if mail in self.mail.at and began <= alerts[alert] < end
            )
            if waits:
                at = f"{name}: crossing to SMTP"
                found.counts[f"{at}, p50"] = round(waits[len(waits) // 2], 2)
                found.counts[f"{at}, p95"] = round(waits[int(len(waits) * 0.95)], 2)


def _signature(signer: Verifier, name: str, at: int, body: bytes) -> str:
    from datetime import UTC, datetime

    return signer.sign(name, datetime.fromtimestamp(at, UTC), body.decode())


def _public(key) -> str:
    """The public id of a delivery, decoded without the product's code."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    number = key.int
    digits = [alphabet[(number >> 5 * place) & 31] for place in range(26)]
    return "dlv_" + "".join(reversed(digits))


def main() -> int:
    """Run the long form, and print what it came to."""
    wanted = os.environ.get("FAULTS_CROSSINGS", "10000")
    away = float(os.environ.get("FAULTS_SECONDS", "600"))
    calm = float(os.environ.get("FAULTS_CALM", "60"))
    plan = Plan(crossings=int(wanted), without_broker=away, calm=calm)
    with tempfile.TemporaryDirectory(prefix="policyhub-delivery-") as folder:
        result = Trial(Path(folder), plan).run()
    lines = [f"{name}: {count:,}" for name, count in result.counts.items()]
    lines += [f"VIOLATION {text}" for text in result.violations]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
