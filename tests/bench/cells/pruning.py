"""Letting rows go: how fast, and what calls feel of it."""

from statistics import median

from tests.bench import pruning
from tests.bench.pruning import RATE, Found
from tests.bench.rig import Rig, goals

TITLE = "Pruning"
ORDER = 60
NAMES = {
    "full": "pruning, full speed",
    "big": "two big `DELETE`s in one transaction",
    "orm": "Django's `delete()`",
    "signal": "Django's `delete()`, with a listener of `post_delete`",
}


def measure(rig: Rig) -> str:
    """Rows a second by method, and the latency of calls beside it."""
    found = pruning.measure(rig)
    speeds = ["| | rows a second | ours is |", "| --- | --- | --- |"]
    for name, text in NAMES.items():
        rate = found.rates[name]
        speeds.append(f"| {text} | {rate:,.0f} | {found.rates['full'] / rate:.1f}× |")
    felt = [f"| {RATE} calls a second | p50 | p99 | of idle | rows a second |"]
    felt.append("| --- | --- | --- | --- | --- |")
    for name in found.p99:
        p50, p99 = median(found.p50[name]), median(found.p99[name])
        rows = f"{median(found.beside[name]):,.0f}" if name in found.beside else ""
        felt.append(
            f"| {name} | {p50:.1f} ms | {p99:.1f} ms | {_of_idle(found, name):.2f}×"
            f" | {rows} |"
        )
    tables = [*speeds, "", *felt, "", *_memory(found)]
    return "\n".join([_goals(found), "", *tables, "", _told(rig, found)])


def _memory(found: Found) -> list[str]:
    """A row of the process's memory after each tenth."""
    tenths = range(10, 101, 10)
    return [
        f"| rows gone | {' | '.join(f'{n} %' for n in tenths)} |",
        "| --- " * 11 + "|",
        f"| MB at full speed | {' | '.join(f'{mb:.1f}' for mb in found.memory)} |",
    ]


def _of_idle(found: Found, name: str) -> float:
    return median(found.p99[name]) / median(found.p99["idle"])


def _goals(found: Found) -> str:
    ratios = {name: found.rates["full"] / found.rates[name] for name in NAMES}
    felt, (tenth, *_, end) = _of_idle(found, "gentle"), found.memory
    rows = [
        (
            "times Django's cascading `delete()` with one listener",
            "8",
            f"{ratios['signal']:.1f}",
            ratios["signal"] >= 8,
        ),
        (
            "p99 of calls beside throttled pruning, of idle",
            "≤ 2; aim 1.2",
            f"{felt:.2f}",
            felt <= 2,
        ),
        (
            "memory at full speed, after a tenth of the rows and at the end",
            "flat",
            f"{tenth:.1f} MB, {end:.1f} MB",
            end <= 1.02 * tenth,
        ),
    ]
    return goals(*rows)


def _told(rig: Rig, found: Found) -> str:
    messages = pruning.MESSAGES_EACH
    return (
        f"{found.conversations:,} conversations with {found.conversations * messages:,}"
        " messages, half of them due, of which each method takes those of a bot of its"
        " own. What a listener hears, which many projects have, the ORM has to read"
        " first; without one it deletes messages unseen, as two big `DELETE`s do, asks"
        " for no hold, notes nothing and is undone whole when it is killed. Calls:"
        f" medians of {rig.plan.pruning_windows} runs of {rig.plan.pruning_seconds} s,"
        " idle and gentle in turn, after a `VACUUM ANALYZE`; the pruning process is as"
        " nice as the worker is. Memory: the resident size of the process that prunes,"
        " which does nothing else."
    )
