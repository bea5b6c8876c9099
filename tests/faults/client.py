"""One client process of the storm: threads that call, and write down every answer.

`python -m tests.faults.client CONFIG NUMBER`. A line is written after the answer has
arrived and before anything else is done with it:

    G key reservation tokens micros    a call was granted and holds
    D decision                         a call was denied
    E id tokens micros reservation     an event was recorded, or known already
    R reservation state                a release was answered
    U kind name                        no answer to the end: it may have happened or not
    X status text                      an answer that should not exist
"""

import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

from tests.faults.wire import Lost, Wire

_BUSY = (502, 503, 504)


class Caller(threading.Thread):
    """One thread: calls until the time is over, then ends what it has begun."""

    def __init__(self, config: dict, name: str, log: int) -> None:
        super().__init__(name=name)
        self.config = config
        self.log = log
        self.chance = random.Random(f"{config['seed']}/{config['slice']}/{name}")
        self.wires = {port: Wire(config["key"]) for port in config["ports"]}
        self.made = 0
        self.told = {"authorizations": 0, "lost": 0, "busy": 0}
        self.pending: list[tuple[float, str, int, int, str]] = []

    def run(self) -> None:
        while time.time() < self.config["until"]:
            self.step()
        for wire in self.wires.values():
            wire.close()

    def step(self) -> None:
        act = self.chance.random()
        if self.pending and self.pending[0][0] <= time.time():
            self.end(*self.pending.pop(0)[1:])
        elif act < 0.66:
            self.reserve()
        elif act < 0.80:
            self.event()
        elif act < 0.83:
            self.bulk()
        elif act < 0.8305 and self.config["resets"]:
            self.reset()
        else:
            self.check()

    # --- what it does -----------------------------------------------------------

    def reserve(self) -> None:
        bot, said = self.someone(), self.amounts()
        key = self.new_name("k")
        body = bot | {"estimate": self.body(said), "reserve": True}
        body["ttl_seconds"] = self.chance.choice(self.config["ttls"])
        answer = self.ask(
            "authorize", key, "POST", "/api/v1/authorize", body, Idempotency_Key=key
        )
        if answer is None:
            return
        self.told["authorizations"] += 1
        if not answer["allowed"]:
            self.note("D", answer["id"])
            return
        reservation = answer["reservation"]["id"]
        self.note("G", key, reservation, *said)
        if self.chance.random() < 0.92:
            wait = self.chance.choice([0, 0, 0, 0.02, 0.3])
            self.pending.append((time.time() + wait, reservation, *said, bot["bot"]))
            self.pending.sort()

    def end(self, reservation: str, tokens: int, micros: int, bot: str) -> None:
        """Settle, release, or both; sometimes twice, sometimes more than was held."""
        act = self.chance.random()
        if act < 0.25:
            self.release(reservation)
        if act >= 0.2:
            part = self.chance.choice([0, 0.5, 0.9, 1, 1, 1, 1, 1.5])
            said = (int(tokens * part), int(micros * part))
            name = self.new_name("s") if self.chance.random() < 0.5 else None
            again = 2 if self.chance.random() < 0.1 else 1
            for _ in range(again):
                self.record(name, {"bot": bot}, said, reservation)
        if act > 0.97:
            self.release(reservation)

    def release(self, reservation: str) -> None:
        path = f"/api/v1/reservations/{quote(reservation)}/release"
        answer = self.ask("release", reservation, "POST", path)
        if answer is not None:
            self.note("R", reservation, answer["state"])

    def event(self) -> None:
        name, bot, said = self.new_name("e"), self.someone(), self.amounts()
        for _ in range(2 if self.chance.random() < 0.1 else 1):
            self.record(name, bot, said)

    def record(
        self, name: str | None, bot: dict, said: tuple[int, int], reservation: str = ""
    ) -> None:
        event = bot | self.body(said)
        if name is not None:
            event["id"] = name
        if reservation:
            event["reservation"] = reservation
        known = name or reservation
        answer = self.ask("event", known, "POST", "/api/v1/usage", event)
        if answer is not None:
            self.note("E", known, *said, reservation or "-")

    def bulk(self) -> None:
        """Many events at once, some of them twice."""
        events = []
        for _ in range(20):
            said = self.amounts(40)
            event = self.someone() | self.body(said) | {"id": self.new_name("b")}
            events.append((event, said))
        events.append(events[0])
        name = events[0][0]["id"]
        body = {"events": [event for event, _ in events]}
        answer = self.ask("bulk", name, "POST", "/api/v1/usage", body)
        if answer is None:
            return
        for (event, said), result in zip(events, answer["data"], strict=True):
            if result["status"] == "error":
                self.note("X", "bulk", json.dumps(result["error"]))
            else:
                self.note("E", event["id"], *said, "-")

    def check(self) -> None:
        body = self.someone() | {"estimate": self.body(self.amounts())}
        answer = self.ask("check", "-", "POST", "/api/v1/authorize", body)
        if answer is not None:
            self.told["authorizations"] += 1
            if not answer["allowed"]:
                self.note("D", answer["id"])

    def reset(self) -> None:
        policy = self.chance.choice(self.config["policies"])["id"]
        path = f"/api/v1/policies/{policy}/reset"
        try:
            self.call("POST", path, {"period": "all"})
        except Lost:
            self.told["lost"] += 1

    # --- how it does it ---------------------------------------------------------

    def ask(self, kind: str, name: str, method: str, path: str, body=None, **headers):
        """Ask until there is an answer; the same id and key make repeats harmless."""
        began = False
        while time.time() < self.config["give_up"]:
            try:
                status, answer = self.call(method, path, body, **headers)
            except Lost:
                self.told["lost"] += 1
                began = True
                time.sleep(0.1 + 0.3 * self.chance.random())
                continue
            if status in _BUSY:
                self.told["busy"] += 1
                began = True
                time.sleep(0.1 + 0.3 * self.chance.random())
                continue
            if status >= 400:
                self.note("X", status, kind, json.dumps(answer))
                return None
            return answer
        if began:
            self.note("U", kind, name)
        return None

    def call(self, *request, **headers) -> tuple[int, dict | None]:
        port = self.chance.choice(self.config["ports"])
        return self.wires[port].call(port, *request, **headers)

    def note(self, *said: object) -> None:
        os.write(self.log, ("\t".join(map(str, said)) + "\n").encode())

    def new_name(self, kind: str) -> str:
        self.made += 1
        return f"{kind}-{self.config['slice']}-{self.name}-{self.made}"

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
    path = Path(config["folder"]) / f"acks-{config['slice']}-{number}.tsv"
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    callers = [
        Caller(config, f"{number}-{thread}", log) for thread in range(config["threads"])
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
