"""Prices over HTTP: the account's own, and what a model costs now."""

import pytest
from django.utils import timezone

from accounts.models import ChangeRecord, Member
from tests.api.client import assert_problem, key_api, person_api
from usage.entries import EventIn
from usage.ledger import record_events
from usage.models import UsageEvent

SPLIT = {"model": "house-1", "input_per_million": "2.50", "output_per_million": 10}
FLAT = {"model": "house-*", "total_per_million": "5"}
ABSENT = "/prices/prc_01kjm3v5c0e8r9q2t4w6y8z0a3"


def cost_of(account, bot, **event):
    record_events(
        account=account,
        events=[EventIn(bot=bot.public_id, **event)],
        now=timezone.now(),
    )
    return UsageEvent.objects.latest("sequence").cost


def test_a_price_is_written_read_changed_and_deleted(api):
    made = api.post("/prices", SPLIT)
    assert made.status_code == 201
    price = made.json()
    assert (price["input_per_million"], price["output_per_million"]) == ("2.5", "10")
    assert price["total_per_million"] is None
    path = f"/prices/{price['id']}"
    assert api.get(path).json() == price
    assert api.get("/prices").json()["data"] == [price]
    assert api.get("/prices?model=other").json()["data"] == []

    changed = api.patch(path, {"output_per_million": 12.5}).json()
    assert changed["output_per_million"] == "12.5"
    flat = api.patch(path, {"total_per_million": "3"}).json()
    assert (flat["input_per_million"], flat["total_per_million"]) == (None, "3")
    split = {"input_per_million": 0, "output_per_million": "0.000001"}
    assert api.patch(path, split).json()["total_per_million"] is None
    assert api.delete(path).status_code == 204
    assert_problem(api.get(path), 404, "not_found")
    actions = ChangeRecord.objects.filter(target=price["id"]).order_by("id")
    assert [each.action for each in actions] == [
        "price.created",
        *["price.updated"] * 3,
        "price.deleted",
    ]
    (changed,) = actions[1].changes
    assert (changed["before"], changed["after"]) == ("10", "12.5")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/model"]),
        ({"model": ""}, ["/model"]),
        ({"model": "x" * 201, "total_per_million": 1}, ["/model"]),
        ({"model": "a*b", "total_per_million": 1}, ["/model"]),
        ({"model": "a\x07", "total_per_million": 1}, ["/model"]),
        ({"model": "m"}, [""]),
        ({"model": "m", "input_per_million": 1}, [""]),
        ({**SPLIT, "total_per_million": 1}, [""]),
        ({"model": "m", "total_per_million": -1}, ["/total_per_million"]),
        ({"model": "m", "total_per_million": True}, ["/total_per_million"]),
        ({"model": "m", "total_per_million": "1e3"}, ["/total_per_million"]),
        ({"model": "m", "total_per_million": "0.0000001"}, ["/total_per_million"]),
        ({"model": "m", "total_per_million": 10**10}, ["/total_per_million"]),
        ({"model": "m", "total_per_million": [1]}, ["/total_per_million"]),
        ({"model": "m", "total_per_million": 1, "currency": "EUR"}, ["/currency"]),
    ],
)
def test_a_price_that_cannot_be_is_refused(api, body, pointers):
    assert_problem(api.post("/prices", body), 422, "invalid_body", *pointers)


def test_a_model_has_one_price(api):
    api.post("/prices", SPLIT)
    other = api.post("/prices", FLAT).json()

    assert_problem(api.post("/prices", SPLIT), 409, "price_exists", "/model")
    taken = api.patch(f"/prices/{other['id']}", {"model": "house-1"})
    assert_problem(taken, 409, "price_exists", "/model")


def test_the_next_call_sees_an_edit(api, acme, bot):
    tokens = {"model": "house-1", "input_tokens": 1_000, "output_tokens": 100}
    assert cost_of(acme, bot, **tokens) is None
    price = api.post("/prices", SPLIT).json()
    assert cost_of(acme, bot, **tokens) == 3_500
    api.patch(f"/prices/{price['id']}", {"output_per_million": 20})
    assert cost_of(acme, bot, **tokens) == 4_500
    api.delete(f"/prices/{price['id']}")
    assert cost_of(acme, bot, **tokens) is None


def test_a_lookup_says_what_holds_and_why(api):
    flat = api.post("/prices", FLAT).json()
    own = api.post("/prices", SPLIT).json()

    exact = api.get("/prices/lookup?model=house-1").json()
    assert (exact["source"], exact["price"]) == ("account", own["id"])
    assert exact["input_per_million"] == "2.5"
    pattern = api.get("/prices/lookup?model=house-2").json()
    assert (pattern["price"], pattern["total_per_million"]) == (flat["id"], "5")
    listed = api.get("/prices/lookup?model=gpt-4o-mini").json()
    assert (listed["source"], listed["price"]) == ("library", None)
    assert listed["input_per_million"] == "0.15"
    tiered = api.get("/prices/lookup?model=claude-sonnet-4-5").json()
    assert tiered["tiered"] is True
    unknown = api.get("/prices/lookup?model=nobody-knows").json()
    assert (unknown["source"], unknown["input_per_million"]) == (None, None)
    for query in ("", "?model=", "?model=" + "x" * 201, "?model=%00"):
        answer = api.get(f"/prices/lookup{query}")
        assert_problem(answer, 422, "invalid_query", "/model")
    assert_problem(api.get("/prices?flavour=1"), 422, "invalid_query", "/flavour")


def test_foreign_prices_are_absent_and_hold_for_nobody_else(api, stranger):
    path = f"/prices/{api.post('/prices', SPLIT).json()['id']}"

    for method in ("GET", "PATCH", "DELETE"):
        foreign = stranger.call(method, path, {"total_per_million": 1})
        assert_problem(foreign, 404, "not_found")
        assert foreign.content == stranger.call(method, ABSENT, {}).content
    assert stranger.get("/prices").json()["data"] == []
    assert stranger.get("/prices/lookup?model=house-1").json()["source"] is None
    assert stranger.post("/prices", SPLIT).status_code == 201


def test_only_the_account_writes_prices(api, acme, bot, project_api):
    price = api.post("/prices", SPLIT).json()
    path = f"/prices/{price['id']}"
    bound = key_api(acme, bot=bot)
    lesser = key_api(acme, ["prices:read"])

    for caller in (project_api, bound, lesser):
        assert caller.get("/prices").json()["data"] == [price]
        code = "missing_scope" if caller is lesser else "forbidden"
        assert_problem(caller.post("/prices", FLAT), 403, code)
        assert_problem(caller.patch(path, {"model": "x"}), 403, code)
        assert_problem(caller.delete(path), 403, code)
    assert_problem(key_api(acme, ["decide"]).get("/prices"), 403, "missing_scope")


@pytest.mark.parametrize(
    ("role", "status"),
    [("owner", 201), ("operator", 201), ("auditor", 403), ("viewer", 403)],
)
def test_roles(acme, bob, role, status):
    Member.objects.filter(person=bob).update(role=role)
    person = person_api(bob)

    assert person.get("/prices").status_code == 200
    assert person.post("/prices", SPLIT).status_code == status
