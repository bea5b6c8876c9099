"""docs/performance.md: an introduction, and a section a cell between two marks.

Only the sections that were measured are replaced, so one part can be measured again
alone.
"""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

TARGET = Path(__file__).resolve().parents[2] / "docs" / "performance.md"

INTRODUCTION = """# Performance

Written by `make bench`, a section a cell; `BENCH_ONLY=bulk,steady make bench` measures
some of them again, `BENCH=quick make bench` is a short try that writes nothing. The
cells are files in `tests/bench/cells`.

Load generator (wrk 4, one thread, keep-alive), servers and database share one machine.
PostgreSQL is the embedded one with `fsync` and `synchronous_commit` on; the lane runs
as `manage.py up` starts it. Each call falls under four policies; one is an
account-wide counter that every call of the account changes. A call reserves: it writes
a reservation and a decision, and changes four counters. Figures of other days, or of a
machine that does something besides, are only comparable by their ratios.
"""

BOUNDS = """## What bounds it now

Looked at with py-spy, perf, EXPLAIN and pg_stat_statements, at 64 connections and one
hot account. Plain calls take a short way
([0037](decisions/0037-plain-calls-take-a-short-way.md)) and rows are sent while the
batch is decided ([0038](decisions/0038-rows-are-sent-while-the-batch-is-decided.md)).
By hand, `wrk -t1 -c64 -d3s`, one lane, the subjects in turn within each run:

| Machine | Subject | Calls a second | p50 · p99 ms | Lane | PostgreSQL |
| --- | --- | --- | --- | --- | --- |
| little besides | before | 3,030 | 20.0 · 33.3 | 211 µs | 124 µs |
| | without a task and ASGI | 3,690 | 16.5 · 67.0 | 154 µs | 124 µs |
| little besides | without a task and ASGI | 3,830 | 16.2 · 53.9 | 156 µs | 116 µs |
| | prepared plans and rows | 4,390 | 14.2 · 60.5 | 111 µs | 110 µs |
| some besides | prepared plans and rows | 4,030 | 15.3 · 22.6 | 113 µs | 136 µs |
| | rows in parts | 5,110 (4,570 to 5,940) | 11.9 · 20.8 | 104 µs | 117 µs |
| other work besides (load 4 to 6) | the same, at the end | 4,430 (4,110 to 5,100) | 13.8 · 22.9 | 121 µs | 116 µs |
| | floor | 26,300 | 2.2 · 5.2 | 36 µs | |

So 5,000 decisions a second and 30 ms at 64 connections were reached by hand, in a
database that was warm and small, and **are missed by the table above**, where each round
starts cold and PostgreSQL takes twice as long for a decision (234 µs); why, is not known
yet. A fifth of the floor, 150 MB after that load, 15,000 events a second in bulk, and 10
and 15 ms at 300 a second are missed too.

- The lane: about 33 µs of a decision are the batch in Python (measured warm; it takes
  half as much again between others), some 25 the request and its answer, 24 the
  kernel, most of that sockets and waking who waits. No single function stands out.
- PostgreSQL: a decision's record takes 35 to 42 µs, of which some 10 go into `jsonb`
  and as many into its four indexes; a reservation 21 to 24; its counters 18, of which
  the lock is 6; the share of COMMIT and of writing WAL the rest. The same rows as binary
  `VALUES` of eight take 3 to 7 µs less each, and were left out as a third form of one
  row.
- Both work at the same time, and with the load generator (some 30 µs a call) they fill
  both processors. More comes from fewer instructions or more processors, no longer from
  overlap.
- In bulk an event takes about 19 µs of the batch in Python, warm, and its row is sent in
  parts as well.
- Steady load: a batch of one costs the lane and PostgreSQL 0.7 ms of processor time
  each, most of it waking up; its 99th percentile is what the scheduler lets others do
  meanwhile. Beside slow pages that was 75 ms and more, since a page's thread runs its
  whole slice while the lane waits; so the pages run at nice 10 and the worker at nice 5.

Tried and left out: `json` instead of `jsonb` for the rows and arrays with `unnest` for
inserts, which are all as quick or slower.
"""


def write(sections: dict[str, tuple[str, str]], order: list[str]) -> None:
    """Put `{name: (title, text)}` into the page; `order` are all cells there are."""
    known = _read()
    stamp = ""
    if sections:
        stamp = f"*{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine()}*"
    for name, (title, text) in sections.items():
        known[name] = f"## {title}\n\n{stamp}\n\n{text.strip()}\n"
    names = [n for n in order if n in known] + [n for n in known if n not in order]
    parts = [f"<!-- cell {n} -->\n{known[n]}<!-- end {n} -->\n" for n in names]
    TARGET.write_text("\n".join([INTRODUCTION, *parts, BOUNDS]), "utf-8")


def _read() -> dict[str, str]:
    if not TARGET.exists():
        return {}
    pattern = r"<!-- cell (\w+) -->\n(.*?)<!-- end \1 -->"
    text = TARGET.read_text("utf-8")
    return {m[1]: m[2] for m in re.finditer(pattern, text, re.DOTALL)}


def machine() -> str:
    """The processors, the system and the versions that count."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} processors ({model}), {memory:.0f} GB, Linux"
        f" {platform.release()}, Python {platform.python_version()}, PostgreSQL"
        f" {_postgres()}, uvicorn {version('uvicorn')}, psycopg {version('psycopg')};"
        f" commit {_commit()}, seed 7; load average {os.getloadavg()[0]:.1f}"
    )


def _postgres() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0])


def _commit() -> str:
    argv = ["git", "rev-parse", "--short", "HEAD"]
    ran = subprocess.run(
        argv, capture_output=True, text=True, check=False, cwd=TARGET.parent
    )
    return ran.stdout.strip() or "unknown"
