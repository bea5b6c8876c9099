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
PostgreSQL is the embedded one with `fsync` and `synchronous_commit` on, in a database
that is new but for a gigabyte of WAL that it has written: until the first checkpoint
every new WAL file is filled with zeros while commits wait. The lane runs as
`manage.py up` starts it. Each call falls under four policies; one is an
account-wide counter that every call of the account changes. A call reserves: it writes
a reservation and a decision, and changes four counters. Figures of other days, or of a
machine that does something besides, are only comparable by their ratios.
"""

# Prose, brought up to date by whoever measures.
BOUNDS = Path(__file__).with_name("bounds.md").read_text("utf-8")


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
