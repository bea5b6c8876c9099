"""What the gateway adds to its upstream, and how much of it there is a second."""

from tests.bench import gateway
from tests.bench.gateway import CHUNKS, CONNECTIONS, IDLE, Found
from tests.bench.rig import Rig, cell, goals

TITLE = "Gateway"
ORDER = 70
KINDS = {"plain": "plain", "stream": f"stream of {CHUNKS}"}
SUBJECTS = {
    "upstream": "upstream, asked directly",
    "governed": "through the gateway",
    "redacting": "through the gateway, one policy redacts",
}


def measure(rig: Rig) -> str:
    """Calls and streams a second, added latency, memory of idle streams."""
    found = gateway.measure(rig)
    heads = [f"{n} connections" if n > 1 else "1 connection" for n in CONNECTIONS]
    lines = [f"| | {' | '.join(heads)} |", f"|{' --- |' * (len(heads) + 1)}"]
    for kind, what in KINDS.items():
        for name, text in SUBJECTS.items():
            shown = [cell(rig.median(f"{kind} {name}", n)) for n in CONNECTIONS]
            lines.append(f"| {what}, {text} | {' | '.join(shown)} |")
    first = ["| Until a stream's first event | p50 | p99 |", "| --- | --- | --- |"]
    for name, (p50, p99) in found.first_bytes.items():
        first.append(f"| {SUBJECTS[name]} | {p50:.1f} ms | {p99:.1f} ms |")
    told = (
        "Calls or streams a second · p50 · p99 in milliseconds. The upstream is the"
        " echo in a process of its own, on the same two processors. Each call falls"
        " under two usage policies and is reserved and settled. A stream passes on"
        f" {CHUNKS} chunks one by one: times {CHUNKS} is chunks a second."
        f" {rig.measured()}"
    )
    return "\n".join([_goals(rig, found), "", *lines, "", *first, "", told])


def _goals(rig: Rig, found: Found) -> str:
    plain = rig.median("plain redacting", 64).rate
    streams = rig.median("stream redacting", 64).rate
    direct = rig.median("plain upstream", 1)
    p50 = rig.median("plain redacting", 1).p50 - direct.p50
    p99 = rig.median("plain redacting", 1).p99 - direct.p99
    return goals(
        (
            "governed requests a second at 64, one policy redacts",
            "1,500; aim 2,800",
            f"{plain:,.0f}",
            plain >= 1_500,
        ),
        (
            f"streams of {CHUNKS} chunks a second at 64, one policy redacts",
            "700; aim 1,800",
            f"{streams:,.0f}",
            streams >= 700,
        ),
        (
            "added at one connection, p50 (p99)",
            "≤ 4 ms; aim 2 ms",
            f"{p50:.1f} ms ({p99:.1f} ms)",
            p50 <= 4,
        ),
        (
            f"memory of an idle stream ({IDLE:,} of them)",
            "≤ 200 KB; aim 60 KB",
            f"{found.idle_kb:.0f} KB",
            found.idle_kb <= 200,
        ),
    )
