"""Usage by group for a period: shares, what has no price, tables."""

import pytest

from accounts.services import create_account
from tests.api.client import assert_problem
from tests.api.used import DAY, HOUR, MARCH, march, table

pytestmark = pytest.mark.django_db


def test_attribution_counts_what_has_no_price(api, bot, other, used):
    used(tokens=300, cost=3000, unpriced=1, events=3, calls=3)
    used(by=other, tokens=900, cost=0, unpriced=2, events=2, calls=2)
    used(MARCH - DAY, tokens=10**6)
    answer = api.get("/usage/attribution?period=2026-03").json()

    first, second = answer["data"]
    assert (first["cost"], first["unpriced"], first["share"]) == ("0.003", 1, 1.0)
    assert (second["cost"], second["unpriced"], second["share"]) == (None, 2, 0.0)
    assert (answer["totals"]["cost"], answer["totals"]["tokens"]) == ("0.003", 1200)
    assert answer["totals"]["unpriced"] == 3
    assert (answer["from"], answer["to"]) == (
        "2026-03-01T00:00:00Z",
        "2026-04-01T00:00:00Z",
    )
    by_tokens = api.get("/usage/attribution?period=2026-03&order=tokens").json()
    assert [row["share"] for row in by_tokens["data"]] == [0.75, 0.25]


@pytest.mark.parametrize(
    ("query", "tokens"),
    [
        ("period=2026", 111),
        ("period=2026-03", 110),
        ("period=2026-03-02", 100),
        ("from=2026-03-01&to=2026-03-02", 10),
        ("from=2026-03-01T05:00:00Z&to=2026-03-02T05:00:00Z", 100),
        ("from=2026-02-28T23:00:00Z", 111),
        ("from=2026-02-28T23:40:00Z&to=2026-03-01T00:20:00Z", 11),
    ],
)
def test_periods(api, used, query, tokens):
    for n, moment in enumerate((MARCH - HOUR, MARCH, MARCH + DAY)):
        used(moment, tokens=10**n)
    answer = api.get(f"/usage/attribution?{query}").json()

    assert answer["totals"]["tokens"] == tokens
    assert sum(row["tokens"] for row in answer["data"]) == tokens


def test_a_table_is_answered_and_its_formulas_are_defused(api, bot, other, used):
    used(user="=HYPERLINK(1)", tokens=5)
    used(user="@x", cost=1, by=other)
    for n in range(3):
        used(user=f"u{n}", cost=0)
    path = "/usage/attribution?period=2026-03&group_by=user&limit=2"
    found = table(api.get(f"{path}&format=csv"))

    assert [row["group"] for row in found] == ["'=HYPERLINK(1)", "'@x", ""]
    first = found[0]
    assert (first["name"], first["share"]) == ("'=HYPERLINK(1)", "0.999001")
    assert (first["tokens"], first["cost"], first["unpriced"]) == ("5", "0.001", "0")
    assert found[2]["name"] == "(other)"
    assert table(api.get(path, Accept="text/csv")) == found
    bots = table(api.get("/usage/attribution?period=2026-03&format=csv"))
    assert bots[1]["name"] == "'=Other"
    series = table(march(api, format="csv", metrics="tokens"))
    assert [row["tokens"] for row in series] == ["405", "0", "0"]
    assert list(series[0]) == ["start", "end", "tokens"]


def test_an_error_is_a_problem_also_for_a_table(api):
    for path in ("series?bucket=x", "attribution?group_by=x"):
        name = "bucket" if "bucket" in path else "group_by"
        answer = api.get(f"/usage/{path}&format=csv")
        assert_problem(answer, 422, "invalid_query", f"/{name}")
    refused = key_api_without(api).get("/usage/series", Accept="text/csv")
    assert refused.status_code == 401


def key_api_without(api):
    return type(api)({"Authorization": "Bearer phk_live_no"})


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("period=03-2026", "period"),
        ("period=2026-13", "period"),
        ("period=0001", "period"),
        ("period=9999", "period"),
        ("period=2026-03&from=2026-03-01", "period"),
        ("to=2026-03-01", "from"),
        ("from=2026-03-02&to=2026-03-01", "from"),
        ("order=name", "order"),
        ("group_by=", "group_by"),
        ("limit=1001", "limit"),
        ("bucket=day", "bucket"),
    ],
)
def test_an_attribution_that_cannot_be_is_refused(api, query, name):
    answer = api.get(f"/usage/attribution?{query}")
    assert_problem(answer, 422, "invalid_query", f"/{name}")


def test_what_is_read_at_once_is_what_was_recorded(api):
    """Another account's rows do not matter: there are none."""
    create_account(slug="empty", owner_email="e@example.com", now=MARCH)
    found = api.get("/usage/attribution").json()

    assert found["data"] == []
    assert found["totals"]["cost"] == "0"
