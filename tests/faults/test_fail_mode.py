"""Without PostgreSQL: refused within a second, or let through and recorded once (C10).

Real processes and a real stop of the database. What took how long is printed
(`pytest -s`), and written down in docs/reliability.md.
"""

import json
import os
import re
import sys
import threading
import time

import pytest

from tests.faults import lateness
from tests.faults.house import House, until
from tests.faults.wire import Lost, Wire

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]

LONG = os.environ.get("FAULTS") == "long"
# Seconds (C10). The short form runs beside other tests, on machines of any kind.
AT_ONCE, AGAIN = (1.0, 5.0) if LONG else (1.5, 10.0)
OUTAGES = 10 if LONG else 2
OUTAGE_SECONDS = 9
METRIC = re.compile(r"^(policyhub_\w+) (\S+)$", re.MULTILINE)
DECISIONS = "SELECT count(*), count(DISTINCT id) FROM audit_decisionrecord WHERE "


class Door:
    """A lane, and two bots: one whose policy is open, one whose policy is closed."""

    def __init__(self, house: House, name: str, **extra: str) -> None:
        lateness.watch()
        self.made, self.wire = house.made, Wire(house.made["key"], timeout=60)
        self.lane = house.lane(name, **extra)
        self.lane.start()
        self.lane.wait_ready()

    def ask(self, bot: str, **fields) -> tuple[int, dict | None, float]:
        body = {"bot": self.made[bot], "estimate": {"tokens": 1}} | fields
        began = time.monotonic()
        status, answer = self.wire.call(
            self.lane.port, "POST", "/api/v1/authorize", body
        )
        return status, answer, lateness.seconds_since(began)

    def answers(self, bot: str = "bot") -> bool:
        try:
            status, answer, _ = self.ask(bot)
        except Lost:
            return False
        return status == 200 and answer["reason_code"] == "ok"

    def metrics(self) -> dict[str, float]:
        self.wire.raw = True
        try:
            _, text = self.wire.call(self.lane.port, "GET", "/metrics")
        finally:
            self.wire.raw = False
        return {name: float(value) for name, value in METRIC.findall(text)}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("failmode"))
    try:
        house.prepare()
        house.made = json.loads(house.run("-m", "tests.faults.furnish_small"))
        yield house
    finally:
        house.end()


def count(house, where: str) -> tuple[int, int]:
    with house.connect() as database:
        return database.execute(DECISIONS + where).fetchone()


def test_an_outage_is_told_at_once_and_overcome_without_help(house):
    door = Door(house, "outage")
    told: dict[str, float] = {"first": 0, "later": 0, "back": 0}
    for _ in range(OUTAGES):
        until(door.answers, 60, "an answer")
        house.stop_database()
        for number in range(4):
            status, answer, seconds = door.ask("bot", reserve=number % 2 == 1)
            assert (status, answer["code"]) == (503, "enforcement_unavailable")
            when = "later" if number else "first"
            told[when] = max(told[when], seconds)
        crowd = [threading.Thread(target=alone, args=(house, door)) for _ in range(16)]
        began = time.monotonic()
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        told["sixteen at once"] = lateness.seconds_since(began)
        house.start_database()
        began = time.monotonic()
        until(door.answers, 60, "an answer again", 0.02)
        told["back"] = max(told["back"], lateness.seconds_since(began))
    sys.stdout.write(f"{told}\n")
    assert max(told["first"], told["later"]) <= AT_ONCE
    assert told["sixteen at once"] <= AT_ONCE + 0.5
    assert told["back"] <= AGAIN
    door.lane.kill()


def alone(house, door) -> None:
    wire = Wire(house.made["key"], timeout=60)
    status, _ = wire.call(
        door.lane.port, "POST", "/api/v1/authorize", {"bot": house.made["bot"]}
    )
    assert status == 503
    wire.close()


def test_pages_are_back_as_soon_as_the_lane(house):
    """The pool of the pages must not wait longer and longer between its tries."""
    door = Door(house, "before-pages")
    pages = house.pages()
    pages.start()
    pages.wait_ready()

    def listed() -> bool:
        status, _ = door.wire.call(door.lane.port, "GET", "/api/v1/policies")
        assert status == 200 or status >= 500
        return status == 200

    until(listed, 30, "a page")
    house.stop_database()
    until_then = time.monotonic() + OUTAGE_SECONDS
    while time.monotonic() < until_then:
        assert not listed()
    house.start_database()
    began = time.monotonic()
    until(listed, 60, "a page again", 0.02)
    seconds = lateness.seconds_since(began)
    sys.stdout.write(f"pages are back after {seconds:.1f} s\n")
    assert seconds <= AGAIN
    pages.kill()
    door.lane.kill()


def test_what_open_policies_let_through_is_recorded_once(house):
    door = Door(house, "open")
    until(lambda: door.answers("open"), 60, "an answer")
    until(door.answers, 60, "an answer")
    before = count(house, "reason_code = 'fail_open'")[0]
    house.stop_database()
    passed = [door.ask("open") for _ in range(20)]
    refused, answer, _ = door.ask("bot")
    reserving = door.ask("open", reserve=True)[1]
    assert {status for status, *_ in passed} == {200}
    assert {each["reason_code"] for _, each, _ in passed} == {"fail_open"}
    assert (refused, answer["code"]) == (503, "enforcement_unavailable")
    assert (reserving["reason_code"], reserving["reservation"]) == ("fail_open", None)
    seconds = max(each for *_, each in passed)
    sys.stdout.write(f"let through after at most {seconds:.3f} s\n")
    assert seconds <= AT_ONCE
    told = door.metrics()
    assert told["policyhub_fail_open_total"] == 21
    assert told["policyhub_fail_open_spooled"] == 21

    house.start_database()
    until(door.answers, 60, "an answer again")
    until(
        lambda: count(house, "reason_code = 'fail_open'")[0] >= before + 21, 60, "all"
    )
    assert count(house, "reason_code = 'fail_open'") == (before + 21, before + 21)
    names = {each["id"] for _, each, _ in passed}
    assert len(names) == 20
    assert door.metrics()["policyhub_fail_open_spooled"] == 0
    door.lane.kill()


@pytest.mark.parametrize("point", ["replay-begun", "replay-written", "replay-done"])
def test_a_crash_while_it_is_recorded_loses_and_doubles_nothing(house, point):
    door = Door(house, point, LEDGER_CRASH_AT=point)
    until(lambda: door.answers("open"), 60, "an answer")
    before = count(house, "reason_code = 'fail_open'")[0]
    house.stop_database()
    assert {door.ask("open")[0] for _ in range(5)} == {200}
    house.start_database()
    # The call that finds the database again is the one behind which it dies.
    until(lambda: not (door.answers("open") and door.lane.alive), 60, "its end")
    assert door.lane.process.wait(60) == 9

    after = Door(house, f"after-{point}")
    until(lambda: after.answers("open"), 60, "an answer")
    expected = before + 5
    until(lambda: count(house, "reason_code = 'fail_open'")[0] >= expected, 60, "all")
    assert count(house, "reason_code = 'fail_open'") == (expected, expected)
    assert not list((house.state_dir / "spool").glob("*.jsonl"))
    after.lane.kill()
