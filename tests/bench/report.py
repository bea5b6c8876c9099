"""The tables, as they are printed and as docs/performance.md shows them."""

import os
import platform
import string
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.load import Result

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "docs" / "performance.md"
SUBJECTS = (
    ("one hot", "1 lane, one hot account"),
    ("two hot", "2 lanes, one hot account"),
    ("one wide", "1 lane, 1,000 accounts"),
    ("two wide", "2 lanes, 1,000 accounts"),
    ("naive hot", "naive reference, one hot account"),
    ("floor", "floor: an empty route"),
)


def cell(result: Result) -> str:
    errors = f" ({result.errors} errors)" if result.errors else ""
    return f"{result.rate:,.0f} · {result.p50:.1f} · {result.p99:.1f}{errors}"


def decisions(found: dict) -> str:
    bench = found["bench"]
    lines = ["| | 1 connection | 16 | 64 |", "| --- | --- | --- | --- |"]
    for name, title in SUBJECTS:
        cells = [cell(bench.median(name, n)) for n in (1, 16, 64)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    cells = [cell(bench.median("cycle", n)) for n in (1, 16, 64)]
    lines.append(f"| 1 lane, reserve and settle (calls) | {' | '.join(cells)} |")
    return "\n".join(lines)


def goals(found: dict) -> str:
    """What was asked for, beside what was measured. Nothing is asserted."""
    bench, steady = found["bench"], found["steady"]
    one, naive = bench.median("one hot", 64), bench.median("naive hot", 64)
    floor = bench.median("floor", 64)
    bulk = max((bench.median("bulk", n) for n in (1, 4)), key=lambda r: r.rate)
    flat = min(ratio for *_, ratio in flatness_rows(found))
    rows = [
        (
            "decisions a second at 64, one process",
            "5,000; aim 8,000",
            f"{one.rate:,.0f}",
        ),
        ("of the floor, at 64", "20 %; aim 33 %", f"{one.rate / floor.rate:.0%}"),
        (
            "times the naive reference, at 64",
            "15; aim 25",
            f"{one.rate / naive.rate:.1f}",
        ),
        ("p99 at 64", "30 ms", f"{one.p99:.1f} ms"),
        ("p99 at 300/s steady", "10 ms", f"{steady['quiet'].p99:.1f} ms"),
        (
            "p99 at 300/s beside 16 clients on slow pages",
            "15 ms",
            f"{steady['slow pages'].p99:.1f} ms",
        ),
        ("bulk, events a second", "15,000; aim 50,000", f"{bulk.rate * 1000:,.0f}"),
        ("memory of the lane (PSS)", "150 MB", f"{found['pss']['one']:.0f} MB"),
        ("with a history, of the rate without", "at least 75 %", f"{flat:.0%}"),
    ]
    lines = ["| | Goal | Measured |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def flatness_rows(found: dict) -> list[tuple]:
    bench, rows = found["bench"], []
    for kind, title in (("authorize", "reserve"), ("cycle", "reserve and settle")):
        for n in (16, 64):
            empty = bench.median(f"empty {kind}", n)
            full = bench.median(f"full {kind}", n)
            rows.append((f"{title}, {n}", empty, full, full.rate / empty.rate))
    return rows


def flatness(found: dict) -> str:
    lines = ["| | new database | with a history | rate |", "| --- | --- | --- | --- |"]
    for title, empty, full, ratio in flatness_rows(found):
        lines.append(f"| {title} | {cell(empty)} | {cell(full)} | {ratio:.0%} |")
    return "\n".join(lines)


def others(found: dict) -> str:
    bench = found["bench"]
    lines = ["| | |", "| --- | --- |"]
    for n in (1, 4):
        bulk = bench.median("bulk", n)
        lines.append(
            f"| bulk, 1,000 events a call, {n} at once | {bulk.rate * 1000:,.0f}"
            f" events/s, p50 {bulk.p50:.0f} ms, p99 {bulk.p99:.0f} ms |"
        )
    for name, result in found["steady"].items():
        shown = f"p50 {result.p50:.1f} ms, p99 {result.p99:.1f} ms"
        if result.errors:
            shown += f", {result.errors} errors"
        lines.append(f"| 300 calls/s, {name} | {shown} |")
    memory = found["pss"]
    lines.append(
        f"| memory of a lane (PSS) | {found['fresh_pss']:.0f} MB at the start,"
        f" {memory['one']:.0f} MB after all this;"
        f" two processes {memory['two']:.0f} MB |"
    )
    for name, micros in found["processor"].items():
        lines.append(f"| processor time a decision, {name} | {micros:.0f} µs |")
    return "\n".join(lines)


def tables(found: dict) -> str:
    parts = (goals, decisions, others, flatness)
    return "\n\n".join(part(found) for part in parts)


def machine() -> str:
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} processors ({model}), {memory:.0f} GB,"
        f" Linux {platform.release()}, Python {platform.python_version()}"
    )


def write(found: dict) -> None:
    plan = found["plan"]
    template = string.Template((HERE / "performance.md.in").read_text("utf-8"))
    text = template.substitute(
        machine=machine(),
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        rounds=plan.rounds,
        seconds=plan.seconds,
        events=f"{plan.events:,}",
        event_ids=f"{plan.event_ids:,}",
        counters=f"{plan.counters:,}",
        goals=goals(found),
        decisions=decisions(found),
        others=others(found),
        flatness=flatness(found),
        lane=f"{found['processor']['lane']:.0f}",
        database=f"{found['processor']['PostgreSQL']:.0f}",
    )
    TARGET.write_text(text, "utf-8")
