"""Reserving calls: one and two lanes, the floor, and the naive reference."""

from tests.bench import stage as stages
from tests.bench.processor import Processor
from tests.bench.rig import AUTHORIZE, CONNECTIONS, Rig, cell, goals, metric, say

TITLE = "Decisions"
ORDER = 10

SUBJECTS = (
    ("one hot", "1 lane, one hot account"),
    ("two hot", "2 lanes, one hot account"),
    ("one wide", "1 lane, 1,000 accounts"),
    ("two wide", "2 lanes, 1,000 accounts"),
    ("naive hot", "naive reference, one hot account"),
    ("floor", "floor: an empty route"),
)


def measure(rig: Rig) -> str:
    """Calls a second, and what a call costs of processor and memory."""
    one = rig.lane()
    fresh = one.pss()
    two = rig.lane("two", workers=2)
    floor, naive = rig.stage.floor(), rig.stage.naive()
    subjects = [
        ("floor", floor, "/", "hot"),
        ("naive hot", naive, AUTHORIZE, "hot"),
        ("one hot", one, AUTHORIZE, "hot"),
        ("two hot", two, AUTHORIZE, "hot"),
        ("one wide", one, AUTHORIZE, "wide"),
        ("two wide", two, AUTHORIZE, "wide"),
    ]
    for name, server, path, kind in subjects:
        _load(rig, name, server, path, kind, 16, keep=False)
    for number in range(rig.plan.rounds):
        say(f"decisions, round {number + 1} of {rig.plan.rounds}")
        for connections in CONNECTIONS:
            for name, server, path, kind in subjects:
                _load(rig, name, server, path, kind, connections)
    retries = sum(metric(lane, "policyhub_ledger_retries_total") for lane in (one, two))
    rig.stage.stop(floor)
    rig.stage.stop(naive)
    spent = _processor(rig, one)
    memory = {"one": one.pss(), "two": two.pss()}
    rig.stop_lane("two")
    return "\n\n".join(
        [
            _goals(rig, memory["one"], retries),
            "Calls a second · p50 · p99 in milliseconds.",
            _table(rig),
            rig.measured()
            + " The *naive reference* (`tests/bench/naive`) is the same corridor as a"
            " Django view: `select_for_update` through the ORM, four threads of"
            " granian; it writes the same rows. The *floor* is a Starlette route that"
            " answers `{}` under the lane's own server.",
            _cost(spent, fresh, memory),
        ]
    )


def _cost(spent: dict, fresh: float, memory: dict) -> str:
    return (
        f"At 64 connections a decision takes {spent['lane']:.0f} µs of processor time"
        f" in the lane and {spent['PostgreSQL']:.0f} µs in PostgreSQL. Memory (PSS):"
        f" {fresh:.0f} MB when the lane has started, {memory['one']:.0f} MB after this"
        f" load; two processes {memory['two']:.0f} MB."
    )


def _load(
    rig: Rig,
    name: str,
    server: stages.Server,
    path: str,
    kind: str,
    connections: int,
    *,
    keep: bool = True,
) -> None:
    arguments = (server.url(path), "authorize.lua", rig.requests(kind))
    rig.load(name, *arguments, connections=connections, keep=keep)


def _processor(rig: Rig, lane: stages.Server) -> dict[str, float]:
    """Microseconds of processor time a decision, at 64 connections."""
    with Processor(lane, rig.stage) as spent:
        arguments = (lane.url(AUTHORIZE), "authorize.lua", rig.requests("hot"))
        result = rig.load("processor", *arguments, connections=64)
    decisions = result.rate * rig.plan.seconds
    return {name: 1e6 * s / decisions for name, s in spent.seconds.items()}


def _goals(rig: Rig, memory: float, retries: float) -> str:
    one, naive = rig.median("one hot", 64), rig.median("naive hot", 64)
    share = one.rate / rig.median("floor", 64).rate
    times = one.rate / naive.rate
    rows = [
        (
            "decisions a second at 64, one process",
            "5,000; aim 8,000",
            f"{one.rate:,.0f}",
            one.rate >= 5_000,
        ),
        ("of the floor, at 64", "20 %; aim 33 %", f"{share:.0%}", share >= 0.2),
        (
            "times the naive reference, at 64",
            "15; aim 25",
            f"{times:.1f}",
            times >= 15,
        ),
        ("p99 at 64", "≤ 30 ms", f"{one.p99:.1f} ms", one.p99 <= 30),
        ("memory of the lane", "≤ 150 MB", f"{memory:.0f} MB", memory <= 150),
        ("retries after 40P01 or 40001", "0", f"{retries:.0f}", retries == 0),
    ]
    return goals(*rows)


def _table(rig: Rig) -> str:
    lines = ["| | 1 connection | 16 | 64 |", "| --- | --- | --- | --- |"]
    for name, title in SUBJECTS:
        cells = [cell(rig.median(name, n)) for n in CONNECTIONS]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)
