"""`make bench`: measure, print the tables, write docs/performance.md.

`BENCH=quick` is a try of three minutes that writes nothing. What is compared is
always of the same run: rounds go through all subjects in turn, and medians count.
"""

import os
import sys
from collections import defaultdict
from dataclasses import dataclass

from tests.bench import stage as stages
from tests.bench.load import Result, has_wrk, median, steady, wrk
from tests.bench.processor import Processor

CONNECTIONS = (1, 16, 64)
AUTHORIZE = "/api/v1/authorize"
USAGE = "/api/v1/usage"
STEADY_RATE = 300
SLOW_CLIENTS = 16
BULK = 1_000


@dataclass(frozen=True)
class Plan:
    """How much of everything; seconds are those of one run of the load."""

    rounds: int = 5
    seconds: int = 3
    steady_seconds: int = 20
    events: int = 10_000_000
    event_ids: int = 2_000_000
    counters: int = 100_000


QUICK = Plan(2, 1, 5, events=200_000, event_ids=50_000, counters=10_000)


@dataclass
class Bench:
    """The parts that run, and what was measured of them."""

    stage: stages.Stage
    plan: Plan
    results: dict[tuple, list[Result]]

    def load(self, name: str, url: str, script: str, *arguments, connections) -> Result:
        seconds = self.plan.seconds
        result = wrk(url, script, *arguments, connections=connections, seconds=seconds)
        self.results[name, connections].append(result)
        return result

    def median(self, name: str, connections: int) -> Result:
        return median(self.results[name, connections])


def say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def run(stage: stages.Stage, plan: Plan) -> dict:
    """Measure everything; return what the report shows."""
    say(f"a private installation in {stage.state}")
    stage.start_database()
    import django

    django.setup()
    from policyhub.env import ENV
    from tests.bench import history, house

    hot, wide = house.build()
    files = {"hot": stage.state / "hot.txt", "wide": stage.state / "wide.txt"}
    house.write_requests(files["hot"], [hot])
    house.write_requests(files["wide"], wide)
    say(f"a second database with {plan.events:,} events, {plan.counters:,} counters")
    history.open_months()
    history.copy(ENV.database_url, "grown")
    full = stage.database_url("grown")
    sizes = {"events": plan.events, "event_ids": plan.event_ids}
    history.fill(full, **sizes, counters=plan.counters)
    bench = Bench(stage, plan, defaultdict(list))
    stage.slow_pages()
    lanes = {
        "one": stage.lane("lane"),
        "two": stage.lane("lane-two", workers=2),
        "full": stage.lane("lane-full", DATABASE_URL=full),
    }
    found: dict = {"bench": bench, "plan": plan}
    found["fresh_pss"] = lanes["one"].pss()
    _decisions(bench, lanes, files)
    found["processor"] = _processor(bench, lanes["one"], files["hot"])
    _cycles(bench, lanes, files["hot"])
    _bulk(bench, lanes["one"], files["hot"])
    _flatness(bench, lanes, files["hot"])
    found["pss"] = {name: server.pss() for name, server in lanes.items()}
    found["steady"] = _steady(plan, lanes["one"].port, files["hot"])
    return found


def _decisions(bench: Bench, lanes: dict, files: dict) -> None:
    """Reserving calls: the lane, the floor and the reference, in turn."""
    subjects = [
        ("floor", bench.stage.floor(), "/", "hot"),
        ("naive hot", bench.stage.naive(), AUTHORIZE, "hot"),
        ("one hot", lanes["one"], AUTHORIZE, "hot"),
        ("two hot", lanes["two"], AUTHORIZE, "hot"),
        ("one wide", lanes["one"], AUTHORIZE, "wide"),
        ("two wide", lanes["two"], AUTHORIZE, "wide"),
    ]
    for _, server, path, file in subjects:  # warm
        arguments = ("authorize.lua", files[file])
        wrk(server.url(path), *arguments, connections=16, seconds=bench.plan.seconds)
    for number in range(bench.plan.rounds):
        say(f"decisions, round {number + 1} of {bench.plan.rounds}")
        for connections in CONNECTIONS:
            for name, server, path, file in subjects:
                arguments = (server.url(path), "authorize.lua", files[file])
                bench.load(name, *arguments, connections=connections)
    for name, server, *_ in subjects:
        if name in ("floor", "naive hot"):
            bench.stage.stop(server)


def _processor(bench: Bench, lane: stages.Server, file) -> dict[str, float]:
    """Microseconds of processor time a decision, at 64 connections."""
    with Processor(lane, bench.stage) as spent:
        result = bench.load(
            "processor", lane.url(AUTHORIZE), "authorize.lua", file, connections=64
        )
    decisions = result.rate * bench.plan.seconds
    return {name: 1e6 * s / decisions for name, s in spent.seconds.items()}


def _cycles(bench: Bench, lanes: dict, file) -> None:
    """Reserve, then settle by a usage event: two calls, three rows."""
    for number in range(bench.plan.rounds):
        say(f"reserve and settle, round {number + 1} of {bench.plan.rounds}")
        for connections in CONNECTIONS:
            url = lanes["one"].url(AUTHORIZE)
            arguments = (url, "authorize.lua", file, "cycle")
            bench.load("cycle", *arguments, connections=connections)


def _bulk(bench: Bench, lane: stages.Server, file) -> None:
    for number in range(bench.plan.rounds):
        say(f"bulk usage, round {number + 1} of {bench.plan.rounds}")
        for connections in (1, 4):
            url = lane.url(USAGE)
            bench.load("bulk", url, "bulk.lua", file, BULK, connections=connections)


def _flatness(bench: Bench, lanes: dict, file) -> None:
    """The same load on a new database and on one with a history, in turn."""
    both = (("empty", lanes["one"]), ("full", lanes["full"]))
    for kind, arguments in (("authorize", ()), ("cycle", ("cycle",))):
        for _, lane in both:
            url = lane.url(AUTHORIZE)
            wrk(url, "authorize.lua", file, connections=16, seconds=bench.plan.seconds)
        for number in range(bench.plan.rounds):
            say(f"history, {kind}, round {number + 1} of {bench.plan.rounds}")
            for connections in (16, 64):
                for name, lane in both if number % 2 else both[::-1]:
                    url = lane.url(AUTHORIZE)
                    every = (url, "authorize.lua", file, *arguments)
                    bench.load(f"{name} {kind}", *every, connections=connections)


def _steady(plan: Plan, port: int, file) -> dict[str, Result]:
    """300 calls a second, alone and beside clients on slow pages."""
    found = defaultdict(list)
    for number in range(3):
        say(f"steady, round {number + 1} of 3")
        for name, slow in (("quiet", 0), ("slow pages", SLOW_CLIENTS)):
            seconds = plan.steady_seconds
            rate = STEADY_RATE
            result = steady(port, file, rate=rate, seconds=seconds, slow=slow)
            found[name].append(result)
    return {name: median(results) for name, results in found.items()}


def main() -> int:
    if not has_wrk():
        sys.stderr.write("make bench needs wrk: apt-get install wrk\n")
        return 1
    quick = os.environ.get("BENCH") == "quick"
    stage = stages.prepare()
    try:
        found = run(stage, QUICK if quick else Plan())
    finally:
        stage.end()
    from tests.bench import report

    sys.stdout.write(report.tables(found) + "\n")
    if not quick:
        report.write(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
