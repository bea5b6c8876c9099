"""Reports with ten million events behind them: `python -m tests.bench.series`.

PostgreSQL makes the rollups of 60 days of a large account: 1,000 bots in 20 projects,
200 users, 4 models; a bot is called in every third hour. Summaries are made of them as
an installation makes them. Then the two routes are asked, through Django's whole stack
but no socket, one after the other.
"""

import statistics
import sys
import time
from dataclasses import dataclass

from tests.bench import stage as stages

EVENTS, DAYS = 10_000_000, 60
ROUNDS = 40
EVERY = 3

ROLLUPS = """
INSERT INTO usage_hourlyrollup (id, account_id, hour, project_id, bot_id, key_id,
 "user", model, events, tokens, input_tokens, output_tokens, messages, conversations,
 calls, cost, unpriced)
SELECT gen_random_uuid(), b.account_id, date_trunc('hour', now(), 'UTC') - h * interval
 '1 hour', b.project_id, b.id, NULL, 'user-' || (b.n * 7 + h * 13) %% 200,
 'model-' || (b.n + h / 3) %% 4, e, 820 * e, 700 * e, 120 * e, 0, 0, e, 177 * e, 0
FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM accounts_bot
      WHERE account_id = %(account)s) AS b
CROSS JOIN generate_series(1, %(hours)s) AS h
CROSS JOIN LATERAL (SELECT %(events)s::bigint AS e) AS each
WHERE (b.n + h) %% %(every)s = 0"""

ASKED = (
    ("series, 30 days", "/usage/series?bucket=day"),
    ("series, 30 days by bot", "/usage/series?bucket=day&group_by=bot"),
    ("series, 30 days by user", "/usage/series?bucket=day&group_by=user&previous=true"),
    ("series, 48 hours by model", "/usage/series?bucket=hour&group_by=model{recent}"),
    ("series, 12 months by project", "/usage/series?bucket=month&group_by=project"),
    ("series of a bot, by hour", "/usage/series?bucket=hour&bot={bot}"),
    ("series of a bot, by user", "/usage/series?bucket=day&bot={bot}&group_by=user"),
    ("attribution by bot", "/usage/attribution?period={month}"),
    ("attribution by user", "/usage/attribution?period={month}&group_by=user"),
    ("attribution by project", "/usage/attribution?period={month}&group_by=project"),
    ("attribution by model", "/usage/attribution?period={month}&group_by=model"),
    ("attribution, CSV, 1,000 bots", "/usage/attribution?limit=1000&format=csv"),
    ("attribution, 45 days by bot", "/usage/attribution?from={start}"),
)


@dataclass(frozen=True)
class Timed:
    """How long one request takes, in milliseconds."""

    name: str
    median: float
    p95: float


def fill() -> dict[str, str]:
    """Make the account and its rollups; return what the requests need."""
    from datetime import timedelta

    from django.db import connection
    from django.utils import timezone

    from accounts.models import Account
    from tests.bench import house
    from usage import summaries

    hot, _ = house.build()
    account = Account.objects.get(slug="hot")
    hours = DAYS * 24
    each = EVERY * EVENTS // (hours * house.BOTS)
    with connection.cursor() as cursor:
        names = {"account": account.id, "hours": hours, "events": each}
        names |= {"every": EVERY}
        cursor.execute(ROLLUPS, names)
        cursor.execute("VACUUM ANALYZE usage_hourlyrollup")
        summaries.SummaryZone.objects.filter(account=account).delete()
        # The many small accounts of the house have nothing to be summed up.
        while not summaries.current(account):
            summaries.rebuild_stale()
        cursor.execute("VACUUM ANALYZE usage_usagesummary")
    now = timezone.now()
    recent = now - timedelta(hours=47)
    return {
        "key": hot.key,
        "bot": hot.bots[0],
        "month": f"{now:%Y-%m}",
        "start": f"{now - timedelta(days=45):%Y-%m-%d}",
        "recent": f"&from={recent:%Y-%m-%dT%H:%M:%SZ}",
    }


def measure(names: dict[str, str]) -> list[Timed]:
    """Ask each request some times, all in turn, and return the times."""
    from django.test import Client

    key = {"Authorization": f"Bearer {names['key']}"}
    client = Client(headers=key, SERVER_NAME="localhost")
    times: dict[str, list[float]] = {name: [] for name, _ in ASKED}
    for number in range(ROUNDS + 3):
        for name, path in ASKED:
            started = time.perf_counter()
            answer = client.get("/api/v1" + path.format(**names))
            spent = 1e3 * (time.perf_counter() - started)
            if answer.status_code != 200:
                raise RuntimeError(f"{name}: {answer.content!r}")
            if number >= 3:
                times[name].append(spent)
    return [
        Timed(name, statistics.median(found), statistics.quantiles(found, n=20)[-1])
        for name, found in times.items()
    ]


def table(found: list[Timed]) -> str:
    """The figures, as a table of the report."""
    lines = ["| Report | median | p95 |", "| --- | ---: | ---: |"]
    lines += [f"| {t.name} | {t.median:.1f} ms | {t.p95:.1f} ms |" for t in found]
    return "\n".join(lines)


def main() -> int:
    stage = stages.prepare()
    try:
        stage.start_database()
        import django

        django.setup()
        sys.stdout.write(table(measure(fill())) + "\n")
    finally:
        stage.end()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
