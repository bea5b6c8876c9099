"""One client process of the storm: threads that call, and write down every answer.

`python -m tests.faults.client CONFIG NUMBER`. A line is written after the answer has
arrived and before anything else is done with it:

    G key reservation tokens micros           a call was granted and holds
    A decision                                a call that holds nothing was let through
    D decision                                a call was denied
    E id tokens micros hold status event      an event was recorded, or known already
    R reservation state                       a release was answered
    C id                                      an id used for something else: refused
    U kind name                               no answer to the end: it may have happened
    X status text                             an answer that should not exist
"""

import json
import random
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from tests.faults.wire import Lost, Wire

_BUSY = (502, 503, 504)
_REMEMBERED = 100


class Keys:
    """The keys that are good now; the editor rotates them and writes them down."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read_at = 0.0
        self.texts: list[str] = []
        self.read()

    def read(self) -> None:
        self.read_at = time.time()
        self.texts = [key["key"] for key in json.loads(self.path.read_text())]

    def text(self, number: int) -> str:
        if time.time() > self.read_at + 0.5:
            self.read()
        return self.texts[number % len(self.texts)]


class Caller(threading.Thread):
    """One thread: calls until the time is over, then ends what it has begun."""

    def __init__(self, config: dict, name: str, log: BinaryIO, keys: Keys) -> None:
        super().__init__(name=name)
        self.config, self.log, self.keys = config, log, keys
        self.number = int(name.partition("-")[0])
        self.chance = random.Random(f"{config['seed']}/{config['slice']}/{name}")
        self.wires = {port: Wire("") for port in config["ports"]}
        self.made = 0
        self.told = {"authorizations": 0, "lost": 0, "busy": 0, "refused keys": 0}
        self.pending: list[tuple[float, str, int, int, str]] = []
        self.later: list[tuple[dict, tuple[int, int]]] = []
        self.sent: list[tuple[dict, tuple[int, int]]] = []

    def run(self) -> None:
        while time.time() < self.config["until"]:
            self.step()
        for event, said in self.later:
            self.record(event, said)
        for wire in self.wires.values():
            wire.close()

    def step(self) -> None:
        act = self.chance.random()
        if self.pending and self.pending[0][0] <= time.time():
            self.end(*self.pending.pop(0)[1:])
        elif act < 0.38:
            self.reserve()
        elif act < 0.46:
            self.event()
        elif act < 0.47:
            self.bulk()
        else:
            self.check()

    # --- what it does -----------------------------------------------------------

    def reserve(self) -> None:
        bot, said = self.someone(), self.amounts()
        key = self.new_name("k")
        body = bot | {"estimate": self.body(said), "reserve": True}
        body["ttl_seconds"] = self.chance.choice(self.config["ttls"])
        granted = None
        for _ in range(2 if self.chance.random() < 0.1 else 1):
            answer = self.ask(
                "authorize", key, "POST", "/api/v1/authorize", body, Idempotency_Key=key
            )
            if answer is None:
                return
            self.told["authorizations"] += 1
            if answer["allowed"]:
                granted = answer["reservation"]["id"]
                self.note("G", key, granted, *said)
            else:
                self.note("D", answer["id"])
        if granted is not None and self.chance.random() < 0.95:
            wait = self.chance.choice([0, 0, 0, 0.02, 0.3])
            if self.chance.random() < 0.02:
                wait = body["ttl_seconds"] + 0.5  # its time will be over
            self.pending.append((time.time() + wait, granted, *said, bot["bot"]))
            self.pending.sort()

    def end(self, reservation: str, tokens: int, micros: int, bot: str) -> None:
        """Settle, release, or both; sometimes twice, sometimes more than was held."""
        act = self.chance.random()
        if act < 0.25:
            self.release(reservation)
        if act >= 0.2:
            part = self.chance.choice([0, 0.5, 0.9, 1, 1, 1, 1, 1.5])
            said = (int(tokens * part), int(micros * part))
            event = {"bot": bot, "reservation": reservation} | self.body(said)
            if self.chance.random() < 0.5:
                event["id"] = self.new_name("s")
            for _ in range(2 if self.chance.random() < 0.1 else 1):
                self.record(event, said)
        if act > 0.97:
            self.release(reservation)

    def release(self, reservation: str) -> None:
        path = f"/api/v1/reservations/{quote(reservation)}/release"
        answer = self.ask("release", reservation, "POST", path)
        if answer is not None:
            self.note("R", reservation, answer["state"])

    def event(self) -> None:
        """Record one: a new one, one from the past, one again, or one misused."""
        act = self.chance.random()
        if act < 0.1 and self.sent:
            self.record(*self.chance.choice(self.sent))
            return
        if act < 0.12 and self.sent:
            self.misuse(*self.chance.choice(self.sent))
            return
        if act < 0.22 and len(self.later) > 5:
            # Kept back for a while, and sent in any order.
            self.chance.shuffle(self.later)
            self.record(*self.later.pop())
            return
        event, said = self.new_event("e")
        if act < 0.34:
            ago = self.chance.choice([0, 1, 3, 10, 60, 4_000]) * self.chance.random()
            at = datetime.now(UTC) - timedelta(seconds=ago)
            event["occurred_at"] = at.isoformat()
            self.later.append((event, said))
            return
        self.record(event, said)

    def misuse(self, event: dict, said: tuple[int, int]) -> None:
        """Use an id for something else: it must be refused (A5)."""
        other = event | {"tokens": said[0] + 1}
        self.ask("misuse", event["id"], "POST", "/api/v1/usage", other)

    def record(self, event: dict, said: tuple[int, int]) -> None:
        known = event.get("id") or event["reservation"]
        answer = self.ask("event", known, "POST", "/api/v1/usage", event)
        if answer is None:
            return
        (result,) = answer["data"]
        hold = event.get("reservation", "-")
        self.note("E", known, *said, hold, result["status"], result["event"])
        if "id" in event:
            self.remember(event, said)

    def remember(self, event: dict, said: tuple[int, int]) -> None:
        if len(self.sent) < _REMEMBERED:
            self.sent.append((event, said))
        else:
            self.sent[self.chance.randrange(_REMEMBERED)] = (event, said)

    def bulk(self) -> None:
        """Many events at once, some of them twice."""
        events = [self.new_event("b", 40) for _ in range(20)]
        events.append(events[0])
        if self.sent:
            events.append(self.chance.choice(self.sent))
        name = events[0][0]["id"]
        body = {"events": [event for event, _ in events]}
        answer = self.ask("bulk", name, "POST", "/api/v1/usage", body)
        if answer is None:
            return
        for (event, said), result in zip(events, answer["data"], strict=True):
            if result["status"] == "error":
                self.note("X", "bulk", json.dumps(result["error"]))
            else:
                hold = event.get("reservation", "-")
                told = (hold, result["status"], result["event"])
                self.note("E", event["id"], *said, *told)

    def check(self) -> None:
        body = self.someone() | {"estimate": self.body(self.amounts())}
        answer = self.ask("check", "-", "POST", "/api/v1/authorize", body)
        if answer is not None:
            self.told["authorizations"] += 1
            self.note("A" if answer["allowed"] else "D", answer["id"])

    # --- how it does it ---------------------------------------------------------

    def ask(self, kind: str, name: str, method: str, path: str, body=None, **headers):
        """Ask until there is an answer; the same id and key make repeats harmless."""
        began = False
        while time.time() < self.config["give_up"]:
            port = self.chance.choice(self.config["ports"])
            wire = self.wires[port]
            wire.key = self.keys.text(self.number)
            try:
                status, answer = wire.call(port, method, path, body, **headers)
            except Lost:
                self.told["lost"] += 1
                began = True
                time.sleep(0.05 + 0.3 * self.chance.random())
                continue
            if status in _BUSY or status == 401:
                # A key may just have been rotated away; the new one is written down.
                self.told["busy" if status in _BUSY else "refused keys"] += 1
                began = True
                time.sleep(0.05 + 0.3 * self.chance.random())
                continue
            if status == 409 and kind == "misuse":
                self.note("C", name)
                return None
            if status >= 400 or kind == "misuse":
                self.note("X", status, kind, json.dumps(answer))
                return None
            return answer
        if began:
            self.note("U", kind, name)
        return None

    def note(self, *said: object) -> None:
        self.log.write(("\t".join(map(str, said)) + "\n").encode())

    def new_name(self, kind: str) -> str:
        self.made += 1
        return f"{kind}-{self.config['slice']}-{self.name}-{self.made}"

    def new_event(self, kind: str, most: int = 600) -> tuple[dict, tuple[int, int]]:
        said = self.amounts(most)
        event = self.someone() | self.body(said) | {"id": self.new_name(kind)}
        return event, said

    def someone(self) -> dict:
        who = {"bot": self.chance.choice(self.config["bots"])}
        if self.chance.random() < 0.6:
            who["user"] = self.chance.choice(self.config["users"])
        if self.chance.random() < 0.6:
            who["model"] = self.chance.choice(self.config["models"])
        return who

    def amounts(self, most: int = 600) -> tuple[int, int]:
        tokens = self.chance.randint(1, most)
        return tokens, tokens * self.chance.randint(1, 9)

    @staticmethod
    def body(said: tuple[int, int]) -> dict:
        tokens, micros = said
        return {"tokens": tokens, "cost": f"{micros / 1_000_000:.6f}"}


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    number = int(sys.argv[2])
    folder = Path(config["folder"])
    keys = Keys(folder / "keys.json")
    with (folder / f"acks-{number}.tsv").open("ab") as log:
        callers = [
            Caller(config, f"{number}-{thread}", log, keys)
            for thread in range(config["threads"])
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    told: dict[str, int] = {}
    for caller in callers:
        for name, count in caller.told.items():
            told[name] = told.get(name, 0) + count
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
