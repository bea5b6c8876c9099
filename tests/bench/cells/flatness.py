"""The same load on a new database and on one with a history, in turn."""

from tests.bench.rig import AUTHORIZE, Rig, cell, goals, say
from tests.bench.stage import Server

TITLE = "With a history"
ORDER = 50
KINDS = (("authorize", (), "reserve"), ("cycle", ("cycle",), "reserve and settle"))
AT_ONCE = (16, 64)


def measure(rig: Rig) -> str:
    """The rate with a history as a share of the rate without."""
    from tests.bench import history

    plan = rig.plan
    rig.requests("hot")
    # A database is copied while nobody is connected to it.
    for name in ("one", "two"):
        rig.stop_lane(name)
    full = rig.stage.database_url("grown")
    say(f"a second database with {plan.events:,} events, {plan.counters:,} counters")
    history.open_months()
    history.copy(rig.stage.database_url("policyhub"), "grown")
    sizes = {"events": plan.events, "event_ids": plan.event_ids}
    history.fill(full, **sizes, counters=plan.counters)
    lanes = {"empty": rig.lane(), "full": rig.lane("full", DATABASE_URL=full)}
    for kind, extra, _ in KINDS:
        for name in lanes:
            _load(rig, lanes[name], f"{name} {kind}", extra, 16, keep=False)
        for number in range(plan.rounds):
            say(f"history, {kind}, round {number + 1} of {plan.rounds}")
            for connections in AT_ONCE:
                for name in list(lanes) if number % 2 else list(lanes)[::-1]:
                    _load(rig, lanes[name], f"{name} {kind}", extra, connections)
    rig.stop_lane("full")
    return _section(rig)


def _load(
    rig: Rig,
    lane: Server,
    name: str,
    extra: tuple[str, ...],
    connections: int,
    *,
    keep: bool = True,
) -> None:
    arguments = (lane.url(AUTHORIZE), "authorize.lua", rig.requests("hot"), *extra)
    rig.load(name, *arguments, connections=connections, keep=keep)


def _section(rig: Rig) -> str:
    lines = ["| | new database | with a history | rate |", "| --- | --- | --- | --- |"]
    ratios = []
    for kind, _, title in KINDS:
        for n in AT_ONCE:
            empty = rig.median(f"empty {kind}", n)
            full = rig.median(f"full {kind}", n)
            ratios.append(full.rate / empty.rate)
            lines.append(
                f"| {title}, {n} | {cell(empty)} | {cell(full)} | {ratios[-1]:.0%} |"
            )
    plan, worst = rig.plan, min(ratios)
    told = (
        f"The history is {plan.events:,} usage events over 60 days,"
        f" {plan.event_ids:,} event ids and {plan.counters:,} counters of the same"
        f" account. {rig.measured()}"
    )
    met = worst >= 0.75
    goal = ("rate with a history, of that without", "≥ 75 %", f"{worst:.0%}", met)
    return "\n".join([goals(goal), "", *lines, "", told])
