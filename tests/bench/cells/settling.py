"""Reserve, then settle by a usage event: two calls, three rows."""

from tests.bench.rig import AUTHORIZE, CONNECTIONS, Rig, cell, say

TITLE = "Reserve and settle"
ORDER = 20


def measure(rig: Rig) -> str:
    """Calls a second where every other call settles what the one before held."""
    arguments = (
        rig.lane().url(AUTHORIZE),
        "authorize.lua",
        rig.requests("hot"),
        "cycle",
    )
    rig.load("cycle", *arguments, connections=16, keep=False)
    for number in range(rig.plan.rounds):
        say(f"reserve and settle, round {number + 1} of {rig.plan.rounds}")
        for connections in CONNECTIONS:
            rig.load("cycle", *arguments, connections=connections)
    cells = [cell(rig.median("cycle", n)) for n in CONNECTIONS]
    return "\n".join(
        [
            "Calls (two a cycle) a second · p50 · p99 in milliseconds.",
            "",
            "| | 1 connection | 16 | 64 |",
            "| --- | --- | --- | --- |",
            f"| 1 lane, one hot account | {' | '.join(cells)} |",
            "",
            rig.measured(),
        ]
    )
