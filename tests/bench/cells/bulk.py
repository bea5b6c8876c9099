"""Usage in batches of a thousand events."""

from tests.bench.rig import USAGE, Rig, goals, say

TITLE = "Bulk usage"
ORDER = 30
SIZE = 1_000
AT_ONCE = (1, 4)


def measure(rig: Rig) -> str:
    """Events a second, for one sender and for four at once."""
    arguments = (rig.lane().url(USAGE), "bulk.lua", rig.requests("hot"), SIZE)
    rig.load("bulk", *arguments, connections=1, keep=False)
    for number in range(rig.plan.rounds):
        say(f"bulk usage, round {number + 1} of {rig.plan.rounds}")
        for connections in AT_ONCE:
            rig.load("bulk", *arguments, connections=connections)
    best = max(rig.median("bulk", n).rate for n in AT_ONCE) * SIZE
    lines = [
        goals(
            ("events a second", "15,000; aim 50,000", f"{best:,.0f}", best >= 15_000)
        ),
        "",
        "| Senders | Events a second | p50 of a batch | p99 |",
        "| --- | --- | --- | --- |",
    ]
    for n in AT_ONCE:
        bulk = rig.median("bulk", n)
        lines.append(
            f"| {n} | {bulk.rate * SIZE:,.0f} | {bulk.p50:.0f} ms | {bulk.p99:.0f} ms |"
        )
    lines += [
        "",
        f"{rig.measured()} Each batch is 1,000 events of 1,000 bots and 200 users.",
    ]
    return "\n".join(lines)
