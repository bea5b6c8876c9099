"""How long the server takes for each page of an account in full use.

`python -m tests.bench.pages` furnishes a private installation (`tests/bench/furnished`)
and prints a table: queries, and the milliseconds of the median and the 95th percentile.
Every page without a parameter is among them by itself, and those of single rows.
"""

import math
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpResponse

from tests.bench import stage as stages

ROUNDS = 40
MOST_QUERIES, MOST_MS = 12, 150
# Pages that look different when they are asked for more.
VARIANTS = {
    "usage": (
        "?group=user&previous=1",
        "?range=7d&bucket=hour&group=bot",
        "?range=90d&group=model&metric=cost",
        "?bot={bot_id}",
    ),
    "overview": ("?bot={bot_id}", "?range=90d&metric=cost"),
    "policies": ("?state=triggered", "?scope=bot"),
    "decisions": ("?policy={policy_id}", "?decision=deny"),
}


@dataclass(frozen=True)
class Timed:
    """A page: its queries, and its times in milliseconds, sorted.

    `worked` is what the server's own processor took, without the database.
    """

    address: str
    queries: int
    times: list[float]
    worked: list[float]

    @property
    def p50(self) -> float:
        return self.times[len(self.times) // 2]

    @property
    def p95(self) -> float:
        return self.times[math.ceil(len(self.times) * 0.95) - 1]

    @property
    def is_met(self) -> bool:
        return self.queries <= MOST_QUERIES and self.p95 <= MOST_MS


def measure(rounds: int = ROUNDS) -> list[Timed]:
    """Ask for every page in turn, so that a bad moment hits all alike."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from policyhub.memory import settle

    browser = _browser()
    queries = {}
    for address in _addresses():
        answer: HttpResponse = browser.get(address)
        if answer.status_code != 200:
            continue
        with CaptureQueriesContext(connection) as seen:
            browser.get(address)
        queries[address] = len(seen)
    # As the server does when it has loaded all it needs.
    settle()
    times: dict[str, list[tuple[float, float]]] = {each: [] for each in queries}
    for _ in range(rounds):
        for address, taken in times.items():
            started, worked = time.perf_counter(), time.process_time()
            browser.get(address)
            worked = time.process_time() - worked
            taken.append(((time.perf_counter() - started) * 1000, worked * 1000))
    return [
        Timed(each, queries[each], *(sorted(part) for part in zip(*taken, strict=True)))
        for each, taken in times.items()
    ]


def table(found: list[Timed]) -> str:
    """Write the figures as Markdown, the slowest first."""
    lines = ["| Page | Queries | Own ms | p50 ms | p95 ms | |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for each in sorted(found, key=lambda each: -each.p95):
        shown = re.sub(r"_[0-9a-z]{26}", "_…", each.address)
        word = "" if each.is_met else "**missed**"
        own = each.worked[len(each.worked) // 2]
        lines.append(
            f"| `{shown}` | {each.queries} | {own:.0f} | {each.p50:.0f} |"
            f" {each.p95:.0f} | {word} |"
        )
    return "\n".join(lines)


def _browser():
    from django.conf import settings
    from django.test import Client

    from tests.bench.furnished import owner

    host = next(each for each in settings.ALLOWED_HOSTS if each.strip("*."))
    browser = Client(SERVER_NAME=host)
    browser.force_login(owner(), "django.contrib.auth.backends.ModelBackend")
    return browser


def _addresses() -> Iterator[str]:
    from dashboard.urls import account_pages
    from tests.bench.furnished import SLUG

    rows = _rows()
    for pattern in account_pages:
        route = str(pattern.pattern)
        names = set(re.findall(r"<(?:\w+:)?(\w+)>", route))
        if not names <= set(rows):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: rows[found[1]], route)
        yield f"/app/{SLUG}/{path}"
        for query in VARIANTS.get(getattr(pattern, "name", ""), ()):
            yield f"/app/{SLUG}/{path}{query.format(**rows)}"


def _rows() -> dict[str, str]:
    """Return the id of a row for each parameter of an address."""
    from accounts.models import Account
    from audit.models import DecisionRecord
    from tests.bench.furnished import SLUG

    account = Account.objects.get(slug=SLUG)
    policies = account.policies.filter(type="usage").order_by("id")
    return {
        "policy_id": policies[7].public_id,
        "bot_id": account.bots.order_by("id")[7].public_id,
        "alert_id": account.alerts.order_by("-id")[0].public_id,
        "conversation_id": account.conversations.order_by("-id")[0].public_id,
        "decision_id": DecisionRecord.objects.filter(account=account)
        .order_by("-id")[0]
        .public_id,
        "key_id": account.api_keys.order_by("id")[0].public_id,
        "kind": "usage",
        "form": "csv",
    }


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stage = stages.prepare()
    try:
        stage.start_database()
        import django

        django.setup()
        from tests.bench.furnished import furnish

        furnish()
        found = measure()
    finally:
        stage.end()
    sys.stdout.write(table(found) + "\n")
    return 0 if all(each.is_met for each in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
