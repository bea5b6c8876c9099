"""The pages of an account in full use: queries and the server's time."""

from tests.bench.rig import Rig, goals

TITLE = "Pages of a full account"
ORDER = 80


def measure(rig: Rig) -> str:
    """The slowest page and the one with the most queries, and all of them."""
    from tests.bench import furnished, pages

    furnished.furnish()
    rounds = pages.ROUNDS if rig.plan.rounds > 1 else 5
    found = pages.measure(rounds)
    slowest = max(found, key=lambda each: each.p95)
    fullest = max(found, key=lambda each: each.queries)
    rows = (
        (
            "95th percentile of the server's time for any page",
            f"≤ {pages.MOST_MS} ms",
            f"{slowest.p95:.0f} ms",
            slowest.p95 <= pages.MOST_MS,
        ),
        (
            "queries of any page",
            f"≤ {pages.MOST_QUERIES}",
            str(fullest.queries),
            fullest.queries <= pages.MOST_QUERIES,
        ),
    )
    told = (
        f"The account has {furnished.EVENTS:,} usage events of {furnished.DAYS} days by"
        f" {furnished.USERS:,} users, {furnished.CONVERSATIONS:,} conversations,"
        f" {furnished.BOTS} bots, {furnished.POLICIES} policies and"
        f" {furnished.DECISIONS:,} decisions. Each page was asked for {rounds} times,"
        " in turn, inside the server's process: what the network takes is not in it."
        " *Own* is the median of the processor time of that process alone."
    )
    return "\n".join([goals(*rows), "", pages.table(found), "", told])
