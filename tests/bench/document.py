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

Looked at with py-spy, perf, EXPLAIN and the log of durations, at 64 connections and one
hot account, on a machine that did little besides: the lane spends 190 to 230 µs of
processor time on a decision and PostgreSQL 100 to 125 µs, and they take turns. A batch
is decided while PostgreSQL waits and written while the lane waits, so together they
fill about one processor of the two.

- In the lane no single thing stands out. Some 55 µs are the batch itself (readings,
  `decide`, the answer, the rows), which is all in Python and measured warm; most of the
  rest is one HTTP request, its socket and its turn in the event loop, which cost more
  beside an idle client than at the floor, where nobody has to be woken.
- In PostgreSQL a call's decision record takes some 38 µs, half of it reading JSON; its
  reservation 20, its counters 25, its share of the commit 15.
- In bulk an event takes 23 µs of the batch in Python; a thousand of them lock and write
  each counter once.

Compared by hand on 2026-11-21 with the machine nearly idle (load average below 1,
`wrk -t1 -c64 -d4s`, one lane, one hot account), before the lean rows and the plans by
key: 2,490 to 2,770 decisions a second, p50 22 to 24 ms, p99 72 to 77 ms; after them:
3,070 to 3,370, p50 18 to 20 ms, p99 64 to 68 ms. The floor then gave 34,300, so a
decision was at a tenth of it. **The goals of 5,000 decisions a second, of a fifth of
the floor and of 30 ms at 64 connections are missed.** The tables of that day were taken
while tests and fault runs kept both processors busy (see their load averages): what
they say of rates and latencies is a lower bound, their ratios are of one run.

Tried and left out: `json` instead of `jsonb` for the rows, arrays with `unnest`, and
`VALUES`, which are all as quick or slower. The next step is to send the rows of a batch
in parts, so that PostgreSQL writes one while the next is decided; it has not been shown
to gain on a machine that is shared.
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
