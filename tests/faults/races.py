"""Edits raced against calls on two lanes: is an edit obeyed by the very next call?

`python -m tests.faults.races CONFIG`, run by `test_races.py` beside an installation.
One thread edits (block, revoke, key, policy) through the product's services; others
call both lanes all the while and write down when each call was sent and answered, and
whether it was let through. A call sent after an edit's commit, answered before the edit
was taken back and allowed all the same is a stale allow (CONTRACT C9). All times are
CLOCK_MONOTONIC of one machine.
"""

import json
import sys
import threading
import time
from bisect import bisect_right
from pathlib import Path

import django

django.setup()

from django.utils.timezone import now  # noqa: E402 (Django comes first)

from accounts.actors import SYSTEM  # noqa: E402
from accounts.services import (  # noqa: E402
    archive_bot,
    create_account,
    create_bot,
    create_key,
    revoke_key,
)
from policies.rules import parse  # noqa: E402
from policies.services import (  # noqa: E402
    block_bot,
    create_policy,
    restore_bot,
    revoke_bot,
    unblock_bot,
)
from tests.faults.wire import Lost, Wire  # noqa: E402
from usage import edits  # noqa: E402

AUTHORIZE = "/api/v1/authorize"


class Caller(threading.Thread):
    """Calls one lane with one key until told to stop."""

    def __init__(self, key: str, port: int, bot: str) -> None:
        super().__init__(daemon=True)
        self.wire, self.port = Wire(key), port
        self.body = {"bot": bot, "estimate": {"tokens": 5}}
        self.sent: list[tuple[float, float, bool]] = []
        self.lost = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            at = time.monotonic()
            try:
                status, answer = self.wire.call(self.port, "POST", AUTHORIZE, self.body)
            except Lost:
                self.lost += 1
                continue
            allowed = status == 200 and bool(answer["allowed"])
            self.sent.append((at, time.monotonic(), allowed))


class Race:
    """One bot with one policy and one key, edited forth and back."""

    def __init__(self, ports: list[int], number: int) -> None:
        at = now()
        self.account = create_account(slug="race", owner_email="o@example.com", now=at)
        self.bot = create_bot(
            account=self.account, name=f"bot {number}", actor=SYSTEM, now=at
        )
        self.policy = create_policy(
            account=self.account, document=self.document(10), actor=SYSTEM, now=at
        )
        strict = self.document(4) | {"rollout_mode": "off"}
        self.strict = create_policy(
            account=self.account, document=strict, actor=SYSTEM, now=at
        )
        self.ports = ports
        self.callers: list[Caller] = []
        # Between a commit and the begin of the edit that takes it back.
        self.forbidden: list[tuple[float, float]] = []

    def document(self, threshold: int) -> dict:
        window = {"kind": "lifetime"}
        limit = {"metric": "tokens", "threshold": threshold, "window": window}
        return parse(
            {
                "type": "usage",
                "name": "Cap",
                "scope": {"bot": self.bot.public_id},
                "limits": [limit],
                "actions": {"throttle": {}},
            }
        )

    def key(self):
        return create_key(
            account=self.account, name="", scopes=["decide"], actor=SYSTEM, now=now()
        )

    def forbid(self, edit, undo) -> None:
        """Make an edit, leave it for a moment, and take it back."""
        edit()
        committed = time.monotonic()
        self.wait_for_a_call()
        ending = time.monotonic()
        undo()
        self.forbidden.append((committed, ending))
        self.wait_for_a_call()

    def wait_for_a_call(self) -> None:
        """Wait until some caller has sent a call since, and has its answer."""
        before = [len(caller.sent) for caller in self.callers]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            # The first new answer may be to a call that was sent before.
            for caller, sent in zip(self.callers, before, strict=True):
                if len(caller.sent) >= sent + 2:
                    return
            time.sleep(0.0005)

    def block(self) -> None:
        told = {"bot": self.bot, "actor": SYSTEM}
        self.forbid(
            lambda: block_bot(**told, reason="race", now=now()),
            lambda: unblock_bot(**told, now=now()),
        )

    def revoke(self) -> None:
        told = {"bot": self.bot, "actor": SYSTEM, "reason": "race"}
        self.forbid(
            lambda: revoke_bot(**told, now=now()),
            lambda: restore_bot(**told, now=now()),
        )

    def tighten(self) -> None:
        self.forbid(lambda: self.replace(4), lambda: self.replace(10))

    def write(self) -> None:
        """Write a policy that lets nothing pass, and archive it again."""
        made = []

        def forbid() -> None:
            document = self.document(4)
            told = {"account": self.account, "actor": SYSTEM}
            made.append(edits.create_policy(document=document, now=now(), **told))

        self.forbid(
            forbid,
            lambda: edits.archive_policy(policy=made[0], actor=SYSTEM, now=now()),
        )

    def switch(self) -> None:
        """Switch a policy on that lets nothing pass, and off again."""
        self.forbid(lambda: self.mode("enforce"), lambda: self.mode("off"))

    def mode(self, mode: str) -> None:
        edits.patch_policy(
            policy=self.strict,
            patch={"rollout_mode": mode},
            actor=SYSTEM,
            now=now(),
            expected_revision=None,
        )

    def replace(self, threshold: int) -> None:
        edits.replace_policy(
            policy=self.policy,
            document=self.document(threshold),
            actor=SYSTEM,
            now=now(),
            expected_revision=None,
        )

    def run(self, rounds: int) -> tuple[int, int, int]:
        """Race `rounds` edits; return calls, calls in forbidden time, stale allows."""
        _, text = self.key()
        bot = self.bot.public_id
        self.callers = [Caller(text, port, bot) for port in self.ports * 2]
        for caller in self.callers:
            caller.start()
        kinds = (self.block, self.tighten, self.revoke, self.write, self.switch)
        for number in range(rounds):
            kinds[number % len(kinds)]()
        for caller in self.callers:
            caller.ended.set()
        for caller in self.callers:
            caller.join(10)
        return self.judged([sent for caller in self.callers for sent in caller.sent])

    def judged(self, sent: list[tuple[float, float, bool]]) -> tuple[int, int, int]:
        """Count the calls that lie wholly between a commit and its undoing."""
        starts = [start for start, _ in self.forbidden]
        tried = stale = 0
        for at, answered, allowed in sent:
            place = bisect_right(starts, at) - 1
            if place >= 0 and answered < self.forbidden[place][1]:
                tried += 1
                stale += allowed
        return len(sent), tried, stale

    def keys(self, rounds: int) -> tuple[int, int]:
        """Use a new key on both lanes, revoke it, use it again: 401 at once."""
        stale = 0
        for _ in range(rounds):
            key, text = self.key()
            stale += self.stale_after(
                lambda key=key: revoke_key(key=key, actor=SYSTEM, now=now()),
                text,
                self.bot.public_id,
                401,
            )
        return rounds, stale

    def bots(self, rounds: int) -> tuple[int, int]:
        """Call for a new bot on both lanes, archive it, call again: 404 at once."""
        stale = 0
        _, text = self.key()
        for number in range(rounds):
            bot = create_bot(
                account=self.account, name=f"new {number}", actor=SYSTEM, now=now()
            )
            stale += self.stale_after(
                lambda bot=bot: archive_bot(bot=bot, actor=SYSTEM, now=now()),
                text,
                bot.public_id,
                404,
            )
        return rounds, stale

    def stale_after(self, edit, text: str, bot: str, refusal: int) -> int:
        """How many of the lanes answer otherwise than they have to after an edit."""
        wires = [(Wire(text), port) for port in self.ports]
        for wire, port in wires:
            status, _ = wire.call(port, "POST", AUTHORIZE, {"bot": bot})
            assert status == 200, status
        edit()
        stale = 0
        for wire, port in wires:
            status, _ = wire.call(port, "POST", AUTHORIZE, {"bot": bot})
            stale += status != refusal
            wire.close()
        return stale


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    race = Race(config["ports"], config["number"])
    calls, tried, stale = race.run(config["rounds"])
    keys, stale_keys = race.keys(config["rounds"] // 10)
    bots, stale_bots = race.bots(config["rounds"] // 10)
    found = {
        "edits": len(race.forbidden),
        "calls": calls,
        "calls_after_an_edit": tried,
        "stale_allows": stale,
        "keys": keys,
        "stale_keys": stale_keys,
        "bots": bots,
        "stale_bots": stale_bots,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
