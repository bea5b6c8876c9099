"""300 calls a second, alone and beside clients on slow pages."""

from collections import defaultdict

from tests.bench.load import median, steady
from tests.bench.rig import AUTHORIZE, Rig, goals, say

TITLE = "Steady load, and slow pages beside it"
ORDER = 40
RATE = 300
SLOW_CLIENTS = 16
CASES = (("alone", 0, 10), (f"beside {SLOW_CLIENTS} slow pages", SLOW_CLIENTS, 15))


def measure(rig: Rig) -> str:
    """Milliseconds from the moment each call was due."""
    rig.slow_pages()
    lane, file = rig.lane(), rig.requests("hot")
    rig.load("warm", lane.url(AUTHORIZE), "authorize.lua", file, connections=16)
    found = defaultdict(list)
    rounds = min(2, rig.plan.rounds)
    for number in range(rounds):
        say(f"steady, round {number + 1} of {rounds}")
        for name, slow, _ in CASES:
            seconds = rig.plan.steady_seconds
            result = steady(lane.port, file, rate=RATE, seconds=seconds, slow=slow)
            found[name].append(result)
    rows, lines = [], ["| | p50 | p99 | errors |", "| --- | --- | --- | --- |"]
    for name, _, most in CASES:
        result = median(found[name])
        rows.append(
            (
                f"p99 at {RATE}/s, {name}",
                f"≤ {most} ms",
                f"{result.p99:.1f} ms",
                result.p99 <= most,
            )
        )
        shown = f"{result.p50:.1f} ms | {result.p99:.1f} ms | {result.errors}"
        lines.append(f"| {name} | {shown} |")
    told = (
        f"Open loop: each of {RATE} calls a second is timed from the moment it was due."
        f" Medians of {rounds} runs of {rig.plan.steady_seconds} s. The slow page takes"
        " 150 ms of Python and 50 ms of the database; 16 clients ask for it without"
        " pause, through the lane."
    )
    return "\n".join([goals(*rows), "", *lines, "", told])
